"""In which order do groups run? Each after those it reads from, else as near to the graph's own order as possible."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from fusewright.errors import InternalError
from fusewright.graph.group import Group


def in_order(nodes: Sequence[ir.Node], groups: Sequence[Group]) -> list[Group]:
    """Topological order by depth first search from the graph's nodes; numbers the groups."""
    at = {n: g for g in groups for n in g.nodes}
    result: list[Group] = []
    begun: set[Group] = set()
    done: set[Group] = set()
    for first in nodes:
        stack = [at[first]]
        while stack:
            group = stack[-1]
            if group in done:
                stack.pop()
                continue
            begun.add(group)
            waiting = [p for p in producers(group, at) if p not in done]
            if not waiting:
                stack.pop()
                done.add(group)
                group.index = len(result)
                result.append(group)
            elif any(p in begun for p in waiting):
                raise InternalError(f"{group.title} needs its own result: groups were fused into a circle")
            else:
                stack.append(waiting[0])
    return result


def producers(group: Group, at: dict[ir.Node, Group]) -> list[Group]:
    """The groups that make what `group` reads, in the order in which it reads them."""
    found = (v.producer() for v in group.inputs)
    return list(dict.fromkeys(at[p] for p in found if p is not None and p in at))
