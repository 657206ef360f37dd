"""At which offset does each intermediate tensor lie? Largest first, in the lowest gap that is free while it lives."""

from __future__ import annotations

from collections.abc import Sequence

from fusewright.plan.storage import Root

ALIGN = 64  # a cache line, and the widest vector


def assign_offsets(roots: Sequence[Root]) -> int:
    """Set `offset` of every root so that no two that live at the same time overlap; returns the arena's bytes.

    Greedy by size, as in Pisarchyk and Lee, "Efficient memory management for deep neural net inference" (2020).
    """
    placed: list[Root] = []
    total = 0
    for root in sorted(roots, key=lambda r: (-r.bytes, r.first)):
        size = -(-max(root.bytes, 1) // ALIGN) * ALIGN
        busy = sorted(
            (r.offset, r.offset + -(-max(r.bytes, 1) // ALIGN) * ALIGN)
            for r in placed
            if r.first <= root.last and root.first <= r.last
        )
        offset = 0
        for start, end in busy:
            if offset + size <= start:
                break
            offset = max(offset, end)
        root.offset = offset
        placed.append(root)
        total = max(total, offset + size)
    return total
