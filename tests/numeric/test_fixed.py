"""A model that is compiled for one set of shapes alone: right there, refused elsewhere, also out of its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import fusewright as fw
from fusewright.errors import InputError, ShapeError

MODEL = """<ir_version: 10, opset_import: ["" : 23]>
g (float[n, k, 40] x) => (float[n, k, 24] y) {
    t = MatMul(x, w)
    y = Softmax(t)
}"""


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    made = onnx.parser.parse_model(MODEL)
    w = np.random.default_rng(0).standard_normal((40, 24)).astype(np.float32)
    made.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
    return made


def expected(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    t = x @ onnx.numpy_helper.to_array(model.graph.initializer[0])
    e = np.exp(t - t.max(-1, keepdims=True))
    made: np.ndarray = e / e.sum(-1, keepdims=True)
    return made


def run_time_integers(session: fw.Session) -> int:
    return sum(len(call.args) for call in session.programs[0].program.calls)


def test_extents_are_written_into_the_kernels(model: onnx.ModelProto, tmp_path: Path) -> None:
    x = np.random.default_rng(1).standard_normal((2, 17, 40)).astype(np.float32)
    open_ended, fixed = (fw.compile(model, shapes={"x": (2, 17, 40)}, threads=2, fixed=f) for f in (False, True))
    assert open_ended.open and not fixed.open
    assert run_time_integers(fixed) < run_time_integers(open_ended)
    fixed.save(tmp_path / "fixed.fw")
    for session in (fixed, fw.load(tmp_path / "fixed.fw")):
        np.testing.assert_allclose(session(x), expected(model, x), rtol=2e-5, atol=1e-6)
        with pytest.raises(InputError, match="extent 3 in dimension 0, expected 2"):
            session(np.zeros((3, 17, 40), np.float32))


def test_all_shapes_are_needed(model: onnx.ModelProto) -> None:
    with pytest.raises(ShapeError, match="x"):
        fw.compile(model, fixed=True)


def test_the_model_given_stays_open(model: onnx.ModelProto) -> None:
    fw.compile(model, shapes={"x": (1, 5, 40)}, fixed=True)
    x = np.random.default_rng(2).standard_normal((3, 4, 40)).astype(np.float32)
    np.testing.assert_allclose(fw.compile(model)(x), expected(model, x), rtol=2e-5, atol=1e-6)
