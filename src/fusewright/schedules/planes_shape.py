"""How is a convolution of an image in few planes cut, and what of a row of the image is staged?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from fusewright.kernel.expr import SIZES
from fusewright.schedules.bilinear import Bilinear
from fusewright.schedules.convolution import Convolution
from fusewright.schedules.winograd_tiling import Side, sides
from fusewright.target.target import Target

# Cycles, measured on Zen 4:
ARRAY = 3.0  # of a vector of an array
PRODUCT = 1.04  # of a product of a tile, beside a multiply-add alone
FINISH = 2.0  # of a pixel


@dataclass(frozen=True)
class Sum:
    """An array of sums: of neighbours in the array of a phase, by these coefficients."""

    phase: int
    coefficients: tuple[Fraction, ...]


@dataclass(frozen=True)
class Shape:
    """How a convolution is cut, and what of a row of the image is staged: tiles along x, their arrays. `error` is that
    of the results, relative to their size."""

    c: Convolution
    y: Bilinear
    x: Bilinear
    target: Target
    error: float = 0.0

    @cached_property
    def across(self) -> Side:
        return sides(self.c)[1]

    @cached_property
    def down(self) -> Side:
        return sides(self.c)[0]

    @property
    def tiles(self) -> int:
        """Of a row."""
        return -(-self.across.out // self.x.m)

    @property
    def rows(self) -> int:
        """Of tiles, in an image."""
        return -(-self.down.out // self.y.m)

    @property
    def together(self) -> int:
        """Tiles whose pixels, sums of a position and filters fit the registers."""
        most = max(1, (self.target.vector_registers - 3) // (self.y.m * self.x.m + 1))
        return min(range(most, 0, -1), key=lambda t: -(-self.tiles // t) * max(t, most // 2))

    @cached_property
    def reads(self) -> list[tuple[Sum, int]]:
        """For each position along x, which sums it reads, and where in their array those of the first tile are."""
        found: list[tuple[Sum, int]] = []
        for row in self.x.input:
            (phase,) = {i % self.x.step for i, c in enumerate(row) if c}
            own = row[phase :: self.x.step]
            terms = [i for i, c in enumerate(own) if c]
            found.append((Sum(phase, tuple(own[terms[0] : terms[-1] + 1])), terms[0]))
        return found

    @cached_property
    def arrays(self) -> dict[Sum, tuple[int, int]]:
        """The place of each array in the line of a row, and its elements; those of the phases come first."""
        made: dict[Sum, tuple[int, int]] = {}
        lengths = {Sum(p, (Fraction(1),)): len(range(p, self.length, self.x.step)) for p in range(self.x.step)}
        for one, shift in self.reads:
            lengths[one] = max(lengths.get(one, 0), (self.tiles - 1) * self.x.m + shift + 1)
        place = 0
        for one, length in lengths.items():
            made[one] = place, length
            place += self._whole(length)
        return made

    @property
    def length(self) -> int:
        """Elements of a row that the tiles read, zeros around the image included."""
        return (self.tiles * self.x.m - 1) * self.x.step + self.x.r

    @property
    def line(self) -> int:
        """Elements of scratch for a row of one channel."""
        return sum(self._whole(length) for _, length in self.arrays.values())

    def _whole(self, length: int) -> int:
        return -(-length // self.target.lanes) * self.target.lanes

    @property
    def bytes(self) -> int:
        return self.y.n * self.c.filters.ci * self.line * SIZES["f32"]

    @property
    def cycles(self) -> float:
        """What it should take, for vectors of the target."""
        products = self.y.n * self.x.n * self.c.filters.ci * PRODUCT / self.target.fma_rate
        shared = [to for to in (self.pixels(a, b) for a, b in self.positions) if len(to) > 1]
        additions = sum(map(len, shared)) / self.target.fma_rate
        work = max(products, additions) if self.target.adds_beside else products + additions
        panels = -(-self.c.filters.co // self.target.lanes)
        tile = (work + FINISH * self.y.m * self.x.m) * panels
        staging = ARRAY * self.y.n * self.c.filters.ci * self.line / self.target.lanes
        return self.c.out[0] * self.rows * (self.tiles * tile + staging)

    @property
    def positions(self) -> list[tuple[int, int]]:
        """Along y and x, first those of most rows and columns of pixels."""
        made = itertools.product(range(self.y.n), range(self.x.n))
        return sorted(made, key=lambda p: (-len(self.pixels(p[0], 0)), p[0], -len(self.pixels(0, p[1])), p[1]))

    def pixels(self, a: int, b: int) -> dict[tuple[int, int], Fraction]:
        """Which pixels of a tile position (a, b) is added to, times what."""
        y, x = self.y.output, self.x.output
        all_of_tile = ((i, j) for i in range(self.y.m) for j in range(self.x.m))
        return {(i, j): y[i][a] * x[j][b] for i, j in all_of_tile if y[i][a] * x[j][b]}
