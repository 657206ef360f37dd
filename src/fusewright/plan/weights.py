"""Which constants do kernels read, in which order of elements, and where in the one block of weights?"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

ALIGN = 64
LARGE_PAGE = 2 << 20  # bytes; of x86 and of Arm with pages of 4 KB


def private_memory(size: int) -> memoryview:
    """`size` bytes of this process alone, in large pages where the system has them; page-aligned, and zero.

    Large pages matter where tensors come from memory: each of 2 MB needs one entry of the processor's table, and its
    prefetch stops at the end of a page of 4 KB. The system makes one only of memory that begins at a multiple of its
    size, so what is long enough begins there.
    """
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    large = size >= LARGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE")
    memory = mmap.mmap(-1, size + 2 * LARGE_PAGE if large else max(size, 1), **private)
    start = 0
    if large:
        start = -np.frombuffer(memory, np.uint8).ctypes.data % LARGE_PAGE
        try:
            memory.madvise(mmap.MADV_HUGEPAGE)
        except OSError:  # a system built without them
            pass
    return memoryview(memory)[start : start + max(size, 1)]


@dataclass
class Entry:
    offset: int
    bytes: int
    array: np.ndarray | None  # until the block is made


@dataclass
class WeightStore:
    """Collects constants by (name, order of elements); `seal` lays them out in one block.

    What is asked for after that (constants that belong to one set of shapes) is the plan's own to keep.
    """

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    block: memoryview = field(default_factory=lambda: memoryview(b""))
    sealed: bool = False
    size: int = 0

    def offset(self, name: str, key: str, make: Callable[[], np.ndarray]) -> int | None:
        """The byte offset of the constant; None when it is unknown and the block is sealed."""
        found = self.entries.get((name, key))
        if found is None:
            if self.sealed:
                return None
            array = np.ascontiguousarray(make())
            found = self.entries[name, key] = Entry(self.size, array.nbytes, array)
            self.size += -(-max(array.nbytes, 1) // ALIGN) * ALIGN
        return found.offset

    def seal(self) -> None:
        """Copy everything into one page-aligned block and let the arrays go."""
        if self.sealed:
            return
        self.sealed = True
        if self.size == 0:
            return
        memory = private_memory(self.size)
        block = np.frombuffer(memory, np.uint8)
        for entry in self.entries.values():
            if entry.array is not None:
                block[entry.offset : entry.offset + entry.bytes] = entry.array.reshape(-1).view(np.uint8)
                entry.array = None
        self.block = memory
