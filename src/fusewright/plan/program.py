"""A program is data: the call records that the C runtime walks, and what a caller must know of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Space(IntEnum):
    """Where a buffer lives; the C runtime uses the same numbers."""

    ARENA = 0  # one per run in flight, written and read by kernels
    WEIGHTS = 1  # one, read-only, shared by all runs and processes
    INPUT = 2  # the caller's input array number `index`
    OUTPUT = 3  # the caller's output array number `index`


@dataclass(frozen=True)
class Ref:
    """A buffer: `offset` bytes into a space (`index` counts only in INPUT and OUTPUT)."""

    space: Space
    offset: int
    index: int = 0


@dataclass(frozen=True)
class Call:
    """One kernel call: which kernel, its buffers and integers, and how its units are shared out.

    Each thread of `shares` begins with as many units as the others; `shares` <= threads. The call is made in `turns`,
    each when all threads have ended the one before: turn t has the units `[units*t, units*(t+1))`. `scratch` is in
    bytes per thread.
    """

    kernel: int
    refs: tuple[Ref, ...]
    args: tuple[int, ...]
    units: int
    shares: int
    scratch: int
    turns: int = 1


@dataclass(frozen=True)
class Port:
    """An input or output of the program: NumPy dtype name (or `bfloat16`), shape in elements."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """All that a run needs besides the kernels' code and the weights' bytes.

    `kernels[i]` is the C symbol of kernel i; `arena_bytes` is the peak of all intermediate tensors;
    `scratch_bytes` is the largest scratch of any call, per thread.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    kernels: tuple[str, ...]
    calls: tuple[Call, ...]
    arena_bytes: int
    scratch_bytes: int
    threads: int
