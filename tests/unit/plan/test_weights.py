"""Where do weights and arenas lie?"""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from fusewright.plan.weights import LARGE_PAGE, private_memory


@pytest.mark.parametrize("size", [0, 1, 4096, LARGE_PAGE - 1, LARGE_PAGE, 3 * LARGE_PAGE + 17])
def test_private_memory_is_zero_and_aligned(size: int) -> None:
    memory = private_memory(size)
    view = np.frombuffer(memory, np.uint8)
    assert len(view) == max(size, 1) and not view.any()
    large = size >= LARGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE")
    assert view.ctypes.data % (LARGE_PAGE if large else mmap.PAGESIZE) == 0
    view[:] = 1  # it may be written from end to end
