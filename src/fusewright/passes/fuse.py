"""Nodes -> groups: which neighbours become one kernel. Decided by traits (`ops.opdef.Kind`), never by names.

A group starts at the node that decides its loops (a contraction, a window, a reduction, data movement, else any
elementwise node) and takes in elementwise neighbours that have the same iteration space. Each refusal is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.graph.group import Group, elements, shape_of
from fusewright.ops.opdef import Kind
from fusewright.ops.registry import find

MAX_OPERANDS = 16  # pointers of one kernel; more would spill them and gain nothing
SEEDS = (Kind.CONTRACTION, Kind.WINDOW, Kind.REDUCTION, Kind.MOVEMENT, Kind.ELEMENTWISE, Kind.VIEW, Kind.CUSTOM)


def kind_of(node: ir.Node) -> Kind:
    definition = find(node.domain, node.op_type)
    if definition is None:
        raise ValueError(f"operation {node.domain}:{node.op_type} is not declared")
    return definition.kind


class Grouper:
    """Assigns every node of a graph to one group."""

    def __init__(self, graph: ir.Graph, log: Log) -> None:
        self.nodes = list(graph)
        self.log = log
        self.order = {n: i for i, n in enumerate(self.nodes)}
        self.owner: dict[ir.Node, list[ir.Node]] = {}
        self.kinds = {n: kind_of(n) for n in self.nodes}
        self.graph_outputs = set(graph.outputs)
        self.seeds: list[tuple[Kind, ir.Node]] = []

    def run(self) -> list[Group]:
        for kind in SEEDS:
            for node in self.nodes:
                if self.kinds[node] is kind and node not in self.owner:
                    self.seed(kind, node)
        return self.finish()

    def seed(self, kind: Kind, node: ir.Node) -> None:
        members = [node]
        self.owner[node] = members
        self.seeds.append((kind, node))
        if kind in (Kind.VIEW, Kind.CUSTOM):
            return
        full = shape_of(node.outputs[0])
        if kind is Kind.REDUCTION:
            source = shape_of(node.inputs[0])  # type: ignore[arg-type]
            self.grow(members, node, full, source)
        else:
            self.grow(members, node, full, full)

    # -- growing ----------------------------------------------------------------------------------------------
    def grow(self, members: list[ir.Node], seed: ir.Node, result: tuple[int, ...], full: tuple[int, ...]) -> None:
        """Take in consumers, and for reductions and elementwise chains producers, until nothing fits any more."""
        kind = self.kinds[seed]
        refused: dict[ir.Node, str] = {}
        changed = True
        while changed:
            changed = False
            for node in self.consumers(members):
                if node in self.owner:
                    continue
                reason = self.refuse(members, seed, node, result, full)
                if reason is None:
                    self.take(members, node)
                    refused.pop(node, None)
                    changed = True
                else:
                    refused[node] = reason
            if kind in (Kind.REDUCTION, Kind.ELEMENTWISE):
                for node in self.producers(members):
                    if self.kinds[node] is Kind.ELEMENTWISE and node not in self.owner and self.feeds_only(node, members, full):
                        self.take(members, node)
                        changed = True
        for node, reason in refused.items():
            self.log.refused(f"fuse {node.op_type} into {seed.op_type}", node.name or node.op_type, reason)

    def take(self, members: list[ir.Node], node: ir.Node) -> None:
        members.append(node)
        self.owner[node] = members
        where = members[0].name or members[0].op_type
        self.log.made(f"fuse {node.op_type} into {members[0].op_type}", node.name or node.op_type, f"same loops as {where}")

    def refuse(
        self, members: list[ir.Node], seed: ir.Node, node: ir.Node, result: tuple[int, ...], full: tuple[int, ...]
    ) -> str | None:
        """Why `node`, which reads the group, cannot join it; None if it can."""
        kind, seed_kind = self.kinds[node], self.kinds[seed]
        if kind is Kind.REDUCTION and seed_kind is Kind.REDUCTION:
            if shape_of(node.inputs[0]) != full or not self.same_axes(seed, node):  # type: ignore[arg-type]
                return "it reduces over other axes"
        elif kind is not Kind.ELEMENTWISE:
            return f"it is no elementwise operation but {kind.value}"
        shape = shape_of(node.outputs[0])
        allowed = {result, full} if seed_kind is Kind.REDUCTION else {full}
        if shape not in allowed:
            return f"its result has shape {list(shape)}, the loops have {list(full)}"
        if elements(shape) == 0:
            return "it has no elements"
        if seed_kind is Kind.REDUCTION and any(
            v is not None and v.producer() in members and shape_of(v) not in (full, result) for v in node.inputs
        ):
            return "it reads an intermediate of another shape"
        outside = {v for m in [*members, node] for v in m.inputs if v is not None and v.producer() not in members}
        if len(outside) > MAX_OPERANDS:
            return f"the kernel would read more than {MAX_OPERANDS} tensors"
        for value in node.inputs:
            if value is not None and value.producer() not in members and self.depends(value, members):
                return f"its operand {value.name} is computed from the group's own result"
        return None

    def feeds_only(self, node: ir.Node, members: list[ir.Node], full: tuple[int, ...]) -> bool:
        """Whether the group is all that needs `node`, and it has the full iteration space."""
        return all(
            shape_of(o) == full and o not in self.graph_outputs and all(u.node in members for u in o.uses())
            for o in node.outputs
        )

    def same_axes(self, a: ir.Node, b: ir.Node) -> bool:
        """Whether two reductions of one source shape keep the same extents (so reduce over the same axes)."""
        return reduced_axes(a) == reduced_axes(b)

    def consumers(self, members: list[ir.Node]) -> list[ir.Node]:
        found = {u.node for m in members for o in m.outputs for u in o.uses()} - set(members)
        return sorted((n for n in found if n in self.order), key=self.order.__getitem__)

    def producers(self, members: list[ir.Node]) -> list[ir.Node]:
        found = {v.producer() for m in members for v in m.inputs if v is not None}
        return sorted((n for n in found if n is not None and n not in members), key=lambda n: -self.order[n])

    def depends(self, value: ir.Value, members: list[ir.Node]) -> bool:
        """Whether `value` is computed from any of `members`, counting whole groups as one step."""
        first = min(self.order[m] for m in members)
        inside = set(members)
        seen: set[ir.Node] = set()
        stack = [value.producer()]
        while stack:
            node = stack.pop()
            if node is None or node in seen:
                continue
            if node in inside:
                return True
            unit = self.owner.get(node, [node])
            seen.update(unit)
            if max(self.order[n] for n in unit) < first:
                continue
            stack += [v.producer() for n in unit for v in n.inputs if v is not None and v.producer() not in seen]
        return False

    # -- result -----------------------------------------------------------------------------------------------
    def finish(self) -> list[Group]:
        """Groups with their inputs and outputs, in an order in which each finds its inputs computed."""
        groups = {}
        for kind, anchor in self.seeds:
            members = sorted(self.owner[anchor], key=self.order.__getitem__)
            inside = set(members)
            inputs = unique(
                v for n in members for v in n.inputs if v is not None and v.producer() not in inside
            )
            outputs = [
                o
                for n in members
                for o in n.outputs
                if o in self.graph_outputs or any(u.node not in inside for u in o.uses())
            ]
            if not outputs:  # nothing reads it: dead, but a kernel needs a place to write to
                outputs = [members[-1].outputs[0]]
            for n in members:
                groups[n] = Group(0, kind.value, anchor, members, inputs, outputs)
        return schedule_groups(self.nodes, groups, self.seeds)


def schedule_groups(nodes: list[ir.Node], at: dict[ir.Node, Group], seeds: list[tuple[Kind, ir.Node]]) -> list[Group]:
    """Topological order, as close to the graph's own as dependencies allow."""
    by_id: dict[int, Group] = {}
    for _, anchor in seeds:
        group = at[anchor]
        for n in group.nodes:
            at[n] = group
        by_id[id(group)] = group
    done: set[int] = set()
    result: list[Group] = []

    def visit(group: Group) -> None:
        stack: list[tuple[Group, bool]] = [(group, False)]
        while stack:
            g, ready = stack.pop()
            if id(g) in done:
                continue
            if ready:
                done.add(id(g))
                g.index = len(result)
                result.append(g)
                continue
            stack.append((g, True))
            for v in reversed(g.inputs):
                p = v.producer()
                if p is not None and p in at and id(at[p]) not in done:
                    stack.append((at[p], False))

    for n in nodes:
        visit(at[n])
    return result


