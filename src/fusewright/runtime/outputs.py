"""Where do the arrays come from that a run gives to its caller?

The system zeroes each page of fresh memory before a process may touch it, 4 KB at a time: for outputs of some
megabytes, such as the keys and values of a decoder, that takes as long as many a kernel. So the memory of a large
output is kept, and used again once nobody holds an array that looks into it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fusewright.plan.weights import private_memory

LARGE = 1 << 16  # bytes from which on an output's memory is kept; allocators keep smaller pieces themselves
KEPT = 2  # pieces for one output: a decoder reads the last one while it writes the next

Make = Callable[[], np.ndarray]


def maker(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Make:
    """What gives an array of this shape and dtype for each run, with any contents, that no other array overlaps."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return partial(np.empty, shape, dtype) if size < LARGE or not _counts() else _Memory(shape, dtype, size).take


def _counts() -> bool:
    """Whether this Python counts references exactly, one thread at a time."""
    locked = getattr(sys, "_is_gil_enabled", None)
    return sys.implementation.name == "cpython" and (locked is None or locked())


class _Memory:
    """Pieces of memory for one output. Safe from several threads: who looks at a piece has taken it out of the list."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> None:
        self._shape, self._dtype, self._size = shape, dtype, size
        self._pieces: list[np.ndarray] = []  # append and pop are atomic

    def take(self) -> np.ndarray:
        piece = _unused(self._pieces)
        if piece is None:
            piece = np.frombuffer(private_memory(self._size), np.uint8)
        array: np.ndarray = np.ndarray(self._shape, self._dtype, buffer=piece)  # NumPy makes `piece` its base
        self._pieces.append(piece)
        if len(self._pieces) > KEPT:
            with contextlib.suppress(IndexError):  # another thread has it
                self._pieces.pop(0)
        return array


def _unused(pieces: list[np.ndarray]) -> np.ndarray | None:
    """A piece that no array looks into, taken out of the list; the one that was given longest ago first."""
    for _ in range(len(pieces)):
        try:
            piece = pieces.pop(0)
        except IndexError:
            return None
        if _references(piece) == _ALONE:
            return piece
        pieces.append(piece)
    return None


def _references(piece: np.ndarray) -> int:
    return sys.getrefcount(piece)


def _alone() -> int:
    """How many references this Python counts where there is one variable."""
    pieces = [np.empty(1)]
    piece = pieces.pop(0)
    return _references(piece)


_ALONE = _alone()
