"""Which weighted neighbours make an element? Sampling at points read from memory, patches put together, local norms."""

from __future__ import annotations

import itertools
import math

from fusewright.kernel import expr as E
from fusewright.kernel.expr import Expr, all_of, arg, const, index, select
from fusewright.kernel.tensor import Index, Moved, Tensor
from fusewright.ops.movement import clamp, ge, lt
from fusewright.ops.opdef import Kind, OpDef, Site

CUBIC = -0.75
"""The parameter of the cubic convolution of GridSample."""
FARTHEST = 2.0**31
"""Sample points are held within this many elements, so that they convert to integers."""


# -- GridSample -----------------------------------------------------------------------------------------------------
def grid_sample(site: Site, x: Tensor, grid: Tensor) -> Tensor:
    """Sums over the neighbours of each sample point; the grid holds points in [-1, 1], last dimension first."""
    wide = "f64" if x.dtype == "f64" else "f32"
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(site.get("mode"), site.get("mode"))
    padding, corners = str(site.get("padding_mode")), bool(site.get("align_corners"))
    space = x.shape[2:]
    rank = len(space)

    def element(idx: Index) -> Expr:
        points = [
            _point(E.cast(grid.at((idx[0], *idx[2:], index(rank - 1 - d))), wide), space[d], corners, padding, mode)
            for d in range(rank)
        ]
        taps = [_taps(p, mode) for p in points]
        total: Expr | None = None
        for chosen in itertools.product(*taps):
            inside: list[Expr] = []
            at: list[Expr] = []
            weight: Expr | None = None
            for d, (position, w) in enumerate(chosen):
                if padding == "zeros":
                    inside += [ge(position, index(0)), lt(position, arg(space[d]))]
                elif padding == "reflection":
                    position = _reflect_position(position, space[d], corners)
                at.append(clamp(position, space[d]))
                if w is not None:
                    weight = w if weight is None else weight * w
            value = E.cast(x.at((idx[0], idx[1], *at)), wide)
            condition = all_of(inside)
            if condition is not None:
                value = select(condition, value, 0)
            if weight is not None:
                value = value * weight
            total = value if total is None else total + value
        assert total is not None
        return E.cast(total, x.dtype)

    return Moved(site.shape, x.dtype, element=element, sources=(x, grid), name="grid_sample")


def _point(g: Expr, extent: int, corners: bool, padding: str, mode: str) -> Expr:
    """A grid value as a position among `extent` elements; NaN becomes the far left."""
    length = E.cast(arg(extent), g.dtype)
    x = (g + 1.0) * 0.5 * (length - 1.0) if corners else ((g + 1.0) * length - 1.0) * 0.5
    if mode == "nearest":
        x = E.op("round", x)
    if padding == "border":
        held = E.minimum(E.maximum(x, 0.0), length - 1.0)
        if mode == "cubic" and not corners:  # half an element outside, points stay and only their neighbours are held
            near = E.op("and", x >= -0.5, x <= length - 0.5)
            held = select(near, x, held)
        x = held
    elif padding == "reflection":
        x = _reflect(x, 0.0 if corners else -0.5, length - 1.0 if corners else length)
    x = select(E.op("isnan", x), -FARTHEST, x)
    return E.minimum(E.maximum(x, -FARTHEST), FARTHEST)


def _reflect(x: Expr, low: float, span: Expr) -> Expr:
    """x mirrored at `low` and at `low + span` until it lies between."""
    distance = E.op("abs", x - low)
    period = E.maximum(span + span, 1e-30)
    rest = distance - E.op("floor", E.binary("div", distance, period)) * period
    return E.minimum(rest, period - rest) + low


def _reflect_position(i: Expr, extent: int, corners: bool) -> Expr:
    """The neighbour `i` of a reflected point, at most two elements outside."""
    if extent == 1:
        return index(0)
    if corners:
        at = E.maximum(i, index(0) - i)
        return E.minimum(at, arg(2 * extent - 2) - at)
    at = E.maximum(i, index(-1) - i)
    return E.minimum(at, arg(2 * extent - 1) - at)


Tap = tuple[Expr, Expr | None]


def _taps(x: Expr, mode: str) -> list[Tap]:
    """Positions around x and their weights."""
    if mode == "nearest":
        return [(E.cast(x, "i64"), None)]
    floor = E.op("floor", x)
    first, r = E.cast(floor, "i64"), x - floor
    if mode == "linear":
        return [(first, 1.0 - r), (first + 1, r)]
    a = CUBIC
    distances = [r + 1.0, r, 1.0 - r, 2.0 - r]
    weights = [
        (((d - 5.0) * d + 8.0) * d - 4.0) * a if far else ((d * (a + 2.0) - (a + 3.0)) * d * d + 1.0)
        for d, far in zip(distances, (True, False, False, True), strict=True)
    ]
    return [(first + (k - 1), w) for k, w in enumerate(weights)]


def grid_sample_supported(site: Site) -> str | None:
    operand = site.inputs[0]
    if operand is not None and 0 in operand[1]:
        return "its operand has no elements"
    return None


