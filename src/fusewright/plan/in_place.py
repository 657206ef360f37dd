"""y = f(x), x read for the last time -> y in x's memory: which results take over the memory of an operand?

Legal where a kernel reads each element of the operand just before it writes the element at the same place, and nothing
else of that memory: a schedule says so by `Lowered.in_place`. A kernel with several results would read what the first
has overwritten, so it takes none over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.graph.group import dtype_of, shape_of
from fusewright.plan.program import Space
from fusewright.plan.storage import Root, Storage
from fusewright.schedules.task import Lowered

Place = tuple[Root, int]  # a root, and the byte offset within it


def take_over(
    calls: Sequence[Lowered], located: Sequence[Sequence[Place]], storage: Callable[[ir.Value], Storage], log: Log
) -> dict[Root, Root]:
    """Result's root -> the operand's root whose memory it gets, followed to the end; lives of the latter are extended.

    `located[i]` are the places of call i's operands; roots' lives must be known.
    """
    owner: dict[Root, Root] = {}

    def final(root: Root) -> Root:
        while root in owner:
            root = owner[root]
        return root

    for number, (lowered, places) in enumerate(zip(calls, located, strict=True)):
        outputs = [i for i, b in enumerate(lowered.kernel.buffers) if b.role == "out"]
        if len(outputs) != 1 or not lowered.in_place:
            continue
        result, (made, made_at) = lowered.operands[outputs[0]], places[outputs[0]]
        if not isinstance(result, ir.Value) or made.space is not Space.ARENA or made.first != number or made_at:
            continue
        for i in lowered.in_place:
            operand, (root, at) = lowered.operands[i], places[i]
            kept = final(root)
            if not isinstance(operand, ir.Value) or root.space is not Space.ARENA or at or kept.last != number:
                continue
            if root.bytes != made.bytes or sum(final(r) is kept for r, _ in places) != 1:
                continue
            if shape_of(operand) != shape_of(result) or dtype_of(operand) != dtype_of(result):
                continue
            if storage(operand).strides != storage(result).strides:
                continue
            owner[made] = kept
            kept.last = made.last
            log.made(
                "in place", result.name or "", f"takes over the memory of {operand.name}, read here for the last time"
            )
            break
    return {root: final(root) for root in owner}
