"""At least one group of nodes for each schedule, of sizes as networks have them: their kernels are compiled for each
target, looked at (test_assembly.py) and run (tests/targets)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from kernel_cases import Array, Case, floats, node

# -- products and convolutions --------------------------------------------------------------------------------


def matmul(rows: int, k: int, columns: int) -> Case:
    nodes = [node("MatMul", ["x", "w"], ["t"]), node("Add", ["t", "b"], ["u"]), node("Relu", ["u"], ["y"])]
    return Case(nodes, {"x": floats(rows, k)}, constants={"w": floats(k, columns), "b": floats(columns)})


def computed(batch: int, rows: int, k: int, columns: int) -> Case:
    feeds = {"a": floats(batch, rows, k), "b": floats(batch, k, columns)}
    return Case([node("MatMul", ["a", "b"], ["y"])], feeds)


def computed_turned() -> Case:
    """Both sides lie the other way."""
    made = node("Gemm", ["a", "b"], ["y"], transA=1, transB=1)
    return Case([made], {"a": floats(300, 40), "b": floats(130, 300)})


def gemm(trans_a: int) -> Case:
    made = node("Gemm", ["a", "w", "b"], ["y"], transA=trans_a, transB=1, alpha=0.5)
    shape = (96, 40) if trans_a else (40, 96)
    return Case([made], {"a": floats(*shape)}, constants={"w": floats(80, 96), "b": floats(80)})


def conv(
    channels: int, filters: int, size: int, filter_size: int, stride: int = 1, group: int = 1, rank: int = 2,
    layout: str = "last", planes: Sequence[str] = (), **attributes: Any,
) -> Case:  # fmt: skip
    made = node(
        "Conv", ["x", "w", "b"], ["t"],
        pads=[filter_size // 2] * 2 * rank, strides=[stride] * rank, group=group, **attributes,
    )  # fmt: skip
    constants = {"w": floats(filters, channels // group, *[filter_size] * rank), "b": floats(filters)}
    x = {"x": floats(1, channels, *[size] * rank)}
    nodes = [made, node("Relu", ["t"], ["y"])]
    return Case(nodes, x, constants=constants, layout=layout, planes=planes, reference="onnxruntime")


def with_means(channels: int, size: int, filter_size: int, stride: int = 1, layout: str = "last") -> Case:
    """A depthwise convolution, x sigmoid(x), and the means of its rows."""
    nodes = [
        node("Conv", ["x", "w", "b"], ["t"], pads=[filter_size // 2] * 4, strides=[stride] * 2, group=channels),
        node("Sigmoid", ["t"], ["s"]),
        node("Mul", ["t", "s"], ["y"]),
        node("ReduceMean", ["y", "axes"], ["m"]),
    ]
    constants = {"w": floats(channels, 1, filter_size, filter_size), "b": floats(channels), "axes": np.array([3])}
    x = {"x": floats(2, channels, size, size)}
    return Case(nodes, x, ("y", "m"), constants, layout, reference="onnxruntime")


def computed_filters() -> Case:
    feeds = {"x": floats(1, 32, 14, 14), "w": floats(48, 32, 3, 3)}
    made = node("Conv", ["x", "w"], ["y"], pads=[1] * 4)
    return Case([made], feeds, layout="last", reference="onnxruntime")


def transposed(channels: int, filters: int, filter_size: int, stride: int, group: int = 1) -> Case:
    made = node("ConvTranspose", ["x", "w"], ["y"], strides=[stride] * 2, group=group)
    constants = {"w": floats(channels, filters // group, filter_size, filter_size)}
    x = {"x": floats(1, channels, 14, 14)}
    return Case([made], x, constants=constants, layout="last", reference="onnxruntime")


PRODUCTS: dict[str, Callable[[], Case]] = {
    **{f"matmul_{n}_columns": partial(matmul, 128, 64, n) for n in (8, 16, 24, 32, 48, 64, 100, 384, 1000)},
    **{f"matmul_{m}_rows": partial(matmul, m, 64, 256) for m in (1, 2, 3, 5, 7, 11, 13, 16, 49, 197)},
    "computed_product": partial(computed, 12, 128, 64, 128),
    "narrow_computed_product": partial(computed, 12, 128, 128, 20),
    "computed_product_of_a_row": partial(computed, 3, 1, 96, 200),
    "computed_product_of_few_rows": partial(computed, 3, 7, 96, 100),
    "computed_product_of_turned": computed_turned,
    "gemm": partial(gemm, 0),
    "gemm_of_transposed": partial(gemm, 1),
    "conv_1x1": partial(conv, 64, 64, 56, 1),
    "conv_1x1_small": partial(conv, 512, 2048, 7, 1),
    "conv_1x1_strided": partial(conv, 256, 512, 14, 1, stride=2),
    "conv_1x1_channels_first": partial(conv, 64, 64, 28, 1, layout="first"),
    "conv_3x3": partial(conv, 64, 64, 28, 3),
    "conv_3x3_small": partial(conv, 512, 512, 7, 3),
    "conv_3x3_strided": partial(conv, 128, 128, 28, 3, stride=2),
    "conv_3x3_dilated": partial(conv, 32, 32, 14, 3, dilations=[2, 2]),
    "conv_7x7_of_an_image": partial(conv, 3, 64, 32, 7, stride=2),
    "conv_3x3_of_an_image": partial(conv, 3, 32, 64, 3, stride=2, planes=["x"]),
    "conv_3x3_of_a_plane_channels_first": partial(conv, 1, 24, 30, 3, stride=2, layout="first"),
    "conv_1x1_to_narrow_rows": partial(conv, 64, 64, 14, 1, stride=2),
    "conv_3x3_to_narrow_rows": partial(conv, 64, 64, 14, 3, stride=2),
    "conv_grouped": partial(conv, 64, 128, 14, 3, group=4),
    "conv_narrow": partial(conv, 32, 10, 14, 3),
    "conv_1d": partial(conv, 48, 64, 200, 3, rank=1),
    "conv_3d": partial(conv, 16, 32, 7, 3, rank=3),
    "conv_of_computed_filters": computed_filters,
    "conv_narrow_groups": partial(conv, 64, 64, 14, 3, group=16),
    "depthwise_3x3": partial(conv, 96, 96, 28, 3, group=96),
    "depthwise_3x3_strided": partial(conv, 96, 96, 28, 3, stride=2, group=96),
    "depthwise_5x5": partial(conv, 120, 120, 14, 5, group=120),
    "depthwise_7x7": partial(conv, 96, 96, 14, 7, group=96),
    "depthwise_two_filters_a_channel": partial(conv, 32, 64, 14, 3, group=32),
    "depthwise_channels_first": partial(conv, 32, 32, 28, 3, group=32, layout="first"),
    "depthwise_with_means": partial(with_means, 96, 28, 3),
    "depthwise_5x5_strided_with_means": partial(with_means, 100, 15, 5, stride=2),
    "depthwise_with_means_channels_first": partial(with_means, 32, 14, 3, layout="first"),
    "depthwise_1d": partial(conv, 64, 64, 100, 3, group=64, rank=1),
    "transposed": partial(transposed, 64, 48, 2, 2),
    "transposed_overlapping": partial(transposed, 32, 48, 3, 2),
    "transposed_stride_1": partial(transposed, 32, 48, 3, 1),
    "transposed_grouped": partial(transposed, 64, 64, 4, 2, group=2),
}

# -- pooling --------------------------------------------------------------------------------------------------


def pool(op_type: str, size: int, stride: int = 1, layout: str = "last", rank: int = 2, **attributes: Any) -> Case:
    outputs = ("y", "at") if attributes.pop("positions", False) else ("y",)
    made = node(
        op_type, ["x"], list(outputs),
        kernel_shape=[size] * rank, strides=[stride] * rank, pads=[size // 2] * 2 * rank, **attributes,
    )  # fmt: skip
    shape = (1, 48, *[20 if rank < 3 else 8] * rank)
    return Case([made], {"x": floats(*shape)}, outputs, layout=layout, reference="onnxruntime")


def over_all(op_type: str, layout: str) -> Case:
    return Case([node(op_type, ["x"], ["y"])], {"x": floats(2, 96, 14, 14)}, layout=layout)


def local_response(layout: str) -> Case:
    made = node("LRN", ["x"], ["y"], size=5)
    return Case([made], {"x": floats(1, 64, 14, 14)}, layout=layout, reference="onnxruntime")


POOLING: dict[str, Callable[[], Case]] = {
    "max_pool_3x3": partial(pool, "MaxPool", 3, 2),
    "max_pool_3x3_stride_1": partial(pool, "MaxPool", 3),
    "max_pool_2x2": partial(pool, "MaxPool", 2, 2),
    "max_pool_positions": partial(pool, "MaxPool", 3, 2, positions=True),
    "max_pool_channels_first": partial(pool, "MaxPool", 3, 2, layout="first"),
    "max_pool_1d": partial(pool, "MaxPool", 3, 2, rank=1),
    "max_pool_3d": partial(pool, "MaxPool", 3, 2, rank=3),
    "average_pool_3x3": partial(pool, "AveragePool", 3),
    "average_pool_2x2": partial(pool, "AveragePool", 2, 2, count_include_pad=1),
    "lp_pool": partial(pool, "LpPool", 3, 2),
    "global_average_pool": partial(over_all, "GlobalAveragePool", "last"),
    "global_average_pool_channels_first": partial(over_all, "GlobalAveragePool", "first"),
    "global_max_pool": partial(over_all, "GlobalMaxPool", "last"),
    "local_response": partial(local_response, "last"),
    "local_response_channels_first": partial(local_response, "first"),
}

# -- reductions -----------------------------------------------------------------------------------------------


def rows(op_type: str, width: int = 384, **attributes: Any) -> Case:
    extra = {"LayerNormalization": {"g": floats(width), "b": floats(width)}, "RMSNormalization": {"g": floats(width)}}
    constants = extra.get(op_type, {})
    return Case([node(op_type, ["x", *constants], ["y"], **attributes)], {"x": floats(128, width)}, constants=constants)


def reduction(op_type: str, axis: int) -> Case:
    axes = {"axes": np.array([axis], np.int64)}
    x = np.abs(floats(40, 384)) if op_type != "ReduceProd" else floats(40, 384) / 2
    return Case([node(op_type, ["x", "axes"], ["y"], keepdims=0)], {"x": x}, constants=axes)


def variance(layout: str) -> Case:
    """Of each channel, as normalizations of groups begin."""
    nodes = [
        node("ReduceMean", ["x", "axes"], ["centre"]),
        node("Sub", ["x", "centre"], ["difference"]),
        node("Mul", ["difference", "difference"], ["square"]),
        node("ReduceMean", ["square", "axes"], ["y"]),
    ]
    return Case(nodes, {"x": floats(2, 48, 14, 14)}, constants={"axes": np.array([2, 3], np.int64)}, layout=layout)


def extreme(axis: int) -> Case:
    return Case([node("ArgMax", ["x"], ["y"], axis=axis)], {"x": floats(40, 100)})


REDUCTIONS: dict[str, Callable[[], Case]] = {
    "softmax": partial(rows, "Softmax"),
    "softmax_of_few": partial(rows, "Softmax", 10),
    "softmax_across": partial(rows, "Softmax", axis=0),
    "log_softmax": partial(rows, "LogSoftmax"),
    "layer_normalization": partial(rows, "LayerNormalization"),
    "rms_normalization": partial(rows, "RMSNormalization"),
    **{
        f"{op_type.lower()}_{'along' if axis else 'across'}": partial(reduction, op_type, axis)
        for op_type in ("ReduceSum", "ReduceMax", "ReduceProd", "ReduceL2", "ReduceLogSumExp")
        for axis in (0, 1)
    },
    "arg_max_along": partial(extreme, 1),
    "arg_max_across": partial(extreme, 0),
    "variance_of_channels": partial(variance, "last"),
    "variance_of_channels_first": partial(variance, "first"),
}

# -- elementwise work and movement ----------------------------------------------------------------------------


def activation(op_type: str) -> Case:
    x = floats(64, 96)
    x = {"Acosh": np.abs(x) + 1, "Log": np.abs(x), "Sqrt": np.abs(x)}.get(op_type, x)
    x = x / 2.01 if op_type in ("Asin", "Acos", "Atanh") else x
    return Case([node(op_type, ["x"], ["y"])], {"x": x.astype(np.float32)}, reference="onnxruntime")


def pair(op_type: str, dtype: str = "float32", **attributes: Any) -> Case:
    a, b = (np.abs(floats(64, 96, seed=seed) * 8).astype(dtype) + np.ones((), dtype) for seed in (1, 2))
    return Case([node(op_type, ["a", "b"], ["y"], **attributes)], {"a": a, "b": b})


def cast(source: str, result: int) -> Case:
    return Case([node("Cast", ["x"], ["y"], to=result)], {"x": (np.abs(floats(40, 50)) * 30).astype(source)})


def broadcast(layout: str) -> Case:
    nodes = [node("Mul", ["x", "scale"], ["t"]), node("Add", ["t", "r"], ["u"]), node("HardSwish", ["u"], ["y"])]
    feeds = {"x": floats(1, 48, 14, 14), "scale": floats(1, 48, 1, 1, seed=1), "r": floats(1, 48, 14, 14, seed=2)}
    return Case(nodes, feeds, layout=layout)


def transpose(shape: tuple[int, ...], *perm: int) -> Case:
    return Case([node("Transpose", ["x"], ["y"], perm=list(perm))], {"x": floats(*shape)})


def resize(mode: str, layout: str) -> Case:
    made = node("Resize", ["x", "", "scales"], ["y"], mode=mode)
    constants = {"scales": np.array([1, 1, 2, 1.5], np.float32)}
    return Case([made], {"x": floats(1, 32, 10, 12)}, constants=constants, layout=layout, reference="onnxruntime")


def moved(op_type: str, attributes: dict[str, Any], **integers: list[int]) -> Case:
    constants = {name: np.array(values, np.int64) for name, values in integers.items()}
    made = node(op_type, ["x", *constants], ["y"], **attributes)
    return Case([made], {"x": floats(6, 20, 50)}, constants=constants)


def concat(axis: int) -> Case:
    shapes = ((6, 20, 50), (3, 20, 50)) if axis == 0 else ((6, 20, 50), (6, 20, 30))
    feeds = {name: floats(*shape) for name, shape in zip("ab", shapes, strict=True)}
    return Case([node("Concat", list(feeds), ["y"], axis=axis)], feeds)


UNARY = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor",
    "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu",
    "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh",
)  # fmt: skip
POINTWISE: dict[str, Callable[[], Case]] = {
    **{op_type.lower(): partial(activation, op_type) for op_type in UNARY},
    **{op_type.lower(): partial(pair, op_type) for op_type in ("Add", "Div", "Pow", "Max", "Min")},
    "mod": partial(pair, "Mod", fmod=1),
    **{f"mul_{dtype}": partial(pair, "Mul", dtype) for dtype in ("float64", "int8", "uint16", "int32", "int64")},
    **{f"div_{dtype}": partial(pair, "Div", dtype) for dtype in ("int8", "int32", "uint64")},
    "cast_to_int8": partial(cast, "float32", 3),
    "cast_to_half": partial(cast, "float32", 10),
    "cast_of_double_to_half": partial(cast, "float64", 10),
    "cast_of_int64": partial(cast, "int64", 1),
    "cast_to_double": partial(cast, "float32", 11),
    "broadcast": partial(broadcast, "last"),
    "broadcast_channels_first": partial(broadcast, "first"),
    "transpose": partial(transpose, (40, 60), 1, 0),
    "transpose_heads": partial(transpose, (2, 30, 4, 32), 0, 2, 1, 3),
    "transpose_narrow": partial(transpose, (2, 30, 50), 1, 2, 0),
    "resize_nearest": partial(resize, "nearest", "last"),
    "resize_linear": partial(resize, "linear", "last"),
    "resize_linear_channels_first": partial(resize, "linear", "first"),
    "resize_cubic": partial(resize, "cubic", "last"),
    "slice": partial(moved, "Slice", {}, starts=[1, -2], ends=[18, -40], axes=[1, 2], steps=[2, -3]),
    "pad": partial(moved, "Pad", {}, pads=[0, 1, 2, 0, 3, 1]),
    "pad_by_reflection": partial(moved, "Pad", {"mode": "reflect"}, pads=[0, 1, 2, 0, 3, 1]),
    "gather": partial(moved, "Gather", {"axis": 1}, indices=[3, 0, -1]),
    "gather_along": partial(moved, "Gather", {"axis": 2}, indices=[3, 0, -1, 7, 8, 9]),
    "concat": partial(concat, 0),
    "concat_along": partial(concat, 2),
}

# -- loops of their own ---------------------------------------------------------------------------------------

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent(op_type: str, hidden: int, batch: int, direction: str = "bidirectional", **attributes: Any) -> Case:
    directions, gates, features = (2 if direction == "bidirectional" else 1), GATES[op_type], 40
    constants = {
        "w": floats(directions, gates * hidden, features) / 4,
        "r": floats(directions, gates * hidden, hidden, seed=1) / 4,
        "b": floats(directions, 2 * gates * hidden, seed=2) / 4,
    }
    outputs = ("y", "h", "c") if op_type == "LSTM" else ("y", "h")
    made = node(op_type, ["x", *constants], outputs, hidden_size=hidden, direction=direction, **attributes)
    return Case([made], {"x": floats(6, batch, features)}, outputs, constants=constants, reference="onnxruntime")


def top(axis: int) -> Case:
    count = {"k": np.array([5], np.int64)}
    return Case([node("TopK", ["x", "k"], ["y", "at"], axis=axis)], {"x": floats(30, 50)}, ("y", "at"), count)


def scatter(op_type: str) -> Case:
    nodes = [node(op_type, ["x", "at", "u"], ["y"], reduction="add")]
    at = np.array([[4, 1, 4]] * 2) if op_type == "ScatterElements" else np.array([[4], [1], [4]])
    updates = floats(2, 3) if op_type == "ScatterElements" else floats(3, 50)
    return Case(nodes, {"x": floats(30, 50), "at": at.astype(np.int64), "u": updates})


def running(axis: int) -> Case:
    scan = node("CumSum", ["x", "axis"], ["y"])
    return Case([scan], {"x": floats(30, 50)}, constants={"axis": np.array(axis, np.int64)})


def regions() -> Case:
    boxes: Array = np.array([[1, 1, 10, 12], [0, 2, 9, 9]], np.float32)
    feeds = {"x": floats(1, 24, 16, 16), "boxes": boxes, "of": np.zeros(2, np.int64)}
    made = node("RoiAlign", ["x", "boxes", "of"], ["y"], output_height=4, output_width=4, sampling_ratio=2)
    return Case([made], feeds)


OTHERS: dict[str, Callable[[], Case]] = {
    **{f"{op_type.lower()}_{n}": partial(recurrent, op_type, n, 3) for op_type in GATES for n in (24, 96)},
    "lstm_of_one": partial(recurrent, "LSTM", 64, 1, "forward"),
    "lstm_in_turns": partial(recurrent, "LSTM", 165, 1, "forward"),
    "gru_in_turns": partial(recurrent, "GRU", 192, 1, "reverse"),
    "lstm_of_many": partial(recurrent, "LSTM", 40, 12, "forward"),
    "gru_linear_before_reset": partial(recurrent, "GRU", 48, 2, "reverse", linear_before_reset=1),
    "top_along": partial(top, 1),
    "top_across": partial(top, 0),
    "scatter_elements": partial(scatter, "ScatterElements"),
    "scatter_rows": partial(scatter, "ScatterND"),
    "running_sum_along": partial(running, 1),
    "running_sum_across": partial(running, 0),
    "regions": regions,
}

CASES: dict[str, Callable[[], Case]] = {**PRODUCTS, **POOLING, **REDUCTIONS, **POINTWISE, **OTHERS}