# -- AffineGrid -----------------------------------------------------------------------------------------------------
def affine_grid(site: Site, theta: Tensor, *_: Tensor | None) -> Tensor:
    """theta x (x, y, [z,] 1) for the centres of the elements, or for corners that lie at -1 and 1."""
    space = site.shape[1:-1]
    rank = len(space)

    def centre(i: Expr, extent: int) -> Expr:
        place = E.cast(i, "f64")
        if site.get("align_corners"):
            return E.binary("div", place * 2.0, E.cast(E.maximum(arg(extent - 1), index(1)), "f64")) - 1.0
        return E.binary("div", place * 2.0 + 1.0, E.cast(arg(extent), "f64")) - 1.0

    def element(idx: Index) -> Expr:
        n, row = idx[0], idx[-1]
        total = E.cast(theta.at((n, row, index(rank))), "f64")
        for d in range(rank):  # the grid names its last dimension first
            weight = E.cast(theta.at((n, row, index(d))), "f64")
            total = total + weight * centre(idx[rank - d], space[rank - 1 - d])
        return E.cast(total, theta.dtype)

    return Moved(site.shape, theta.dtype, element=element, sources=(theta,), name="affine_grid")


# -- Col2Im ---------------------------------------------------------------------------------------------------------
def col2im(site: Site, x: Tensor, *_: Tensor | None) -> Tensor:
    """Each element of the image is the sum of the patches' elements that lie on it."""
    image, block = site.ints(1) or [], site.ints(2) or []
    rank = len(image)
    strides, dilations = (site.get(n) or [1] * rank for n in ("strides", "dilations"))
    pads = site.get("pads") or [0] * (2 * rank)
    counts = [
        (image[d] + pads[d] + pads[d + rank] - dilations[d] * (block[d] - 1) - 1) // strides[d] + 1 for d in range(rank)
    ]
    size = math.prod(block)

    def element(idx: Index) -> Expr:
        n, c, *position = idx
        total: Expr = const(0, x.dtype)
        for k, offsets in enumerate(itertools.product(*(range(b) for b in block))):
            inside: list[Expr] = []
            column: Expr = index(0)
            for d, offset in enumerate(offsets):
                q = position[d] + arg(pads[d] - offset * dilations[d])
                inside += [ge(q, index(0)), E.binary("eq", q % index(strides[d]), index(0))]
                q = q // index(strides[d])
                inside.append(lt(q, arg(counts[d])))
                column = column * arg(counts[d]) + clamp(q, counts[d])
            condition = all_of(inside)
            value = x.at((n, c * size + k, column))
            total = total + (value if condition is None else select(condition, value, 0))
        return total

    return Moved(site.shape, x.dtype, element=element, sources=(x,), name="col2im")


# -- RoiAlign -------------------------------------------------------------------------------------------------------
def roi_align_supported(site: Site) -> str | None:
    operand = site.inputs[0]
    if operand is not None and 0 in operand[1]:
        return "its operand has no elements"
    return None


# -- LRN ------------------------------------------------------------------------------------------------------------
def response(site: Site, x: Expr, total: Expr) -> Expr:
    """x / (bias + alpha / size * total)^beta, where `total` is the sum of the squares around x."""
    base = total * (float(site.get("alpha")) / int(site.get("size"))) + float(site.get("bias"))
    beta = float(site.get("beta"))
    if beta == 0.75:  # what networks use: two roots are exacter than a logarithm, and several times as fast
        root = E.op("sqrt", base)
        return E.binary("div", x, root * E.op("sqrt", root))
    return E.binary("div", x, E.binary("pow", base, beta))


def local_response(site: Site, x: Tensor) -> Tensor:
    """x / (bias + alpha / size * sum of squares over `size` channels)^beta"""
    size = int(site.get("size"))
    channels = x.shape[1]
    wide = "f64" if x.dtype == "f64" else "f32"

    def element(idx: Index) -> Expr:
        total: Expr = const(0, wide)
        for k in range(-((size - 1) // 2), size // 2 + 1):
            c = idx[1] + arg(k)
            value = E.cast(x.at((idx[0], clamp(c, channels), *idx[2:])), wide)
            inside = E.op("and", ge(c, index(0)), lt(c, arg(channels)))
            total = total + select(inside, value * value, 0)
        return E.cast(response(site, E.cast(x.at(idx), wide), total), x.dtype)

    return Moved(site.shape, x.dtype, element=element, sources=(x,), name="lrn")


OPS = (
    OpDef("GridSample", Kind.MOVEMENT, grid_sample, supports=grid_sample_supported),
    OpDef("AffineGrid", Kind.MOVEMENT, affine_grid, constants=(1,)),
    OpDef("Col2Im", Kind.MOVEMENT, col2im, constants=(1, 2)),
    OpDef("RoiAlign", Kind.CUSTOM, schedule="roi_align", supports=roi_align_supported),
    OpDef("LRN", Kind.CUSTOM, local_response, schedule="lrn"),
)
