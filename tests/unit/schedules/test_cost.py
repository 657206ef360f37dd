"""Do predictions follow the work: bytes beside arithmetic, threads for what is long, tiles by the busiest thread?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fusewright.schedules.cost import SHARE_CYCLES, call_cycles, shares_of, stream_cycles
from fusewright.schedules.tile import TileShape, most_rows, splits_rows, tile_cost, tile_costs
from fusewright.target import get
from fusewright.target.target import Target

TARGET = replace(get("avx512"), l2_bytes=1 << 20, l3_bytes=1 << 25, fma_rate=1.0)


def test_bytes_come_from_the_smallest_cache_that_holds_them() -> None:
    rates = [size / stream_cycles(TARGET, size) for size in (1 << 19, 1 << 24, 1 << 28)]
    assert rates == [TARGET.l2_rate, TARGET.l3_rate, TARGET.memory_rate]


def test_a_product_takes_its_multiply_adds_unless_memory_takes_longer() -> None:
    flop = 2 * 16 * 100_000
    assert call_cycles(TARGET, flop, 1000, dense=True) == 100_000
    assert call_cycles(TARGET, flop, 1 << 28, dense=True) > 100_000


def test_a_few_rows_of_a_large_table_are_no_large_work() -> None:
    assert call_cycles(TARGET, 128 * 768, 90 << 20, dense=False) < 500_000


@pytest.mark.parametrize("threads", [1, 2, 64])
def test_threads_take_part_by_work_and_units(threads: int) -> None:
    assert shares_of(SHARE_CYCLES - 1, threads, 100) == 1
    assert shares_of(2 * SHARE_CYCLES, threads, 100) == min(threads, 2)
    assert shares_of(1e9, threads, 3) == min(threads, 3)
    assert shares_of(0, threads, 0) == 1


def busiest(tile: TileShape, rows: int, columns: int, target: Target, threads: int) -> float:
    """The cost of a step along k on the thread with most: tiles of each thread's rows (or panels), one by one."""
    vectors = -(-columns // target.lanes)
    strips = [min(tile.rows, rows - r) for r in range(0, rows, tile.rows)]
    panels = [min(tile.vectors, vectors - v) for v in range(0, vectors, tile.vectors)]
    by_rows = splits_rows(tile.rows, rows, threads)
    shared, other = (strips, panels) if by_rows else (panels, strips)
    per = -(-len(shared) // threads)
    shares = [shared[i : i + per] for i in range(0, len(shared), per)]
    tiles = [[(a, b) if by_rows else (b, a) for a in share for b in other] for share in shares]
    return max(sum(tile_cost(target, *tile) for tile in share) for share in tiles)


@pytest.mark.parametrize("rows", [1, 3, 7, 17, 49, 128, 196, 197, 784])
@pytest.mark.parametrize("columns", [1, 10, 80, 112, 160, 672, 1000])
@pytest.mark.parametrize("threads", [2, 3])
def test_the_cost_is_that_of_the_busiest_thread(rows: int, columns: int, threads: int) -> None:
    for cost, tile in tile_costs(TARGET, columns, rows, threads):
        expected = threads * busiest(tile, rows, columns, TARGET, threads)
        single = busiest(tile, rows, columns, TARGET, 1)
        assert cost >= single * (1 - 1e-9)  # threads do not compute less than one
        assert cost == pytest.approx(expected, rel=0.15)
        assert tile.rows <= most_rows(TARGET)[tile.vectors]


def test_an_even_tile_is_better_than_a_tall_one() -> None:
    """196 rows on two threads: 17 and 16 tiles of 6, or 14 and 14 of 7."""
    assert tile_costs(TARGET, 672, 196)[0][1] == TileShape(6, 4)
    assert tile_costs(TARGET, 672, 196, 2)[0][1] == TileShape(7, 3)
