"""What is valid ONNX and yet not compiled is refused before anything runs, with a reason that a user can act on."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import fusewright as fw
from fusewright.errors import UnsupportedError

REFUSED = {
    "a sequence": (
        "(seq(float[2]) x) => (int64 y) { y = SequenceLength(x) }",
        r"'x' is a Sequence",
    ),
    "an optional": (
        "(optional(float[2]) x) => (bool y) { y = OptionalHasElement(x) }",
        r"'x' is a Optional",
    ),
    "strings": (
        "(string[2] x) => (string[2] y) { y = Identity(x) }",
        r"'x' is of type string",
    ),
    "bytes of floats": (
        "(float8e4m3fn[2] x) => (float[2] y) { y = Cast<to=1>(x) }",
        r"'x' is of type float8e4m3fn",
    ),
    "half bytes": (
        "(float[2] x) => (int4[2] y) { y = Cast<to=22>(x) }",
        r"'y' is of type int4",
    ),
    "random numbers": (
        "(float[2] x) => (float[2] y) { y = RandomUniformLike(x) }",
        r"RandomUniformLike, whose random numbers",
    ),
    "random numbers behind a definition": (
        "(float[2] x) => (float[2] y) { y = Bernoulli(x) }",
        r"Bernoulli, whose random numbers",
    ),
    "training": (
        """(float[2] x) => (float[2] y) <float r = {0.5}, bool t = {1}> { y = Dropout(x, r, t) }""",
        r"training mode draws random numbers",
    ),
    "a shape that data decides": (
        "(float[4] x) => (int64[1, n] y) { y = NonZero(x) }",
        r"\(NonZero\): the shape of 'y' depends on the values of 'x'",
    ),
    "an operation of somebody else": (
        "(float[2] x) => (float[2] y) { y = com.example.Twist(x) }",
        r"no operator of the domain 'com.example'",
    ),
}


def parse(body: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 23, "com.example" : 1]>\ng {body}')


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_when_compiled(name: str) -> None:
    body, reason = REFUSED[name]
    with pytest.raises(UnsupportedError, match=reason):
        fw.compile(parse(body))


def test_dropout_in_training_is_refused_once_its_mode_is_known() -> None:
    """The mode is an input: it decides at the first call, and another mode is another plan."""
    session = fw.compile(parse("(float[2] x, bool t) => (float[2] y) <float r = {0.5}> { y = Dropout(x, r, t) }"))
    x = np.array([1, 2], np.float32)
    with pytest.raises(UnsupportedError, match="random"):
        session.run(None, {"x": x, "t": np.array(True)})
    np.testing.assert_array_equal(session.run(None, {"x": x, "t": np.array(False)})[0], x)
