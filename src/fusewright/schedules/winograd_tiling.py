"""How is a convolution by Winograd's products cut into tiles, and in which order do its filters lie?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusewright.graph.group import shape_of
from fusewright.schedules.bilinear import Bilinear, transformed_filters
from fusewright.schedules.convolution import Convolution
from fusewright.schedules.pack import pack_pairs
from fusewright.schedules.tile import TileShape

PANEL = 4  # vectors of columns for which the inputs of a block are read again, of products in pairs


@dataclass(frozen=True)
class Tiling:
    """How a convolution is cut: the algorithms of y and x, the register tile, the tiles of a block; whether the small
    products are made in pairs (`schedules.paired`)."""

    y: Bilinear
    x: Bilinear
    registers: TileShape
    block: int
    pairs: bool = False

    @property
    def positions(self) -> int:
        return self.y.n * self.x.n


@dataclass(frozen=True)
class Side:
    """One spatial dimension: extents of input and output, zeros before the input."""

    size: int
    out: int
    pad: int


def sides(c: Convolution) -> tuple[Side, Side]:
    """y and x; a convolution along one dimension has one row."""
    shape = shape_of(c.x)
    made = [Side(*s) for s in zip(shape[2:], c.out[2:], c.geometry.pads_begin, strict=True)]
    return (made[0], made[1]) if len(made) == 2 else (Side(1, 1, 0), made[0])


def tiles_of(c: Convolution, y: Bilinear, x: Bilinear) -> int:
    """The tiles of all images."""
    of_y, of_x = sides(c)
    return c.out[0] * -(-of_y.out // y.m) * -(-of_x.out // x.m)


def pack_filters_in_pairs(y: Bilinear, x: Bilinear, width: int, w: np.ndarray) -> np.ndarray:
    """[co, ci, taps...] -> [panel][position][vector of the panel][ci + 2][lane], transformed and packed as
    `schedules.paired` reads it."""
    lanes = width // PANEL
    packed = pack_pairs(lanes)(transformed_filters([y, x] if w.ndim == 4 else [x], w))
    positions, vectors, *vector = packed.shape
    whole = np.zeros((positions, -(-vectors // PANEL) * PANEL, *vector), w.dtype)
    whole[:, :vectors] = packed
    return np.ascontiguousarray(np.moveaxis(whole.reshape(positions, -1, PANEL, *vector), 1, 0))


def pack_filters(y: Bilinear, x: Bilinear, width: int, w: np.ndarray) -> np.ndarray:
    """[co, ci, taps...] -> [panel][position][ci][width], transformed, zeros at the end."""
    co, ci = w.shape[:2]
    algorithms = [y, x] if w.ndim == 4 else [x]
    packed = np.zeros((-(-co // width), y.n * x.n, ci, width), w.dtype)
    for p, panel in enumerate(packed):
        part = w[p * width : (p + 1) * width]
        panel[..., : len(part)] = transformed_filters(algorithms, part)
    return packed
