"""Every operator whose form changed computes the same after the upgrade as onnxruntime says it did before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from fusewright.errors import ModelError
from fusewright.frontend.onnx import load
from fusewright.graph.equivalence import relative_error, run
from fusewright.graph.opset import OPSET
from fusewright.graph.upgrade import STEPS

CASES: dict[str, tuple[int, str]] = {
    "batch_norm_spatial": (
        7,
        """(float[2,3,4,4] x) => (float[2,3,4,4] y)
        <float[3] s = {1, 2, 3}, float[3] b = {0, 1, 2}, float[3] m = {0, 0.5, 1}, float[3] v = {1, 2, 3}>
        { y = BatchNormalization<epsilon=0.001>(x, s, b, m, v) }""",
    ),
    "batch_norm_unused_outputs": (
        9,
        """(float[2,3,4,4] x) => (float[2,3,4,4] y)
        <float[3] s = {1, 2, 3}, float[3] b = {0, 1, 2}, float[3] m = {0, 0.5, 1}, float[3] v = {1, 2, 3}>
        { y = BatchNormalization(x, s, b, m, v) }""",
    ),
    "upsample_attribute": (
        7,
        """(float[1,2,3,3] x) => (float[1,2,6,6] y)
        { y = Upsample<mode="nearest", scales=[1.0, 1.0, 2.0, 2.0]>(x) }""",
    ),
    "upsample_linear": (
        9,
        """(float[1,2,3,3] x) => (float[1,2,6,9] y) <float[4] s = {1, 1, 2, 3}>
        { y = Upsample<mode="linear">(x, s) }""",
    ),
    "resize_10": (
        10,
        """(float[1,2,4,4] x) => (float[1,2,7,10] y) <float[4] s = {1, 1, 1.75, 2.5}>
        { y = Resize<mode="nearest">(x, s) }""",
    ),
    "resize_10_linear_down": (
        10,
        """(float[1,2,8,8] x) => (float[1,2,5,3] y) <float[4] s = {1, 1, 0.7, 0.4}>
        { y = Resize<mode="linear">(x, s) }""",
    ),
    "resize_11_empty_scales": (
        11,
        """(float[1,1,4,4] x) => (float[1,1,6,7] y) <float[0] e = {}, int64[4] s = {1, 1, 6, 7}>
        { y = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(x, e, e, s) }""",
    ),
    "dropout_mask": (7, "(float[2,3] x) => (float[2,3] y) { y = Dropout<ratio=0.4>(x) }"),
    "slice_attributes": (
        9,
        "(float[4,5,6] x) => (float[2,5,3] y) { y = Slice<starts=[1, -4], ends=[3, -1], axes=[0, 2]>(x) }",
    ),
    "slice_without_axes": (9, "(float[4,5] x) => (float[2,2] y) { y = Slice<starts=[1, 0], ends=[3, 2]>(x) }"),
    "top_k_attribute": (9, "(float[3,7] x) => (float[3,2] y, int64[3,2] i) { y, i = TopK<axis=1, k=2>(x) }"),
    "clip_both": (9, "(float[3,7] x) => (float[3,7] y) { y = Clip<min=-0.5, max=0.25>(x) }"),
    "clip_one": (9, "(float[3,7] x) => (float[3,7] y) { y = Clip<min=0.1>(x) }"),
    "clip_inferred": (7, "(float[3,7] x) => (float[3,7] y) { a = Neg(x) y = Clip<max=0.1>(a) }"),
    "pad_constant": (9, "(float[2,3] x) => (float[4,6] y) { y = Pad<pads=[1, 2, 1, 1], value=1.5>(x) }"),
    "pad_reflect": (9, '(float[3,4] x) => (float[5,6] y) { y = Pad<pads=[1, 1, 1, 1], mode="reflect">(x) }'),
    "scatter": (
        9,
        "(float[3,3] x, float[1,3] u) => (float[3,3] y) <int64[1,3] i = {1, 0, 2}> { y = Scatter(x, i, u) }",
    ),
    "softmax_middle": (9, "(float[2,3,4] x) => (float[2,3,4] y) { y = Softmax<axis=1>(x) }"),
    "softmax_last": (9, "(float[2,3,4] x) => (float[2,3,4] y) { y = Softmax<axis=2>(x) }"),
    "softmax_default": (11, "(float[2,3] x) => (float[2,3] y) { y = Softmax(x) }"),
    "softmax_used_inside": (11, "(float[2,3,4] x) => (float[2,3,4] y) { a = Softmax<axis=0>(x) y = Neg(a) }"),
    "log_softmax": (11, "(float[2,3,4] x) => (float[2,3,4] y) { y = LogSoftmax<axis=-2>(x) }"),
    "hardmax": (11, "(float[2,3,4] x) => (float[2,3,4] y) { y = Hardmax(x) }"),
    "split_sizes": (11, "(float[2,5] x) => (float[2,2] a, float[2,3] b) { a, b = Split<axis=1, split=[2, 3]>(x) }"),
    "split_equal": (13, "(float[2,6] x) => (float[2,3] a, float[2,3] b) { a, b = Split<axis=1>(x) }"),
    "squeeze": (11, "(float[2,1,3,1] x) => (float[2,3,1] y) { y = Squeeze<axes=[1]>(x) }"),
    "squeeze_all": (11, "(float[2,1,3,1] x) => (float[2,3] y) { y = Squeeze(x) }"),
    "unsqueeze": (11, "(float[2,3] x) => (float[1,2,3,1] y) { y = Unsqueeze<axes=[0, -1]>(x) }"),
    "reduce_sum": (11, "(float[2,3,4] x) => (float[2,4] y) { y = ReduceSum<axes=[1], keepdims=0>(x) }"),
    "reduce_sum_all": (11, "(float[2,3,4] x) => (float[1,1,1] y) { y = ReduceSum(x) }"),
    **{
        f"reduce_{kind}": (
            13,
            f"(float[2,3,4] x) => (float[2,1,1] y) {{ a = Exp(x) y = Reduce{kind}<axes=[1, 2]>(a) }}",
        )
        for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
    },
    "grid_sample": (
        16,
        """(float[1,1,4,4] x, float[1,3,3,2] g) => (float[1,1,3,3] y)
        { y = GridSample<mode="bicubic", align_corners=1>(x, g) }""",
    ),
    "grid_sample_default": (
        16,
        "(float[1,1,4,4] x, float[1,3,3,2] g) => (float[1,1,3,3] y) { y = GridSample(x, g) }",
    ),
    "dft": (17, "(float[1,8,2] x) => (float[1,8,2] y) { y = DFT<axis=1>(x) }"),
    "inside_a_branch": (
        11,
        """(float[2,3] x, bool c) => (float[2] y) { y = If(c) <
            then_branch = t () => (float[2] a) { a = ReduceSum<axes=[1], keepdims=0>(x) },
            else_branch = e () => (float[2] b) { b = ReduceMean<axes=[1], keepdims=0>(x) }> }""",
    ),
}


Numbers = np.ndarray[Any, Any]


def gemm_plus_row(a: Numbers, b: Numbers) -> Numbers:
    return np.asarray(a @ b + np.array([1, 2], np.float32))


def batch_norm(x: Numbers) -> Numbers:
    shape = (1, 3, 1, 1)
    scale, bias, mean, var = (np.array(v, np.float32).reshape(shape) for v in STATISTICS)
    return np.asarray((x - mean) / np.sqrt(var + 0.001) * scale + bias)


STATISTICS = ([1, 2, 3], [0, 1, 2], [0, 0.5, 1], [1, 2, 3])
BATCH_NORM = """(float[2,3,4,4] x) => (float[2,3,4,4] y)
    <float[3] s = {1, 2, 3}, float[3] b = {0, 1, 2}, float[3] m = {0, 0.5, 1}, float[3] v = {1, 2, 3}>
    { y = BatchNormalization<epsilon=0.001, ATTRIBUTES>(x, s, b, m, v) }"""

OPSET_6: dict[str, tuple[str, Callable[..., Numbers]]] = {
    "channel_in_the_middle": (
        "(float[2,3,4,5] x, float[3] c) => (float[2,3,4,5] y) { y = Add<broadcast=1, axis=1>(x, c) }",
        lambda x, c: x + c[:, None, None],
    ),
    "two_dimensions_of_three": (
        "(float[2,3,4] x, float[2,3] c) => (float[2,3,4] y) { y = Mul<broadcast=1, axis=0>(x, c) }",
        lambda x, c: x * c[:, :, None],
    ),
    "axis_from_the_end": (
        "(float[2,3,4] x, float[3] c) => (float[2,3,4] y) { y = Sub<broadcast=1, axis=-2>(x, c) }",
        lambda x, c: x - c[:, None],
    ),
    "last_dimensions": (
        "(float[2,3,4] x, float[3,4] c) => (float[2,3,4] y) { y = Div<broadcast=1>(x, c) }",
        lambda x, c: x / c,
    ),
    "equal_shapes": ("(float[2,3] x, float[2,3] c) => (float[2,3] y) { y = Add(x, c) }", lambda x, c: x + c),
    "rank_after_a_node": (
        """(float[2,3,4] x, float[2] c) => (float[4,2,3] y)
        { t = Transpose<perm=[2,0,1]>(x)  y = Pow<broadcast=1, axis=1>(t, c) }""",
        lambda x, c: np.power(np.transpose(x, (2, 0, 1)), c[:, None]),
    ),
    "comparisons": (
        """(float[2,3,4] x, float[3] c) => (bool[2,3,4] y) {
            g = Greater<broadcast=1, axis=1>(x, c)  l = Less<broadcast=1, axis=1>(x, c)
            o = Or<broadcast=1, axis=0>(g, l)  a = And<broadcast=1, axis=0>(g, l)
            y = Xor<broadcast=1, axis=0>(o, a) }""",
        lambda x, c: x != c[:, None],
    ),
    "equal": (
        "(int64[2,3,4] x, int64[3] c) => (bool[2,3,4] y) { y = Equal<broadcast=1, axis=1>(x, c) }",
        lambda x, c: x == c[:, None],
    ),
    "slope_of_each_channel": (
        "(float[2,3,4,5] x, float[3] c) => (float[2,3,4,5] y) { y = PRelu(x, c) }",
        lambda x, c: np.where(x < 0, x * c[:, None, None], x),
    ),
    "gemm_row": (
        """(float[4,3] a, float[3,2] b) => (float[4,2] y) <float[2] c = {1, 2}>
        { y = Gemm<broadcast=1>(a, b, c) }""",
        gemm_plus_row,
    ),
    "batch_norm_test": (BATCH_NORM.replace("ATTRIBUTES", "is_test=1"), batch_norm),
    "batch_norm_one_output": (BATCH_NORM.replace("ATTRIBUTES", "spatial=1"), batch_norm),
    "dropout_test": ("(float[2,3] x) => (float[2,3] y) { y = Dropout<is_test=1>(x) }", lambda x: x),
    "upsample_factors": (
        "(float[1,2,3,3] x) => (float[1,2,6,9] y) { y = Upsample<height_scale=2.0, width_scale=3.0>(x) }",
        lambda x: x.repeat(2, 2).repeat(3, 3),
    ),
}
"""Neither onnxruntime nor the reference runs these: NumPy says what they mean."""

RECURRENT = """(float[3,1,2] x, float[1,G,2] w, float[1,G,2] r) => (float[3,1,1,2] y)
    { y = OP<hidden_size=2 ATTRIBUTE>(x, w, r) }"""


def model_of(opset: int, body: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>\ng {body}')


def run_as_it_is(proto: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results: list[np.ndarray] = session.run(None, feeds)
    return results


@pytest.mark.parametrize("name", CASES)
def test_same_numbers(name: str) -> None:
    opset, body = CASES[name]
    proto = model_of(opset, body)
    model = load(proto)
    assert model.graph.opset_imports[""] == OPSET
    rng = np.random.default_rng(0)
    feeds = {}
    for value in proto.graph.input:
        dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        feeds[value.name] = np.ones(dims, dtype) if dtype == np.bool_ else rng.standard_normal(dims).astype(dtype)
    got = run(model, feeds)
    assert list(got) == [value.name for value in proto.graph.output]
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    for expected, array in zip(run_as_it_is(proto, feeds), got.values(), strict=True):
        assert relative_error(expected, array) < 1e-6


@pytest.mark.parametrize("name", OPSET_6)
def test_opset_6_means_what_it_meant(name: str) -> None:
    body, expected = OPSET_6[name]
    proto = model_of(6, body)
    rng = np.random.default_rng(1)
    feeds = {}
    for value in proto.graph.input:
        dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        array = rng.uniform(0.5, 2, dims) if "Pow" in body else 2 * rng.standard_normal(dims)
        feeds[value.name] = array.astype(dtype)
    model = load(proto)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    (got,) = run(model, feeds).values()
    assert relative_error(np.asarray(expected(*feeds.values())), got) < 1e-6


def test_operators_that_did_not_change_are_read_at_any_opset() -> None:
    model = load(model_of(1, "(bool[2] x, bool[2] c) => (bool[2] y) { y = Not(x) }"))
    (got,) = run(model, {"x": np.array([True, False]), "c": np.array([True, True])}).values()
    assert got.tolist() == [False, True]


@pytest.mark.parametrize(("op", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_recurrence_of_opset_6(op: str, gates: int) -> None:
    """The attribute that went only said that the first output is wanted."""
    text = RECURRENT.replace("G", str(2 * gates)).replace("OP", op)
    rng = np.random.default_rng(2)
    feeds = {"x": rng.standard_normal((3, 1, 2)).astype(np.float32)}
    feeds |= {n: rng.standard_normal((1, 2 * gates, 2)).astype(np.float32) for n in ("w", "r")}
    (old,) = run(load(model_of(6, text.replace("ATTRIBUTE", ", output_sequence=1"))), feeds).values()
    (new,) = run(load(model_of(7, text.replace("ATTRIBUTE", ""))), feeds).values()
    np.testing.assert_array_equal(old, new)


def test_every_step_has_a_case_or_is_refused() -> None:
    """A step that no case reaches would be a claim without proof."""
    refused = {"Scan"}
    without_peer = {"GroupNormalization", "RoiAlign", "RNN", "GRU", "LSTM"}  # shown by tests of their own
    bodies = [body for _, body in CASES.values()] + [body for body, _ in OPSET_6.values()]
    reached = {op for _, op in STEPS if any(f"{op}" in body for body in bodies)}
    assert {op for _, op in STEPS} - reached == refused | without_peer


def test_dropout_mask_keeps_its_type() -> None:
    """What the mask holds in inference changed with the opsets and was not defined before 12; its type was."""
    model = load(model_of(7, "(float[2,3] x) => (float[2,3] y, float[2,3] m) { y, m = Dropout<ratio=0.4>(x) }"))
    x = np.ones((2, 3), np.float32)
    results = run(model, {"x": x})
    np.testing.assert_array_equal(results["y"], x)
    assert results["m"].dtype == np.float32 and results["m"].shape == (2, 3)


def test_roi_align_keeps_its_coordinates() -> None:
    """onnxruntime has no kernel for the newest; one bin of one sample shows where it samples."""
    proto = model_of(
        10,
        """(float[1,1,4,4] x) => (float[1,1,1,1] y) <float[1,4] r = {0, 0, 2, 2}, int64[1] b = {0}>
        { y = RoiAlign<output_height=1, output_width=1, sampling_ratio=1>(x, r, b) }""",
    )
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    (before,) = run_as_it_is(proto, {"x": x})
    (after,) = ReferenceEvaluator(ir.to_proto(load(proto))).run(None, {"x": x})
    assert before.item() == after.item() == 5.0  # the pixel (1, 1), not the half pixel before it


def test_group_normalization_has_a_scale_for_each_channel() -> None:
    """onnxruntime has no kernel for opset 18; the definition there is one scale for each group."""
    proto = model_of(
        18,
        """(float[1,4,2] x) => (float[1,4,2] y) <float[2] s = {1, 3}, float[2] b = {0, 5}>
        { y = GroupNormalization<num_groups=2>(x, s, b) }""",
    )
    x = np.random.default_rng(0).standard_normal((1, 4, 2)).astype(np.float32)
    groups = x.reshape(1, 2, 4)
    normal = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + 1e-5)
    expected = (normal * np.array([[1], [3]], np.float32) + np.array([[0], [5]], np.float32)).reshape(1, 4, 2)
    assert relative_error(expected, run(load(proto), {"x": x})["y"]) < 1e-5


@pytest.mark.parametrize(
    ("opset", "body", "reason"),
    [
        (5, "(float[2] x) => (float[2] y) { t = Softplus(x) y = Neg(t) }", "opset 5.* and Neg had another form"),
        (6, "(float[2] x) => (float[2] y) { y = Dropout(x) }", "at random"),
        (
            6,
            """(float[2,3,4,4] x, float[3] s) => (float[2,3,4,4] y, float[3] m)
            { y, m, v, sm, sv = BatchNormalization(x, s, s, s, s) }""",
            "training outputs",
        ),
        (
            7,
            """(float[1,2,3,3] x, float[2,3,3] s) => (float[1,2,3,3] y)
            { y = BatchNormalization<spatial=0>(x, s, s, s, s) }""",
            "spatial=0",
        ),
        (
            9,
            """(float[2,3,4,4] x, float[3] s) => (float[2,3,4,4] y, float[3] m)
            { y, m, v, sm, sv = BatchNormalization(x, s, s, s, s) }""",
            "training outputs",
        ),
    ],
)
def test_what_has_no_newer_form_is_refused(opset: int, body: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        load(model_of(opset, body))
