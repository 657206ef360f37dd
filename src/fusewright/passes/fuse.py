"""Nodes -> groups: which neighbours become one kernel. Decided by traits (`ops.opdef`), never by names.

A group starts at the node that decides its loops (a contraction, a window, a reduction, data movement, else any
elementwise node) and takes in elementwise neighbours that run along the same loops. Each refusal is recorded.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.graph.group import Group, dtype_of, elements, shape_of
from fusewright.graph.site import site_of
from fusewright.ops.opdef import Kind
from fusewright.ops.probe import Work, elementwise_work
from fusewright.ops.registry import declared
from fusewright.passes.attention import Attention, find_attention
from fusewright.passes.base import report_step
from fusewright.passes.lines import Loops, broadcasts_to
from fusewright.passes.order import in_order
from fusewright.passes.outline import outline

MAX_OPERANDS = 16  # pointers of one kernel; more would spill them and gain nothing
REPEATED_COST = 4  # additions that are cheaper to repeat in each element than to store and load once
FRONT_COST = 8  # additions for each element that a product reads: threads that share its columns repeat them
SEEDS = (Kind.CONTRACTION, Kind.WINDOW, Kind.REDUCTION, Kind.MOVEMENT, Kind.CUSTOM, Kind.ELEMENTWISE, Kind.VIEW)
VECTOR_FLOATS = ("f32", "f64")


@dataclass(eq=False)
class Growth:
    """A group in the making: its members by the order in which they joined, the anchor first."""

    kind: Kind
    anchor: ir.Node
    loops: Loops
    members: dict[ir.Node, None]
    refused: dict[ir.Node, str] = field(default_factory=dict)
    repeated: int = 0  # cost of what is computed anew in each element
    schedule: str = ""  # of a group that no one node decides
    core: frozenset[ir.Node] = frozenset()  # what decides the loops beside the anchor

    def __contains__(self, node: ir.Node | None) -> bool:
        return node in self.members

    def operands(self, *more: ir.Node) -> list[ir.Value]:
        """What comes from outside, were `more` members too; single constants are spelled into the kernel."""
        inside = {*self.members, *more}
        values = unique(v for n in (*self.members, *more) for v in n.inputs if v is not None)
        return [v for v in values if v.producer() not in inside and not (v.const_value is not None and single(v))]

    @property
    def reads_producers(self) -> bool:
        """Whether the anchor computes what it reads, element by element, so that a producer may join it."""
        return self.kind in (Kind.REDUCTION, Kind.MOVEMENT, Kind.ELEMENTWISE)


class Grouper:
    """Assigns every node of a graph to one group."""

    def __init__(self, graph: ir.Graph, log: Log) -> None:
        self.nodes = list(graph)
        self.log = log
        self.order = {n: i for i, n in enumerate(self.nodes)}
        self.owner: dict[ir.Node, Growth] = {}
        self.ops = {n: declared(n.domain, n.op_type) for n in self.nodes}
        self.graph_outputs = set(graph.outputs)
        self.works: dict[ir.Node, Work] = {}

    def run(self) -> list[Group]:
        grown = [self.seed_attention(a) for a in find_attention(self.nodes, self.ops, self.log)]
        for growth in grown:
            self.grow(growth)
        for kind in SEEDS:
            if kind is Kind.ELEMENTWISE:  # what no kernel before it has taken may be computed by the one behind it
                for growth in grown:
                    self.grow_front(growth)
            nodes = [n for n in self.nodes if self.ops[n].kind is kind]
            if kind is Kind.ELEMENTWISE:  # the largest first: smaller operands may be repeated in its loops
                nodes.sort(key=lambda n: -elements(shape_of(n.outputs[0])))
            grown += [self.seed(kind, n) for n in nodes if n not in self.owner]
        return in_order(self.nodes, [self.group(g) for g in grown])

    def seed(self, kind: Kind, node: ir.Node) -> Growth:
        full = shape_of(node.outputs[0])
        loops = Loops(full)
        if kind is Kind.REDUCTION:
            source = node.inputs[0]
            loops = Loops(full if source is None else shape_of(source), frozenset(self.axes(node)))
        growth = Growth(kind, node, loops, {node: None})
        self.owner[node] = growth
        if kind not in (Kind.VIEW, Kind.CUSTOM) and not self.is_window(node):
            self.grow(growth)
        return growth

    def seed_attention(self, found: Attention) -> Growth:
        loops = Loops(shape_of(found.product.outputs[0]))
        members = dict.fromkeys(found.nodes)
        growth = Growth(Kind.CONTRACTION, found.product, loops, members, schedule="attention", core=frozenset(members))
        self.owner.update(dict.fromkeys(members, growth))
        return growth

    def is_window(self, node: ir.Node) -> bool:
        """Whether the results are parts of the operand's memory: no kernel at all is less than one that does more."""
        source, windows = node.inputs[0] if node.inputs else None, self.ops[node].windows
        if windows is None or source is None or any(o in self.graph_outputs for o in node.outputs):
            return False
        shape = shape_of(source)
        return windows(site_of(node), shape, (1,) * len(shape)) is not None

    def axes(self, node: ir.Node) -> tuple[int, ...]:
        reader = self.ops[node].axes
        if reader is None:
            raise ValueError(f"reduction {node.op_type} does not declare its axes")
        return reader(site_of(node))

    def work(self, node: ir.Node) -> Work:
        if node not in self.works:
            self.works[node] = elementwise_work(self.ops[node], site_of(node))
        return self.works[node]

    # -- growing ----------------------------------------------------------------------------------------------
    def grow(self, growth: Growth) -> None:
        """Take in consumers, and producers that nobody else needs, until nothing fits any more."""
        changed = True
        while changed:
            changed = False
            for node in self.consumers(growth):
                reason = self.refuse(growth, node)
                if reason is None:
                    self.take(growth, node)
                    changed = True
                else:
                    growth.refused[node] = reason
            for node in self.producers(growth):
                reason = self.refuse_producer(growth, node)
                if reason is None:
                    self.take(growth, node)
                    changed = True
                else:
                    growth.refused[node] = reason
        for node, reason in growth.refused.items():
            if node not in growth:
                self.log.refused(f"fuse {node.op_type} into {growth.anchor.op_type}", label(node), reason)

    def grow_front(self, growth: Growth) -> None:
        """Take in elementwise work that only makes the first operand of an anchor that computes it as it is read."""
        anchor = growth.anchor
        rule, source = self.ops[anchor].prologue, anchor.inputs[0] if anchor.inputs else None
        if rule is None or source is None:
            return
        front: dict[ir.Node, None] = {}
        refused: dict[ir.Node, str] = {}
        waiting = [source.producer()]
        while waiting:
            node = waiting.pop(0)
            if node is None or node in front or not self.is_free(node):
                continue
            reason = rule(site_of(anchor)) or self.refuse_front(growth, front, node, source)
            if reason is None:
                front[node] = None
                waiting += [v.producer() for v in node.inputs if v is not None]
            else:
                refused[node] = reason
        for node in sorted(front, key=self.order.__getitem__):
            if self.leaves_more(node, front):
                del front[node]
                refused[node] = "the kernel that computes what it reads takes it in and stores less"
        for node in sorted(front, key=self.order.__getitem__, reverse=True):
            if not all(u.node in front or u.node is anchor for o in node.outputs for u in o.uses()):
                del front[node]
                refused[node] = "what reads it is computed elsewhere"
        for node in front:
            self.take(growth, node)
        for node, reason in refused.items():
            self.log.refused(f"fuse {node.op_type} into {anchor.op_type}", label(node), reason)

    def is_free(self, node: ir.Node | None) -> bool:
        """Whether it is an elementwise node that no kernel has taken."""
        return node in self.order and node not in self.owner and self.ops[node].kind is Kind.ELEMENTWISE

    def leaves_more(self, node: ir.Node, front: Iterable[ir.Node]) -> bool:
        """Whether `node` had better join elementwise nodes outside of `front`: what they leave in memory for it to read
        (and store, if it alone needs that) is as much as its own result would be."""
        shape = shape_of(node.outputs[0])
        moved = 0
        for value in unique(v for v in node.inputs if v is not None and shape_of(v) == shape):
            made = value.producer()
            if made is not None and made not in front and self.is_free(made):
                moved += 1 if value in self.graph_outputs or len(value.uses()) > 1 else 2
        return moved > 1

    def refuse_front(self, growth: Growth, front: Iterable[ir.Node], node: ir.Node, source: ir.Value) -> str | None:
        """Why `node`, whose result the anchor reads through `front`, cannot join it; None if it can."""
        uses = [u for o in node.outputs for u in o.uses()]
        if any(o in self.graph_outputs for o in node.outputs) or len(node.outputs) > 1:
            return "its result is needed outside of the kernel too"
        if not all(u.node in front or (u.node is growth.anchor and u.idx == 0) for u in uses):
            return "its result is needed otherwise too"
        if shape_of(node.outputs[0]) != shape_of(source):
            return f"its result has shape {list(shape_of(node.outputs[0]))}, the operand {list(shape_of(source))}"
        if elements(shape_of(source)) == 0 or elements(growth.loops.full) == 0:
            return "it has no elements"
        if sum(self.work(n).cost for n in (*front, node)) > FRONT_COST:
            return "it costs too much to be computed anew for each share of the work"
        return self.refuse_work(growth, node) or self.refuse_operands(growth, node, *front)

    def take(self, growth: Growth, node: ir.Node) -> None:
        growth.members[node] = None
        self.owner[node] = growth
        anchor = growth.anchor
        self.log.made(f"fuse {node.op_type} into {anchor.op_type}", label(node), f"same loops as {label(anchor)}")

    def refuse(self, growth: Growth, node: ir.Node) -> str | None:
        """Why `node`, which reads the group, cannot join it; None if it can."""
        if node in self.owner:
            return f"it belongs to the kernel of {label(self.owner[node].anchor)}"
        kind, loops = self.ops[node].kind, growth.loops
        if kind is Kind.REDUCTION and self.takes_means(growth, node):
            return self.refuse_operands(growth, node)
        if any(self.is_mean_of_row(growth, v) for v in node.inputs):
            return "it reads the means of rows, which are known behind these alone"
        if kind is Kind.REDUCTION and growth.kind is Kind.REDUCTION:
            if not self.same_reduction(growth, node):
                return "it reduces other elements, or over other axes"
        elif kind is not Kind.ELEMENTWISE:
            return f"it is no elementwise operation but {kind.value}"
        shapes = [shape_of(o) for o in node.outputs if self.is_needed(o)] or [shape_of(node.outputs[0])]
        for shape in shapes:
            if loops.line(shape) is None:
                return f"its result has shape {list(shape)}, the loops have {list(loops.full)}"
            if elements(shape) == 0 or elements(loops.full) == 0:
                return "it has no elements"
            inside = [shape_of(v) for v in node.inputs if v is not None and v.producer() in growth]
            if loops.reduces and kind is Kind.ELEMENTWISE and any(loops.clash(shape, s) for s in inside):
                return "it reads a result of the group along another dimension"
        return self.refuse_work(growth, node) or self.refuse_operands(growth, node)

    def same_reduction(self, growth: Growth, node: ir.Node) -> bool:
        source = node.inputs[0]
        same_source = source is not None and shape_of(source) == growth.loops.full
        return same_source and frozenset(self.axes(node)) == growth.loops.reduced

    def takes_means(self, growth: Growth, node: ir.Node) -> bool:
        """Whether `node` gives the means of rows that the anchor's schedule takes while it computes these."""
        rule, source = self.ops[growth.anchor].row_means, node.inputs[0]
        if rule is None or not self.ops[node].mean or source is None or source.producer() not in growth:
            return False
        rows = (*growth.loops.full[:-1], 1)
        along = self.axes(node) == (len(rows) - 1,) and shape_of(node.outputs[0]) == rows
        fits = shape_of(source) == growth.loops.full and elements(rows) > 0 and dtype_of(source) in VECTOR_FLOATS
        return along and fits and self.is_needed_besides(source, growth, node) and rule(site_of(growth.anchor))

    def is_mean_of_row(self, growth: Growth, value: ir.Value | None) -> bool:
        """Whether it is what a group took because of `takes_means`."""
        node = None if value is None else value.producer()
        if node is None or node not in growth:
            return False
        return self.ops[growth.anchor].row_means is not None and self.ops[node].mean

    def is_needed_besides(self, value: ir.Value, growth: Growth, node: ir.Node) -> bool:
        """Whether something outside of the group reads `value` beside `node`, so that the kernel stores it."""
        return value in self.graph_outputs or any(u.node is not node and u.node not in growth for u in value.uses())

    def refuse_work(self, growth: Growth, node: ir.Node) -> str | None:
        """Schedules that hold their result in vectors cannot do the rest one by one."""
        in_vectors = growth.kind is Kind.CONTRACTION or (
            growth.kind is Kind.WINDOW and dtype_of(growth.anchor.outputs[0]) in VECTOR_FLOATS
        )
        if in_vectors and not self.work(node).vector:
            return "it has no vector form"
        return None

    def refuse_operands(self, growth: Growth, node: ir.Node, *more: ir.Node) -> str | None:
        if len(growth.operands(node, *more)) > MAX_OPERANDS:
            return f"the kernel would read more than {MAX_OPERANDS} tensors"
        for value in node.inputs:
            if value is not None and value.producer() not in growth and self.depends(value, growth):
                return f"its operand {value.name} is computed from the group's own result"
        return None

    def refuse_producer(self, growth: Growth, node: ir.Node) -> str | None:
        """Why `node`, whose result the group reads, cannot join it; None if it can."""
        kind, loops = self.ops[node].kind, growth.loops
        if kind is Kind.REDUCTION and not self.same_reduction(growth, node):
            return "it reduces other elements, or over other axes"
        users = {u.node for o in node.outputs for u in o.uses()}
        if any(o in self.graph_outputs for o in node.outputs) or not all(u in growth for u in users):
            return "its result is needed outside of the kernel too"
        if (growth.anchor in users or growth.core & users) and not growth.reads_producers:
            return f"{growth.anchor.op_type} reads its operands more than once"
        shape = shape_of(node.outputs[0])
        if elements(shape) == 0 or elements(loops.full) == 0:
            return "it has no elements"
        if growth.kind is Kind.MOVEMENT and growth.anchor in users:
            return self.refuse_moved(growth, node, shape) or self.refuse_operands(growth, node)
        if kind is Kind.REDUCTION or shape == loops.full:
            clash = loops.reduces and any(
                loops.clash(shape_of(o), shape)
                for u in users
                for o in u.outputs
                if self.is_needed(o) and self.ops[u].kind is Kind.ELEMENTWISE
            )
            if clash:
                return "it is read along another dimension"
            return self.refuse_work(growth, node) or self.refuse_operands(growth, node)
        if not broadcasts_to(shape, loops.full) or (loops.reduces and loops.line(shape) is not None):
            return f"its result has shape {list(shape)}, the loops have {list(loops.full)}"
        return self.refuse_operands(growth, node) or self.refuse_repeated(growth, node)

    def refuse_repeated(self, growth: Growth, node: ir.Node) -> str | None:
        """A smaller operand would be computed anew in each element that it is broadcast to."""
        work = self.work(node)
        if growth.repeated + work.cost > REPEATED_COST:
            return "it is cheaper to compute once than again in each element that it is broadcast to"
        if not work.vector:
            return "it has no vector form"
        growth.repeated += work.cost
        return None

    def refuse_moved(self, growth: Growth, node: ir.Node, shape: tuple[int, ...]) -> str | None:
        """What a movement reads is computed where it is read: not more often than where it is made."""
        if elements(growth.loops.full) <= elements(shape):
            return None
        if self.work(node).cost > REPEATED_COST or len(growth.operands(node)) > len(growth.operands()):
            return "it would be computed more than once for each element"
        return None

    # -- the graph --------------------------------------------------------------------------------------------
    def is_needed(self, value: ir.Value) -> bool:
        return value in self.graph_outputs or bool(value.uses())

    def consumers(self, growth: Growth) -> list[ir.Node]:
        found = {u.node for m in growth.members for o in m.outputs for u in o.uses()} - growth.members.keys()
        return sorted((n for n in found if n in self.order), key=self.order.__getitem__)

    def producers(self, growth: Growth) -> list[ir.Node]:
        """Elementwise producers of what the group reads, and reductions where it reduces; the latest first."""
        found = {v.producer() for m in growth.members for v in m.inputs if v is not None} - growth.members.keys()
        fitting = (Kind.ELEMENTWISE, Kind.REDUCTION) if growth.kind is Kind.REDUCTION else (Kind.ELEMENTWISE,)
        nodes = [n for n in found if n is not None and n in self.order and n not in self.owner]
        nodes = [n for n in nodes if self.ops[n].kind in fitting]
        return sorted(nodes, key=lambda n: -self.order[n])

    def depends(self, value: ir.Value, growth: Growth) -> bool:
        """Whether `value` is computed from the group, counting whole groups as one step."""
        seen: set[ir.Node] = set()
        stack = [value.producer()]
        while stack:
            node = stack.pop()
            if node is None or node in seen or node not in self.order:
                continue
            if node in growth:
                return True
            unit: Iterable[ir.Node] = self.owner[node].members if node in self.owner else (node,)
            seen.update(unit)
            stack += [v.producer() for n in unit for v in n.inputs if v is not None and v.producer() not in seen]
        return False

    # -- result -----------------------------------------------------------------------------------------------
    def group(self, growth: Growth) -> Group:
        """The group with its inputs and outputs; its number is given later."""
        members = sorted(growth.members, key=self.order.__getitem__)
        inside = set(members)
        inputs = unique(v for n in members for v in n.inputs if v is not None and v.producer() not in inside)
        outputs = [
            o
            for n in members
            for o in n.outputs
            if o in self.graph_outputs or any(u.node not in inside for u in o.uses())
        ]
        if not outputs:  # nothing reads it: dead, but a kernel needs a place to write to
            outputs = [members[-1].outputs[0]]
        return Group(0, growth.kind.value, growth.anchor, members, inputs, outputs, growth.schedule)


def label(node: ir.Node) -> str:
    return node.name or node.op_type


def single(value: ir.Value) -> bool:
    return value.shape is not None and elements(shape_of(value)) == 1


def unique(values: Iterable[ir.Value]) -> list[ir.Value]:
    return list(dict.fromkeys(values))


def find_groups(graph: ir.Graph, log: Log | None = None) -> list[Group]:
    """The groups of `graph` in execution order; every value must have a static shape."""
    return Grouper(graph, log or Log()).run()


def fuse(model: ir.Model, log: Log) -> list[Group]:
    """`find_groups`, reported as passes are: FUSEWRIGHT_DUMP shows each group as a function."""
    seen, start = len(log.decisions), time.perf_counter()
    with log.within("fuse"):
        groups = find_groups(model.graph, log)
    report_step("fuse", lambda: outline(model, groups), log, seen, time.perf_counter() - start)
    return groups
