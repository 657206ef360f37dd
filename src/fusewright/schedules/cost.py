"""How many cycles should a kernel take? Pure functions of a target's data and of the work's extents."""

from __future__ import annotations

from fusewright.target.target import Target

SHARE_CYCLES = 5000  # of work that are worth another thread: a barrier takes about 4000 (1 us, threads spinning)
PER_OPERATION = 4.0  # cycles that a vector of anything but multiply-adds takes: exponentials, comparisons, gathers

MOST_BYTES = 16  # that an operation reads and writes


def stream_cycles(target: Target, moved: int) -> float:
    """Cycles to read and write `moved` bytes, which come from the smallest cache that holds them all."""
    if moved <= target.l2_bytes:
        return moved / target.l2_rate
    return moved / (target.l3_rate if moved <= target.l3_bytes else target.memory_rate)


def call_cycles(target: Target, flop: int, moved: int, dense: bool) -> float:
    """Cycles of one call on one thread; `dense` kernels do nothing but multiply and add vectors. `moved` counts its
    operands whole, of which it may read only a few rows."""
    vectors = flop / target.lanes
    compute = vectors / (2 * target.fma_rate) if dense else vectors * PER_OPERATION
    return max(compute, stream_cycles(target, min(moved, MOST_BYTES * flop)))


def shares_of(cycles: float, threads: int, units: int) -> int:
    """How many threads should take part in a call: each has work for longer than it takes to wait for it."""
    return max(1, min(threads, units, int(cycles / SHARE_CYCLES)))
