"""y = f(g(a)) on float16 -> y = Cast(f(g(Cast(a)))): what is computed in half precision is computed in float32.

Processors load and store halves by vectors, but few compute with them. What a node makes stays in float32 for the next
one, and is rounded where it leaves the graph, or where the model itself rounds it. Weights become float32 ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from fusewright.errors import InternalError
from fusewright.graph.decisions import Log
from fusewright.ops.opdef import Kind
from fusewright.ops.registry import find
from fusewright.passes.base import Pass

HALF = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
MOVED = (Kind.MOVEMENT, Kind.VIEW)
ROUNDING = ("Cast", "CastLike")  # what the model itself rounds, from whatever type
TYPES = ("dtype", "output_dtype")  # attributes that name the type of a result


@dataclass(frozen=True)
class WidenHalf(Pass):
    """Nodes in the order in which they run, as far as values have their types."""

    def run(self, model: ir.Model, log: Log) -> bool:
        wide: dict[ir.Value, ir.Value] = {}
        changed = False
        for node in tuple(model.graph):
            if node.op_type in ROUNDING:
                source = node.inputs[0]
                if source in wide:
                    node.replace_input_with(0, wide[source])
            elif to_widen(node, wide):
                widen(model.graph, node, wide)
                log.made("widen-half", str(node.name), "it is computed in float32")
                changed = True
        return changed


def to_widen(node: ir.Node, wide: dict[ir.Value, ir.Value]) -> bool:
    """Whether a node reads halves; what only moves them leaves them as they lie in memory."""
    halves = [v for v in node.inputs if v is not None and v.dtype in HALF]
    if node.domain != "" or not halves or any(a.type is ir.AttributeType.GRAPH for a in node.attributes.values()):
        return False
    definition = find(node.domain, node.op_type)
    return definition is not None and (definition.kind not in MOVED or any(v in wide for v in halves))


def widen(graph: ir.Graph, node: ir.Node, wide: dict[ir.Value, ir.Value]) -> None:
    """Casts around `node`; its results keep their names and types. `wide` has the float32 value behind each half."""
    for i, value in enumerate(node.inputs):
        if value is None or value.dtype not in HALF:
            continue
        if value not in wide and value.is_initializer() and not value.is_graph_input():
            wide[value] = _wide_weight(graph, value)
        elif value not in wide:
            cast = _cast(value, ir.DataType.FLOAT, f"{value.name}_widen", f"{value.name}_wide")
            graph.insert_before(node, cast)
            wide[value] = cast.outputs[0]
        node.replace_input_with(i, wide[value])
    for name in TYPES:
        if name in node.attributes and node.attributes[name].as_int() in HALF:
            node.attributes[name] = ir.AttrInt64(name, int(ir.DataType.FLOAT))
    for output in node.outputs:
        if not output.name or output.dtype not in HALF:
            continue
        half, name = output.dtype, output.name
        output.name = f"{name}_wide"
        output.type = ir.TensorType(ir.DataType.FLOAT)
        cast = _cast(output, half, f"{name}_narrow", name)
        graph.insert_after(node, cast)
        wide[cast.outputs[0]] = output
        uses = [use for use in output.uses() if use.node is not cast]
        for use in uses:
            use.node.replace_input_with(use.idx, cast.outputs[0])
        for position, value in enumerate(graph.outputs):
            if value is output:
                graph.outputs[position] = cast.outputs[0]


def _wide_weight(graph: ir.Graph, value: ir.Value) -> ir.Value:
    """The weight in float32, of which there is no copy until it is packed for a kernel."""
    half = value.const_value
    if half is None:
        raise InternalError(f"the weight {value.name} has no elements")
    name, shape, to = f"{value.name}_wide", half.shape.numpy(), ir.DataType.FLOAT
    tensor = ir.LazyTensor(lambda: ir.tensor(half.numpy().astype(np.float32)), to, ir.Shape(shape), name=name)
    made = ir.Value(name=name, type=ir.TensorType(to), shape=ir.Shape(shape), const_value=tensor)
    graph.initializers[name] = made
    return made


def _cast(value: ir.Value, to: ir.DataType, name: str, result: str) -> ir.Node:
    node = ir.Node("", "Cast", [value], [ir.AttrInt64("to", int(to))], num_outputs=1, name=name)
    made = node.outputs[0]
    made.name, made.shape, made.type = result, value.shape, ir.TensorType(to)
    return node
