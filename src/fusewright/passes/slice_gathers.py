"""Gather(x, i) -> Squeeze(Slice(x, i, i + 1)) for one known index i: a part of x's memory instead of a copy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.graph.edit import add_constant
from fusewright.passes.base import Pass
from fusewright.rules.known import attr_int, constant_ints, rank, static_dims


@dataclass(frozen=True)
class SliceGathers(Pass):
    """Gathers of one row, or of neighbouring rows, become slices. Needs static shapes."""

    def run(self, model: ir.Model, log: Log) -> bool:
        changed = False
        for graph in model.graphs():
            constants: dict[int, ir.Value] = {}
            for node in graph:
                if node.domain == "" and node.op_type == "Gather":
                    changed |= _become_slice(graph, node, constants, log)
        return changed


def _become_slice(graph: ir.Graph, node: ir.Node, constants: dict[int, ir.Value], log: Log) -> bool:
    x, result = node.inputs[0], node.outputs[0]
    extents, found = static_dims(x), constant_ints(node.inputs[1])
    flat = (rank(node.inputs[1]) or 0) <= 1
    if x is None or not extents or not found or not flat or result.shape is None:
        return False
    axis = attr_int(node, "axis", 0) % len(extents)
    if any(not -extents[axis] <= i < extents[axis] for i in found):
        return False  # not valid, and not ours to mend
    first = found[0] % extents[axis]
    if [i % extents[axis] for i in found] != list(range(first, first + len(found))):
        return False
    where = str(result.name)

    def number(value: int) -> ir.Value:
        if value not in constants:
            constants[value] = add_constant(graph, f"row_{value}", np.array([value], np.int64))
        return constants[value]

    shape = tuple(len(found) if d == axis else extent for d, extent in enumerate(extents))
    part = ir.Value(name=result.name, type=result.type, shape=ir.Shape(shape))
    inputs = [x, number(first), number(first + len(found)), number(axis)]
    made = [ir.node("Slice", inputs, outputs=[part], name=node.name)]
    last = part
    if rank(node.inputs[1]) == 0:
        part.name = None
        last = ir.Value(name=result.name, type=result.type, shape=result.shape)
        made.append(ir.node("Squeeze", [part, number(axis)], outputs=[last]))
    graph.insert_before(node, made)
    result.name = None
    result.replace_all_uses_with(last, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    log.made("gather-to-slice", where, f"rows {first} to {first + len(found) - 1} lie side by side")
    return True
