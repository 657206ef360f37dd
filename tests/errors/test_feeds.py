"""What is given to a session is looked at in every call: also after one that was right, whose way is short."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import fusewright as fw
from fusewright.errors import InputError

MODEL = """<ir_version: 10, opset_import: ["" : 23]>
g (float[n, 3] x, int64[1] s) => (float[n, 3] y) { f = Cast<to=1>(s) y = Add(x, f) }"""
S = np.array([2])

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an input is missing": ({"x": np.zeros((2, 3), np.float32)}, "input 's' is missing"),
    "a name is unknown": ({"x": np.zeros((2, 3), np.float32), "t": S}, "no input 't'"),
    "one too many": ({"x": np.zeros((2, 3), np.float32), "s": S, "t": S}, "no input 't'"),
    "another dtype": ({"x": np.zeros((2, 3)), "s": S}, "dtype float64, the model expects float32"),
    "another order of bytes": ({"x": np.zeros((2, 3), ">f4"), "s": S}, "dtype >f4, the model expects float32"),
    "another rank": ({"x": np.zeros(3, np.float32), "s": S}, "1 dimensions"),
    "another extent": ({"x": np.zeros((2, 4), np.float32), "s": S}, "extent 4 in dimension 1"),
    "unequal rows": ({"x": [[1.0], [1.0, 2.0]], "s": S}, "unequal parts"),
}

WITHIN = np.arange(24, dtype=np.float32).reshape(4, 6)
READ_ONLY = np.ones((2, 3), np.float32)
READ_ONLY.flags.writeable = False
RIGHT = {
    "contiguous": np.ones((2, 3), np.float32),
    "read-only": READ_ONLY,
    "columns of another": WITHIN[:2, ::2],
    "turned": np.ones((3, 2), np.float32).T,
    "backwards": WITHIN[1::-1, :3],
    "more rows": np.ones((5, 3), np.float32),
    "no rows": np.ones((0, 3), np.float32),
    "a list": [[1.0, 2.0, 3.0]],
    "a subclass": np.ones((2, 3), np.float32).view(np.matrix),
}


@pytest.fixture(scope="module")
def session() -> fw.Session:
    return fw.compile(onnx.parser.parse_model(MODEL))


def call(session: fw.Session, x: Any) -> None:
    given = np.asarray(x, np.float32) if isinstance(x, list) else x
    (y,) = session.run(None, {"x": given, "s": S})
    np.testing.assert_array_equal(y, np.asarray(given) + 2)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_feed_after_a_right_one_is_refused(session: fw.Session, name: str) -> None:
    feed, reason = WRONG[name]
    call(session, np.ones((2, 3), np.float32))
    with pytest.raises(InputError, match=reason):
        session.run(None, feed)


@pytest.mark.parametrize("name", RIGHT)
def test_other_arrays_after_the_first_are_right_too(session: fw.Session, name: str) -> None:
    for x in (np.ones((2, 3), np.float32), RIGHT[name], RIGHT[name]):
        call(session, x)


def test_results_of_two_calls_are_apart(session: fw.Session) -> None:
    x = np.ones((2, 3), np.float32)
    first, second = (session.run(None, {"x": x, "s": S})[0] for _ in range(2))
    first[:] = 0
    np.testing.assert_array_equal(second, x + 2)


def test_an_input_that_decides_shapes_is_read_in_every_call() -> None:
    session = fw.compile(
        onnx.parser.parse_model(
            """<ir_version: 10, opset_import: ["" : 23]>
            g (float[1, 3] x, int64[2] s) => (float[a, b] y) { y = Expand(x, s) }"""
        )
    )
    x = np.ones((1, 3), np.float32)
    for rows in (2, 2, 5, 2):
        assert session.run(None, {"x": x, "s": np.array([rows, 3])})[0].shape == (rows, 3)