def reduced_axes(node: ir.Node) -> tuple[int, ...]:
    """The axes a reduction runs over, as its result's shape tells (an extent of 1 reduces to itself)."""
    definition = find(node.domain, node.op_type)
    reader: Callable[[ir.Node], tuple[int, ...]] | None = getattr(definition, "axes", None)
    if reader is not None:
        return reader(node)
    source, result = shape_of(node.inputs[0]), shape_of(node.outputs[0])  # type: ignore[arg-type]
    rank = len(source)
    given = node.attributes.get("axes")
    constant = node.inputs[1].const_value if len(node.inputs) > 1 and node.inputs[1] is not None else None
    if node.op_type.startswith("Reduce"):
        if constant is not None:
            return tuple(sorted(int(a) % rank for a in constant.numpy().reshape(-1)))
        if given is not None:
            return tuple(sorted(int(a) % rank for a in given.value))
        return tuple(range(rank))
    axis = node.attributes.get("axis")
    if node.op_type in ("Softmax", "LogSoftmax", "Hardmax", "LpNormalization"):
        return ((int(axis.value) if axis is not None else -1) % rank,)
    if node.op_type in ("LayerNormalization", "RMSNormalization"):
        return tuple(range((int(axis.value) if axis is not None else -1) % rank, rank))
    return tuple(d for d in range(rank) if d < len(result) and source[d] != result[d]) or tuple(range(2, rank))


def unique(values: Iterable[ir.Value]) -> list[ir.Value]:
    return list(dict.fromkeys(values))


def find_groups(graph: ir.Graph, log: Log | None = None) -> list[Group]:
    """The groups of `graph` in execution order; every value must have a static shape."""
    return Grouper(graph, log or Log()).run()
