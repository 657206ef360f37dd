"""MaxPool, AveragePool and LpPool -> a window whose taps are combined by a maximum, a mean or a norm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import FLOATS, SIZES, UNSIGNED, Expr, Op, Var, arg, binary, const, index, op, select
from fusewright.kernel.tensor import Anchor
from fusewright.ops.opdef import Site
from fusewright.schedules.depthwise import pads_vary, slides_of
from fusewright.schedules.epilogue import bind_epilogue, epilogue
from fusewright.schedules.geometry import conv_geometry
from fusewright.schedules.sliding import Lanes, Rule, Window, channel_block
from fusewright.schedules.task import Lowered, Task
from fusewright.schedules.window import emit_window


def lowest(dtype: str) -> int | float:
    """What no element lies below: the padding of a maximum."""
    if dtype in FLOATS:
        return float("-inf")
    return 0 if dtype in UNSIGNED or dtype == "bool" else -(1 << (8 * SIZES[dtype] - 1))


def max_rule(dtype: str) -> Rule:
    return Rule(
        states=[(dtype, lowest(dtype))],
        combine=lambda s, v, weight, position: [binary("max", s[0], v)],
        finish=lambda s, scale, lanes: [s[0]],
    )


def indexed_max_rule(site: Site, dtype: str, channels: Expr, plane: Expr) -> Rule:
    """The maximum, and the flat position in the whole input of where it occurs first."""

    def combine(s: Sequence[Var], v: Expr, weight: Expr | None, position: Callable[[], Expr]) -> Sequence[Expr]:
        better = op("or", binary("gt", v, s[0]), binary("lt", s[1], 0))
        return [binary("max", s[0], v), select(better, position(), s[1])]

    def finish(s: Sequence[Expr], scale: Expr | None, lanes: Lanes) -> Sequence[Expr]:
        channel = lanes.channel() if lanes.vectorize is None else lanes.vectorize(lanes.channel())
        return [s[0], s[1] + (channel + lanes.n * channels) * plane]

    return Rule(
        states=[(dtype, lowest(dtype)), ("i64", -1)],
        combine=combine,
        finish=finish,
        columns_first=bool(site.get("storage_order", 0)),
    )


def mean_rule(site: Site, dtype: str) -> Rule:
    return Rule(
        states=[(dtype, 0)],
        combine=lambda s, v, weight, position: [binary("add", s[0], v)],
        finish=lambda s, scale, lanes: [s[0] if scale is None else binary("mul", s[0], scale)],
        mean="padded" if site.get("count_include_pad", 0) else "inside",
    )


def norm_rule(site: Site, dtype: str) -> Rule:
    p = int(site.get("p", 2))

    def combine(s: Sequence[Var], v: Expr, weight: Expr | None, position: Callable[[], Expr]) -> Sequence[Expr]:
        if p == 1:
            return [binary("add", s[0], op("abs", v))]
        if p == 2:
            return [Op(dtype, v.vec, "fma", (v, v, s[0]))]
        return [binary("add", s[0], binary("pow", op("abs", v), const(p, dtype)))]

    def finish(s: Sequence[Expr], scale: Expr | None, lanes: Lanes) -> Sequence[Expr]:
        if p == 1:
            return [s[0]]
        root = op("sqrt", s[0]) if p == 2 else binary("pow", s[0], const(1 / p, dtype))
        return [root]

    return Rule(states=[(dtype, 0)], combine=combine, finish=finish)


RULES: Mapping[str, Callable[[Site, str], Rule]] = {
    "MaxPool": lambda site, dtype: max_rule(dtype),
    "AveragePool": mean_rule,
    "LpPool": norm_rule,
}


def lower_pool(task: Task) -> list[Lowered]:
    node = task.group.anchor
    x = node.inputs[0]
    if x is None:
        raise ValueError(f"{node.op_type} needs an input")
    site = task.site(node)
    shape, out_shape = shape_of(x), shape_of(node.outputs[0])
    taps = tuple(int(k) for k in site.get("kernel_shape"))
    geometry = conv_geometry(site, shape, taps, out_shape)
    dtype = dtype_of(x)
    anchors = [Anchor(out_shape, dtype)]
    indexed = len(node.outputs) > 1 and node.outputs[1] is not None and node.outputs[1].name != ""
    if indexed:
        anchors.append(Anchor(out_shape, "i64"))
        task.tensors[node.outputs[1]] = anchors[1]
    results = epilogue(task, anchors[0])
    kernel = task.kernel("pool")
    source = kernel.buffer(dtype, "a")
    bound = bind_epilogue(task, kernel, results)
    if indexed:
        ext = arg if task.open_extents else index
        rule = indexed_max_rule(site, dtype, ext(shape[1]), ext(elements(shape[2:])))
    else:
        rule = RULES[node.op_type](site, dtype)
    window = Window(
        slides=slides_of(geometry, shape, taps, out_shape), batch=shape[0], channels=shape[1],
        channels_fixed=not task.open_extents, fixed=not task.open_extents,
        varies=pads_vary(site), source=source, strides=task.strides_of(x), rule=rule, anchors=anchors, results=bound,
        vector=bound.vectorizable(anchors),
    )  # fmt: skip
    if window.fixed and window.vector:
        window.block = channel_block(task, window.slides, window.batch, window.channels, SIZES[dtype])
    units = emit_window(kernel, window)
    flop = elements(out_shape) * elements(taps)
    return [Lowered(kernel, [x, *bound.operands], units, flop=flop)]


SCHEDULES: Mapping[str, Callable[[Task], list[Lowered]]] = {"pool": lower_pool}
