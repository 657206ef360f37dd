"""When is an output right? Including NaN, infinity, empty arrays, integers and narrow floats."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx.parser
import pytest

from fusewright.check import Feed, check, compare, reference_for
from fusewright.errors import UserError

NAN, INF = float("nan"), float("inf")
f32 = np.float32


@pytest.mark.parametrize(
    ("expected", "got", "ok"),
    [
        ([1.0, 100.0], [1.005, 100.0], True),  # 5e-5 of the largest magnitude
        ([1.0, 100.0], [1.02, 100.0], False),
        ([0.0, 0.0], [0.0, 5e-5], True),  # nothing to be relative to: absolute
        ([0.0, 0.0], [0.0, 5e-4], False),
        ([NAN, 1.0], [NAN, 1.0], True),
        ([NAN, 1.0], [0.0, 1.0], False),
        ([1.0, 1.0], [NAN, 1.0], False),
        ([INF, -INF], [INF, -INF], True),
        ([INF, 1.0], [-INF, 1.0], False),
        ([INF, 1.0], [3e38, 1.0], False),
        ([1.0, 1.0], [INF, 1.0], False),
        ([INF, NAN], [NAN, INF], False),
        ([], [], True),
    ],
)
def test_floats(expected: list[float], got: list[float], ok: bool) -> None:
    result = compare("y", np.array(expected, f32), np.array(got, f32))
    assert result.ok is ok, result


def test_the_error_is_relative_to_the_largest_magnitude() -> None:
    result = compare("y", np.array([[1.0, -50.0]], f32), np.array([[1.0, -49.5]], f32))
    assert result.magnitude == 50.0
    assert result.error == pytest.approx(0.01)
    assert "[0, 1]: expected -50.0, got -49.5" in result.fault


def test_integers_and_booleans_are_exact() -> None:
    assert compare("y", np.array([1, 2]), np.array([1, 2])).ok
    wrong = compare("y", np.array([10**15, 2]), np.array([10**15 + 1, 2]))
    assert not wrong.ok and "1 of 2 elements differ" in wrong.fault
    assert not compare("y", np.array([True]), np.array([False])).ok


def test_types_and_shapes_must_agree() -> None:
    assert "dtype" in compare("y", np.zeros(2, f32), np.zeros(2)).fault
    assert "shape" in compare("y", np.zeros((2, 1), f32), np.zeros(2, f32)).fault


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_narrow_floats_may_round_the_other_way(dtype: type) -> None:
    one: np.ndarray = np.array([1.0], dtype)
    step = one + np.array([float(ml_dtypes.finfo(dtype).eps)], dtype)
    assert compare("y", one, step).ok
    assert not compare("y", one, (one + 8 * (step - one)).astype(dtype)).ok


TEXT = """
<ir_version: 10, opset_import: ["": 21]>
agraph (float[2, 3] x) => (float[2, 3] y, float[3] s) { y = Relu(x) s = ReduceMax<keepdims = 0>(x, axis) }
"""


def model() -> onnx.ModelProto:
    proto = onnx.parser.parse_model(TEXT)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0], np.int64), "axis"))
    return proto


@pytest.mark.parametrize("engine", ["onnxruntime", "onnx"])
def test_both_references_agree_with_numpy(engine: str, tmp_path: Path) -> None:
    onnx.save(model(), tmp_path / "m.onnx")
    x = np.array([[1, -2, 3], [-4, 5, -6]], f32)
    for source in (model(), tmp_path / "m.onnx"):
        reference = reference_for(source, engine)
        assert reference[0] == engine
        result = check(lambda feed: [np.maximum(feed["x"], 0), feed["x"].max(0)], reference, "ys", {"a": {"x": x}})
        assert result.ok
        wrong = check(lambda feed: [np.abs(feed["x"]), feed["x"].max(0)], reference, "ys", {"a": {"x": x}})
        assert [o.ok for o in wrong.cases[0].outputs] == [False, True]
        assert wrong.to_json()["ok"] is False


def test_a_model_that_onnxruntime_refuses_goes_to_onnx() -> None:
    proto = onnx.parser.parse_model(TEXT.replace("Relu(x)", "Relu(x) unused = Transpose(b)"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0], np.int64), "axis"))
    # onnxruntime has no complex numbers.
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1j], np.complex64), "b"))
    assert reference_for(proto)[0] == "onnx"
    with pytest.raises(UserError, match=r"onnxruntime: .*NOT_IMPLEMENTED"):
        reference_for(proto, "onnxruntime")


def test_a_reference_that_fails_is_no_bug_of_ours() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 21]> g (float[3] x, int64[1] i) => (float[1] y) { y = Gather(x, i) }'
    )
    feed = {"x": np.zeros(3, f32), "i": np.array([7])}
    with pytest.raises(UserError, match=r"(?s)onnxruntime cannot run the model on seed 0: .*--reference"):
        check(lambda _: [np.zeros(1, f32)], reference_for(proto, "onnxruntime"), ["y"], {"seed 0": feed})


def test_rounding_that_the_model_enlarges_is_told() -> None:
    """The verdict stays: only a reader can say whether the model may do so."""

    def steep(feed: Feed) -> list[np.ndarray]:
        return [(feed["x"] - f32(1)) * f32(1e6), feed["n"]]

    feed = {"x": np.array([1.0, 2.0], f32), "n": np.array([1, 2])}
    result = check(lambda f: [steep(f)[0] + f32(500), f["n"]], ("it", steep), ["y", "m"], {"seed 0": feed})
    first, second = result.cases[0].outputs
    assert not result.ok and second.ok and "it itself moves by 2.5e-07 when its inputs move by" in first.fault
    integers = {"n": feed["n"]}
    result = check(lambda f: [f["n"] + f32(1)], ("it", lambda f: [f["n"] * f32(1)]), ["m"], {"seed 0": integers})
    assert not result.ok and "moves" not in result.cases[0].outputs[0].fault
