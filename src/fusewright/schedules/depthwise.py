"""Conv with one channel in and one out for each group -> a window whose taps are multiplied by weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import Expr, Load, Op, cast
from fusewright.kernel.tensor import Anchor, Source, Tensor
from fusewright.schedules.epilogue import bias_along, bind_epilogue, epilogue
from fusewright.schedules.geometry import Geometry, conv_geometry
from fusewright.schedules.task import Lowered, Operand, Pack, Task
from fusewright.schedules.window import Lanes, Rule, Slide, Window, emit_window

HALF = frozenset({"f16", "bf16"})  # computed in float32, one by one


def is_depthwise(node: ir.Node) -> bool:
    """Whether every group of a convolution has one channel in and one out."""
    x, w = node.inputs[:2]
    if x is None or w is None:
        return False
    channels, filters = shape_of(x)[1], shape_of(w)
    return channels > 1 and filters[0] == channels and filters[1] == 1


def slides_of(geometry: Geometry, shape: tuple[int, ...], kernel: tuple[int, ...], out: tuple[int, ...]) -> list[Slide]:
    return [
        Slide(shape[2 + d], out[2 + d], kernel[d], geometry.strides[d], geometry.dilations[d],
              geometry.pads_begin[d], geometry.pads_end[d])
        for d in range(len(kernel))
    ]  # fmt: skip


def pack_taps(lanes: int) -> Callable[[np.ndarray], np.ndarray]:
    """[C, 1, taps...] -> [C / lanes][taps][lanes], zeros at the end: what a vector of channels reads lies together."""

    def make(w: np.ndarray) -> np.ndarray:
        channels, taps = w.shape[0], elements(w.shape[2:])
        packed = np.zeros((-(-channels // lanes) * lanes, taps), w.dtype)
        packed[:channels] = w.reshape(channels, taps)
        return packed.reshape(-1, lanes, taps).swapaxes(1, 2)

    return make


def lower_depthwise(task: Task) -> list[Lowered]:
    node = task.group.anchor
    x, w = node.inputs[:2]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if x is None or w is None:
        raise ValueError("Conv needs an input and filters")
    shape_x, shape_w, out_shape = shape_of(x), shape_of(w), shape_of(node.outputs[0])
    site = task.site(node)
    geometry = conv_geometry(site, shape_x, shape_w[2:], out_shape)
    dtype = dtype_of(x)
    compute = "f32" if dtype in HALF else dtype
    raw = Anchor(out_shape, dtype)
    tensor: Tensor = raw if bias is None else raw + bias_along(task.tensor(bias), 1, len(out_shape))
    results = epilogue(task, tensor)

    kernel = task.kernel("depthwise")
    source = kernel.buffer(dtype, "a")
    taps, lanes_count = elements(shape_w[2:]), task.target.lanes
    packed = dtype not in HALF and task.array_of(w) is not None
    filters = kernel.buffer(dtype, "w")
    weights: Operand = Pack(w, f"depthwise {lanes_count}", pack_taps(lanes_count)) if packed else w
    plain = Source((shape_w[0], taps), dtype, name="w")
    if not packed:
        plain.bind(filters, (taps, 1))

    def weight(lanes: Lanes, tap: Expr) -> Expr:
        if packed:
            return Load(dtype, True, filters, lanes.first * taps + tap * lanes_count)
        element = plain.at((lanes.channel(), tap))
        return cast(element if lanes.vectorize is None else lanes.vectorize(element), compute)

    rule = Rule(
        states=[(compute, 0)],
        combine=lambda s, v, k, position: [Op(compute, s[0].vec, "fma", (v, k, s[0]))],  # type: ignore[arg-type]
        finish=lambda s, scale, lanes: [cast(s[0], dtype)],
        weight=weight,
    )
    bound = bind_epilogue(task, kernel, results)
    window = Window(
        slides=slides_of(geometry, shape_x, shape_w[2:], out_shape), batch=shape_x[0], channels=shape_x[1],
        channels_fixed=True, fixed=not task.open_extents, varies=site.get("auto_pad", "NOTSET").startswith("SAME"),
        source=source, strides=task.strides_of(x), rule=rule, anchors=[raw], results=bound,
        vector=vectors_suit(dtype, [t for t, _, _ in bound.tensors]), compute=compute,
    )  # fmt: skip
    units = emit_window(kernel, window)
    flop = 2 * elements(out_shape) * taps
    return [Lowered(kernel, [x, weights, *bound.operands], units, flop=flop)]


def vectors_suit(dtype: str, results: list[Tensor]) -> bool:
    """Whether the group can be computed in vectors: half-precision types have no vector form yet."""
    return dtype not in HALF and all(t.dtype not in HALF for t in results)


