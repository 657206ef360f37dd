"""Into which blocks are the rows of a product cut, so that each stays in cache while all weights pass?"""

from __future__ import annotations

from fusewright.kernel.expr import SIZES
from fusewright.schedules.normal_form import Product
from fusewright.schedules.tile import FEWEST_UNITS, splits_rows
from fusewright.target.target import Target

NEAR = 1 << 15  # bytes of a block that are written and read again at once: about the L1 cache
LONGER = 4  # times as long as what its first pixel reads is a block of a row that is staged part by part


def block_rows(p: Product, target: Target, lanes: int) -> tuple[int, int]:
    """Rows of a block (of y, or of x where there is no y) so that its left side fits half of the L2 cache, and how many
    blocks these make."""
    if p.y.extent == 1 and p.staging is not None and not p.staging.by_x:
        return p.x.extent, 1  # the one row is staged whole
    if p.y.extent > 1:
        wanted, unit = p.y.extent, 1
        row = p.staging.elements_for(2) - p.staging.elements_for(1) if p.staging else p.x.extent * p.k
    else:
        wanted, unit = p.x.extent, p.tile.rows
        row = p.staging.pixel if p.staging is not None and p.staging.pixel else p.steps
    room = p.l2_bytes // 2
    if p.staging is not None and p.staging.by_x:  # what is staged should still be near when it is read
        room = min(room, max(NEAR, p.k * p.n * SIZES[p.dtype]))
    most = max(unit, room // (row * SIZES[p.dtype] + 1) // unit * unit)
    if p.staging is not None and p.staging.pixel:  # what two neighbouring blocks both stage is a small part of each
        most = max(most, LONGER * p.staging.elements_for(1) // row // unit * unit)
    blocks = -(-wanted // most)
    if _whole_left(p, target, lanes, blocks):
        blocks = 1
    while p.outer_units * blocks % p.threads and splits_rows(unit, wanted, blocks + 1):
        blocks += 1  # even shares for all threads
    if p.fixed and p.n <= p.tile.vectors * lanes:  # no panels that they could share
        while p.outer_units * blocks < FEWEST_UNITS * p.threads and splits_rows(unit, wanted, blocks + p.threads):
            blocks += p.threads
    size = -(-wanted // blocks)
    size = -(-size // unit) * unit
    return size, -(-wanted // size)


def _whole_left(p: Product, target: Target, lanes: int, blocks: int) -> bool:
    """Whether all rows are better one block, though they do not stay near: each panel reads them again then, from the
    third cache, but weights that come from memory are read once and not for each of so many blocks."""
    if p.staging is not None or not p.fixed or not p.l2_bytes:
        return False
    rows = p.y.extent * p.x.extent * p.steps * SIZES[p.dtype]
    weights = p.steps * p.n * SIZES[p.dtype]
    far = -(-p.n // (p.tile.vectors * lanes)) * rows / target.l3_rate
    return weights > p.l2_bytes and far < (blocks - 1) * weights / target.memory_rate
