"""Conv with one channel in and one out for each group -> a window whose taps are multiplied by weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

from fusewright.errors import InternalError
from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.graph.site import site_of
from fusewright.kernel.expr import SIZES, Buffer, Expr, Load, Op, Var, arg, index
from fusewright.kernel.loops import CallC, Kernel
from fusewright.kernel.tensor import Anchor, Index, Source, Tensor
from fusewright.ops.opdef import Site
from fusewright.ops.structured import is_depthwise as has_own_channels
from fusewright.schedules.epilogue import Results, bias_along, bind_epilogue, element_along, epilogue, sum_along
from fusewright.schedules.filters import choose_taps
from fusewright.schedules.geometry import Geometry, conv_geometry
from fusewright.schedules.pointwise import merge_axes
from fusewright.schedules.sliding import Lanes, Rule, Slide, Window, channel_block
from fusewright.schedules.task import Lowered, Operand, Pack, Task
from fusewright.schedules.window import emit_window


def is_depthwise(node: ir.Node) -> bool:
    """Whether every group of a convolution has one channel in and one out."""
    return has_own_channels(site_of(node))


def slides_of(geometry: Geometry, shape: tuple[int, ...], kernel: tuple[int, ...], out: tuple[int, ...]) -> list[Slide]:
    return [
        Slide(shape[2 + d], out[2 + d], kernel[d], geometry.strides[d], geometry.dilations[d],
              geometry.pads_begin[d], geometry.pads_end[d])
        for d in range(len(kernel))
    ]  # fmt: skip


def pack_taps(lanes: int, chosen: tuple[tuple[int, ...], ...] | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """[C, 1, taps...] -> [C / lanes][taps][lanes], zeros at the end: what a vector of channels reads lies together."""

    def make(w: np.ndarray) -> np.ndarray:
        w = choose_taps(w, 2, chosen)
        channels, taps = w.shape[0], elements(w.shape[2:])
        packed = np.zeros((-(-channels // lanes) * lanes, taps), w.dtype)
        packed[:channels] = w.reshape(channels, taps)
        return packed.reshape(-1, lanes, taps).swapaxes(1, 2)

    return make


@dataclass(frozen=True)
class ChannelConvolution:
    """Each channel of `x` with its own filter `w` [C, 1, taps...], slid as `slides` say.

    `chosen` are the weight's taps of each dimension (-1: zero) where these are not all of them as they lie; `place`
    maps an index of the loops to one of the result where these differ; `varies` tells that pads are not fixed.
    """

    x: ir.Value
    w: ir.Value
    slides: list[Slide]
    varies: bool = False
    chosen: tuple[tuple[int, ...], ...] | None = None
    place: Callable[[Index], Index] | None = None


def lower_depthwise(task: Task) -> list[Lowered]:
    node = task.group.anchor
    x, w = node.inputs[:2]
    if x is None or w is None:
        raise ValueError("Conv needs an input and filters")
    site = task.site(node)
    shape, taps, out = shape_of(x), shape_of(w)[2:], shape_of(node.outputs[0])
    slides = slides_of(conv_geometry(site, shape, taps, out), shape, taps, out)
    return [convolve_channels(task, ChannelConvolution(x, w, slides, pads_vary(site)))]


def pads_vary(site: Site) -> bool:
    """Whether other extents give other pads, or windows that reach beyond them."""
    return str(site.get("auto_pad", "NOTSET")).startswith("SAME") or bool(site.get("ceil_mode", 0))


def where_they_lie(task: Task, w: ir.Value, filters: Buffer) -> tuple[Source, list[int]]:
    """Filters [C, 1, taps...] in their own memory as [C, *dims]: taps that lie in even steps are one dimension."""
    shape, strides = shape_of(w), task.strides_of(w)
    axes = merge_axes([d for d in range(2, len(shape)) if shape[d] > 1], shape, [strides])
    plain = Source((shape[0], *(axis.extent for axis in axes)), dtype_of(w), name="w")
    plain.bind(filters, (strides[0], *(strides[axis.dim] for axis in axes)))
    return plain, [axis.extent for axis in axes]


def digits(number: Expr, extents: Sequence[int]) -> list[Expr]:
    """The index of element `number` of an array of these extents."""
    found: list[Expr] = []
    for extent in reversed(extents[1:]):
        found.insert(0, number % arg(extent))
        number = number // arg(extent)
    return [number, *found] if extents else []


def convolve_channels(task: Task, c: ChannelConvolution) -> Lowered:
    shape, dtype = shape_of(c.x), dtype_of(c.x)
    raw, results = channel_results(task)
    kernel = task.kernel("depthwise")
    source, filters = kernel.buffer(dtype, "a"), kernel.buffer(dtype, "w")
    bound = bind_epilogue(task, kernel, results)
    window, weights = channel_window(task, c, source, task.strides_of(c.x), filters, raw, bound)
    units = emit_window(kernel, window)
    flop = 2 * elements((*shape[:2], *(s.out * s.kernel for s in c.slides)))
    return Lowered(kernel, [c.x, weights, *bound.operands], units, flop=flop)


def channel_results(task: Task) -> tuple[Anchor, list[Tensor]]:
    """What stands for the sums over the taps, and the group's results that are computed from it."""
    node = task.group.anchor
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    shape = shape_of(node.outputs[0])
    raw = Anchor(shape, dtype_of(node.outputs[0]))
    return raw, epilogue(task, raw if bias is None else raw + bias_along(task.tensor(bias), 1, len(shape)))


