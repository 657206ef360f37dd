"""Where do Winograd's convolutions pay, with tiles of which size, and how exact are they there?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import ceil, prod

import onnx_ir as ir

from fusewright.graph.group import dtype_of
from fusewright.kernel.expr import SIZES
from fusewright.schedules.bilinear import Bilinear, possible, relative_error, sliding, stepping
from fusewright.schedules.choice import Option
from fusewright.schedules.convolution import Convolution, in_group, scaled_input
from fusewright.schedules.paired import MAX_ROWS, OPEN_TILE, even_tile, multiply, paired
from fusewright.schedules.planes_shape import Shape
from fusewright.schedules.task import Lowered, Task, Way
from fusewright.schedules.tile import TileShape, pick_tile, tile_costs
from fusewright.schedules.winograd import lower_winograd
from fusewright.schedules.winograd_planes import lower_planes
from fusewright.schedules.winograd_tiling import Tiling, tiles_of

OUTPUTS = ((2, 2), (2, 4), (4, 4))  # of a piece, along y and x
OPEN_PIXELS = 56 * 56  # that open extents are taken for
PIXELS = 2  # of a tile of planes, along y and along x
MOST_POSITIONS = 36  # of such: each is spelled out
NEAR = 1 << 15  # bytes of a row of such tiles, which each panel of filters reads again: about the L1 cache
FEWEST = 24  # tiles of a block that a panel of weights is read for
MOST = 96  # tiles of a block: more read weights less often, but not by much
STREAM = 6.0


def ways(task: Task, c: Convolution, bias: ir.Value | None) -> list[Way]:
    """The ways to lower `c` by fewer products that may be cheaper than `direct_cycles`, and are exact enough."""
    w = task.array_of(c.filters.value)
    if w is None or not _eligible(task, c):
        return []
    limit, direct = task.chooser.error_limit, direct_cycles(task, c)
    made: list[Way] = []
    for y, x in algorithms(task, c):
        one = [y, x] if w.ndim == 4 else [x]
        cycles = winograd_cycles(task, c, y, x)
        if cycles < direct and (error := relative_error(one, w)) <= limit:
            option = Option(f"winograd {y.m}x{x.m}", cycles, f"relative error {error:.1e}")
            made.append(Way(option, partial(_lower, task, c, bias, y, x)))
        in_pairs = paired_cycles(task, c, y, x)
        if in_pairs is not None and in_pairs < direct and (error := relative_error(one, w, multiply)) <= limit:
            option = Option(f"winograd {y.m}x{x.m} in pairs", in_pairs, f"relative error {error:.1e}")
            made.append(Way(option, partial(_lower_in_pairs, task, c, bias, y, x)))
    return made


def of_planes(task: Task, c: Convolution) -> list[Way]:
    """The way for an image in few planes, if there is one that is exact enough."""
    shape = planes_shape(task, c)
    if shape is None:
        return []
    option = Option(f"winograd {shape.y.m}x{shape.x.m} of planes", shape.cycles, f"relative error {shape.error:.1e}")
    return [Way(option, partial(lower_planes, task, c, shape))]


def planes_shape(task: Task, c: Convolution) -> Shape | None:
    """How `c` is cut if its input is an image in few planes, and the way for these is exact enough."""
    w = task.array_of(c.filters.value)
    if w is None or not _planes(task, c):
        return None
    y, x = (stepping(PIXELS, r, s) for r, s in zip(c.filters.taps, c.geometry.strides, strict=True))
    shape = Shape(c, y, x, task.target)
    if y.n * x.n > MOST_POSITIONS or shape.bytes > NEAR:
        return None
    shape = replace(shape, error=relative_error([y, x], w))
    return shape if shape.error <= task.chooser.error_limit else None


def algorithms(task: Task, c: Convolution) -> list[tuple[Bilinear, Bilinear]]:
    """Those of y and x to choose among, which keep a column of inputs and one of sums in registers; along a dimension
    where the filter has one tap there is nothing to gain."""
    r_y, r_x = (1, *c.filters.taps)[-2:]
    sizes = dict.fromkeys((m_y if r_y > 1 else 1, m_x if r_x > 1 else 1) for m_y, m_x in OUTPUTS)
    return [
        (sliding(m_y, r_y), sliding(m_x, r_x))
        for m_y, m_x in sizes
        if all(possible(m, r) and 2 * (m + r - 1) < task.target.vector_registers for m, r in ((m_y, r_y), (m_x, r_x)))
    ]


def direct_cycles(task: Task, c: Convolution) -> float:
    """What the product over all taps should take."""
    fixed = not task.open_extents
    steps = prod(c.filters.taps) * c.filters.ci
    row = c.out[-1] if fixed else None
    pixels = c.out[0] * prod(c.out[2:]) if fixed else OPEN_PIXELS
    compute = _a_row(task, c.filters.co, row) * steps * pixels * c.filters.groups
    return max(compute, streaming(steps * c.filters.groups * c.filters.co))


def winograd_cycles(task: Task, c: Convolution, y: Bilinear, x: Bilinear) -> float:
    """What the products of all positions should take, and the transforms."""
    ci, co, positions, tiles = c.filters.ci, c.filters.co, y.n * x.n, _tiles(task, c, y, x)
    products = _a_row(task, co, None if task.open_extents else tiles) * ci * positions
    return max(tiles * (products + _transforms(task, c, y, x)), streaming(positions * ci * co))


def paired_cycles(task: Task, c: Convolution, y: Bilinear, x: Bilinear) -> float | None:
    """The same with the products in pairs; None where these have no use."""
    ci, co, positions, tiles = c.filters.ci, c.filters.co, y.n * x.n, _tiles(task, c, y, x)
    found = paired(task.target, tiles, ci, co, not task.open_extents)
    if found is None:
        return None
    return max(positions * found.cycles + tiles * _transforms(task, c, y, x), streaming(positions * (ci + 2) * co))


def _tiles(task: Task, c: Convolution, y: Bilinear, x: Bilinear) -> int:
    return OPEN_PIXELS // (y.m * x.m) if task.open_extents else tiles_of(c, y, x)


def _transforms(task: Task, c: Convolution, y: Bilinear, x: Bilinear) -> float:
    """Of a tile: a position of a vector is read and written twice, and summed over a row and a column."""
    lanes = task.target.lanes
    return (-(-c.filters.ci // lanes) + -(-c.filters.co // lanes)) * y.n * x.n * (2 + 0.2 * (y.n + x.n))


def work_of(task: Task, c: Convolution) -> str:
    """The key under which a choice among ways for `c` is remembered, with all that decides which ways there are."""
    taps = "x".join(map(str, c.filters.taps))
    extents = "open" if task.open_extents else "x".join(map(str, (c.out[0], *c.out[2:])))
    steps = _unless_one("/", c.geometry.strides) + _unless_one(" dilated ", c.geometry.dilations)
    steps += _unless_one(" groups ", (c.filters.groups,))
    if in_group(task, c.x):
        steps += " of a scaled input" if scaled_input(task, c) else " of a computed input"
    return f"conv {dtype_of(c.x)} {c.filters.ci}x{taps}x{c.filters.co}{steps} to {extents}"


def _unless_one(name: str, numbers: Sequence[int]) -> str:
    """The numbers, of which one does if they are equal, or nothing if they are 1."""
    shown = numbers if len(set(numbers)) > 1 else numbers[:1]
    return "" if set(shown) == {1} else name + "x".join(map(str, shown))


def _a_row(task: Task, columns: int, rows: int | None) -> float:
    """Cycles of a step along k for one row of a product."""
    return tile_costs(task.target, columns, rows)[0][0] / (rows or 48)


def streaming(weights: int) -> float:
    return weights * SIZES["f32"] / STREAM


def _plain(task: Task, c: Convolution) -> bool:
    """Whether there is one filter for all channels, without gaps, that another arithmetic may take the place of."""
    filters = c.filters
    return (
        task.chooser.error_limit > 0
        and dtype_of(c.x) == "f32"
        and filters.groups == 1
        and not filters.transposed
        and filters.chosen is None
        and c.place is None
        and all(d == 1 for d in c.geometry.dilations)
    )


def _eligible(task: Task, c: Convolution) -> bool:
    """Whether the arithmetic is that of a sliding filter, and the channels of a pixel lie side by side."""
    filters = c.filters
    return (
        _plain(task, c)
        and len(filters.taps) <= 2
        and max(filters.taps) > 1
        and all(s == 1 for s in c.geometry.strides)
        and filters.ci >= task.target.lanes
        and (in_group(task, c.x) or task.strides_of(c.x)[1] == 1)
    )


def _planes(task: Task, c: Convolution) -> bool:
    """Whether the input lies in planes of known extents."""
    steps = zip(c.filters.taps, c.geometry.strides, strict=True)
    return (
        _plain(task, c)
        and not task.open_extents
        and not in_group(task, c.x)
        and len(c.out) == 4
        and task.strides_of(c.x)[3] == 1
        and min(c.out) > 0
        and all(s < r and possible(PIXELS, -(-r // s)) for r, s in steps)
    )


def _lower(task: Task, c: Convolution, bias: ir.Value | None, y: Bilinear, x: Bilinear) -> list[Lowered]:
    tiles = None if task.open_extents else tiles_of(c, y, x)
    registers = pick_tile(task, "winograd f32", c.filters.co, tiles, c.filters.ci)
    return lower_winograd(task, c, bias, Tiling(y, x, registers, block_of(task, c, y.n * x.n, registers.rows, tiles)))


def _lower_in_pairs(task: Task, c: Convolution, bias: ir.Value | None, y: Bilinear, x: Bilinear) -> list[Lowered]:
    positions = y.n * x.n
    if task.open_extents:
        block = block_of(task, c, positions, OPEN_TILE, None)
        return lower_winograd(task, c, bias, Tiling(y, x, TileShape(OPEN_TILE, 1), block, pairs=True))
    block = min(block_of(task, c, positions, 1, tiles_of(c, y, x)), tiles_of(c, y, x))
    tile = even_tile(block, MAX_ROWS)
    return lower_winograd(task, c, bias, Tiling(y, x, tile, -(-block // tile.rows) * tile.rows, pairs=True))


def block_of(task: Task, c: Convolution, positions: int, rows: int, tiles: int | None) -> int:
    """Tiles of a block, in whole register tiles: their inputs should lie in half of the L2 cache, but each panel of
    weights is read once a block. Where the tiles are known, blocks are about even, for all threads."""
    room = task.target.l2_bytes // 2 // (positions * c.filters.ci * SIZES["f32"])
    block = min(max(room, FEWEST), MOST) // rows * rows or rows
    if tiles is None:
        return block
    blocks = -(-tiles // block)
    if blocks % task.threads and tiles >= FEWEST * task.threads:
        blocks += task.threads - blocks % task.threads
    return ceil(tiles / blocks / rows) * rows
