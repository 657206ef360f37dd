"""f(view(x), c) -> view(f(x, c')): elementwise work moves to where its operand is made, and fuses there.

A view is what the operations declare as one (Reshape and its kin, Transpose); c is one number, a constant that
broadcasts, the same view of something else, or another operand that can be seen the other way round for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.graph.edit import add_constant
from fusewright.ops.opdef import Kind, OpDef
from fusewright.ops.registry import find
from fusewright.passes.base import Pass
from fusewright.passes.replace import remove_if_dead
from fusewright.rules.known import constant, constant_size, rank, static_dims
from fusewright.rules.no_ops import same_shape
from fusewright.rules.transposes import permutation

MADE_IN_LOOPS = (Kind.CONTRACTION, Kind.WINDOW, Kind.REDUCTION, Kind.MOVEMENT, Kind.ELEMENTWISE)


@dataclass(frozen=True)
class SinkViews(Pass):
    """Elementwise nodes behind views of a computed value go before the views."""

    def run(self, model: ir.Model, log: Log) -> bool:
        changed = False
        for graph in model.graphs():
            changed |= _Walk(graph, log).run()
        return changed


@dataclass(frozen=True)
class _View:
    """One view: its node, the value that it looks at, and the permutation if it is a transposition."""

    node: ir.Node
    source: ir.Value
    order: tuple[int, ...] | None

    def same(self, other: _View) -> bool:
        """Whether both show the same dimensions in the same way."""
        if self.order is not None or other.order is not None:
            return self.order == other.order and rank(self.source) == rank(other.source)
        first, second = static_dims(self.source), static_dims(other.source)
        return first is not None and first == second and static_dims(self.result) == static_dims(other.result)

    @property
    def result(self) -> ir.Value:
        return self.node.outputs[0]


@dataclass
class _Walk:
    graph: ir.Graph
    log: Log
    place: dict[ir.Node, int] = field(default_factory=dict)
    pending: list[ir.Node] = field(default_factory=list)  # views of other operands, to be put in before the node

    def run(self) -> bool:
        nodes = list(self.graph)
        self.place = {n: i for i, n in enumerate(nodes)}
        changed = False
        for node in nodes:
            moved = self.sink(node)
            while moved is not None:
                changed = True
                moved = self.sink(moved)
        return changed

    def sink(self, node: ir.Node) -> ir.Node | None:
        """Put `node` before the view of its latest operand; returns the node that took its place, None if none did."""
        definition = broadcasting(node)
        if definition is None or len(node.outputs) != 1:
            return None
        views = [v for v in map(self.view, node.inputs) if v is not None and self.made_in_loops(v.source)]
        if not views:
            return None
        view = max(views, key=lambda v: self.made_at(v.source))
        if any(self.made_at(x) > self.made_at(view.source) for x in node.inputs if x is not view.result):
            return None  # the operand that is made later takes the node
        alike = same_shape(node.outputs[0], view.result)  # else the node itself may broadcast what the view shows
        operands = []
        for i, x in enumerate(node.inputs):
            operand = self.operand(view, x, i in definition.constants, alike)
            if operand is None:
                return None
            if operand.moves and self.made_at(x) == self.made_at(view.source):
                return None  # x + transposed(x): seen the other way round it would be the same again, for ever
            operands.append(operand)
        return self.move(node, view, [self.seen(view, o) for o in operands])

    # -- operands ---------------------------------------------------------------------------------------------
    def view(self, value: ir.Value | None) -> _View | None:
        node = None if value is None else value.producer()
        definition = None if node is None else find(node.domain, node.op_type)
        if node is None or definition is None or definition.kind is not Kind.VIEW or node.graph is not self.graph:
            return None
        source = node.inputs[0]
        if source is None or definition.alias is None or source.dtype is None:
            return None
        if not definition.permutes:
            return _View(node, source, None)
        order = permutation(node)
        return None if order is None else _View(node, source, tuple(order))

    def made_in_loops(self, value: ir.Value) -> bool:
        """Whether a kernel makes the value that could take more elementwise work."""
        while (view := self.view(value)) is not None:
            value = view.source
        node = value.producer()
        definition = None if node is None or node not in self.place else find(node.domain, node.op_type)
        return definition is not None and definition.kind in MADE_IN_LOOPS

    def made_at(self, value: ir.Value | None) -> int:
        """The place in the graph of the node that makes a value, views not counted; -1 for inputs and constants."""
        if value is None:
            return -1
        while (view := self.view(value)) is not None:
            value = view.source
        node = value.producer()
        return -1 if node is None else self.place.get(node, -1)

    def operand(self, view: _View, x: ir.Value | None, told: bool, alike: bool) -> _Operand | None:
        """How the node's operand looks before the view; None where it cannot be seen so."""
        if x is None or told:
            return _Operand(x)
        if x is view.result:
            return _Operand(view.source)
        size, full, own = constant_size(x), rank(view.source), rank(x)
        if full is None or own is None:
            return None
        if size == 1 and own <= full:
            return _Operand(x)
        if not alike:
            return None
        other = self.view(x)
        if other is not None and other.same(view):
            return _Operand(other.source)
        before, after = static_dims(view.source), static_dims(view.result)
        if view.order is not None:
            turned = size is not None or (after is not None and static_dims(x) == after)
            return _Operand(x, turn=True) if turned and own <= full else None
        if size is None and before is not None and after is not None and static_dims(x) == after:
            only_ones = [d for d in before if d != 1] == [d for d in after if d != 1]
            return _Operand(x, reshape=before) if only_ones else None
        return None

    def seen(self, view: _View, operand: _Operand) -> ir.Value | None:
        """The operand before the view, made where it is not there yet."""
        x = operand.value
        if x is None or not operand.moves:
            return x
        if operand.reshape is not None:
            target = add_constant(self.graph, f"{x.name}_shape", np.array(operand.reshape, np.int64))
            return self.insert(view, "Reshape", [x, target], {}, operand.reshape)
        order = list(view.order or ())
        back = [order.index(d) for d in range(len(order))]
        array = constant(x)
        if array is not None:
            full = array.reshape((1,) * (len(order) - array.ndim) + array.shape).transpose(back)
            kept = next((d for d, extent in enumerate(full.shape) if extent != 1), full.ndim)
            return add_constant(self.graph, f"{x.name}_turned", np.ascontiguousarray(full.reshape(full.shape[kept:])))
        shape = static_dims(x)
        return self.insert(view, "Transpose", [x], {"perm": back}, tuple((shape or ())[d] for d in back))

    def insert(
        self, view: _View, op: str, inputs: list[ir.Value], attributes: dict[str, list[int]], shape: tuple[int, ...]
    ) -> ir.Value:
        source = inputs[0]
        result = ir.Value(type=source.type, shape=ir.Shape(shape))
        made = ir.node(op, inputs, attributes, outputs=[result])
        self.pending.append(made)
        return result

    # -- rewriting --------------------------------------------------------------------------------------------
    def move(self, node: ir.Node, view: _View, operands: list[ir.Value | None]) -> ir.Node:
        result = node.outputs[0]
        source_shape = view.source.shape
        inner = ir.Value(type=result.type, shape=None if source_shape is None else source_shape.copy())
        attributes = list(node.attributes.values())
        first = ir.Node(node.domain, node.op_type, operands, attributes, outputs=[inner], name=node.name)
        outer = ir.Value(name=result.name, type=result.type, shape=result.shape)
        kept = list(view.node.attributes.values())
        inputs = [inner, *view.node.inputs[1:]]
        second = ir.Node(view.node.domain, view.node.op_type, inputs, kept, outputs=[outer])
        where = str(result.name)
        self.graph.insert_before(node, [*self.pending, first, second])
        self.place[first] = self.place.get(node, -1)
        self.pending.clear()
        result.name = None
        result.replace_all_uses_with(outer, replace_graph_outputs=True)
        passed = {v.node for v in map(self.view, node.inputs) if v is not None}
        self.graph.remove(node, safe=True)
        for unread in passed:
            remove_if_dead(unread)
        reason = f"{node.op_type} goes before {view.node.op_type}, to where its operand is made"
        self.log.made("sink-view", where, reason)
        return first


@dataclass(frozen=True)
class _Operand:
    """A value, and what has to be done to see it as before the view."""

    value: ir.Value | None
    turn: bool = False
    reshape: tuple[int, ...] | None = None

    @property
    def moves(self) -> bool:
        return self.turn or self.reshape is not None


def broadcasting(node: ir.Node) -> OpDef | None:
    """The declaration of an elementwise operation whose operands all broadcast, None for others."""
    definition = find(node.domain, node.op_type)
    if definition is None or definition.kind is not Kind.ELEMENTWISE or definition.channels:
        return None
    return definition