def channel_window(
    task: Task,
    c: ChannelConvolution,
    source: Buffer,
    strides: Sequence[int],
    filters: Buffer,
    raw: Anchor,
    bound: Results,
) -> tuple[Window, Operand]:
    """The window over an input in `source`, and the operand that is `filters`."""
    shape, dtype, lanes_count = shape_of(c.x), dtype_of(c.x), task.target.lanes
    vector = bound.vectorizable([raw])
    taps = elements(tuple(s.kernel for s in c.slides))
    weights: Operand = c.w
    packed = vector and task.array_of(c.w) is not None
    if packed:
        weights = Pack(c.w, f"depthwise {lanes_count} {c.chosen}", pack_taps(lanes_count, c.chosen))
    else:
        plain, dims = where_they_lie(task, c.w, filters)

    def weight(lanes: Lanes, tap: Expr) -> Expr:
        if packed:
            return Load(dtype, True, filters, lanes.first * taps + tap * lanes_count)
        element = plain.at((lanes.channel(), *digits(tap, dims)))
        return element if lanes.vectorize is None else lanes.vectorize(element)

    def ask(kernel: Kernel, lanes: Lanes, tap: Expr) -> None:
        """The rows of a block read its weights again and again, but the first of them would wait for each line."""
        at = (lanes.first + window.block) * taps + tap * lanes_count
        kernel.emit(CallC("fw_prefetch_l2_f32", (filters, at, index(c.slides[-1].kernel * lanes_count))))

    def combine(s: Sequence[Var], x: Expr, w: Expr | None, position: object) -> Sequence[Expr]:
        if w is None:
            raise InternalError("a convolution without filters")
        return [Op(dtype, s[0].vec, "fma", (x, w, s[0]))]

    total, first = sum_along(bound, raw, 1)

    def start(lanes: Lanes, first: Tensor) -> Expr:
        element = element_along(first, 1, len(shape), lanes.channel())
        return element if lanes.vectorize is None else lanes.vectorize(element)

    rule = Rule(
        states=[(dtype, 0)],
        combine=combine,
        finish=lambda s, scale, lanes: [s[0]],
        weight=weight,
        ask=ask if packed and dtype == "f32" else None,
        start=None if first is None else partial(start, first=first),
    )
    window = Window(
        slides=c.slides, batch=shape[0], channels=shape[1], channels_fixed=True, fixed=not task.open_extents,
        varies=c.varies, source=source, strides=strides, rule=rule, anchors=[total], results=bound,
        vector=vector, place=c.place,
    )  # fmt: skip
    if window.fixed and window.vector:
        window.block = channel_block(task, window.slides, window.batch, window.channels, SIZES[dtype])
    return window, weights
