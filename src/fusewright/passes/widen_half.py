"""y = MatMul(a, b) on float16 -> y = Cast(MatMul(Cast(a), Cast(b))): sums of products run in float32 vectors.

Schedules of contractions and windows have no vectors of half precision; float32 sums are also what users expect of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.ops.opdef import Kind
from fusewright.ops.registry import find
from fusewright.passes.base import Pass

HALF = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
WIDENED = (Kind.CONTRACTION, Kind.WINDOW)


@dataclass(frozen=True)
class WidenHalf(Pass):
    """By kind of operation; every value must have its type."""

    def run(self, model: ir.Model, log: Log) -> bool:
        changed = False
        for node in tuple(model.graph):
            definition = find(node.domain, node.op_type)
            if definition is None or definition.kind not in WIDENED:
                continue
            if not any(v is not None and v.dtype in HALF for v in (*node.inputs, *node.outputs)):
                continue
            widen(model.graph, node)
            log.made("widen-half", str(node.name), "its sums run in float32")
            changed = True
        return changed


def widen(graph: ir.Graph, node: ir.Node) -> None:
    """Casts around `node`; its results keep their names and types."""
    for i, value in enumerate(node.inputs):
        if value is not None and value.dtype in HALF:
            cast = _cast(value, ir.DataType.FLOAT, f"{node.name}_widen_{i}", f"{node.name}_wide_{i}")
            graph.insert_before(node, cast)
            node.replace_input_with(i, cast.outputs[0])
    for i, output in enumerate(node.outputs):
        if not output.name or output.dtype not in HALF:
            continue
        half, name = output.dtype, output.name
        output.name = f"{node.name}_wide_output_{i}"
        output.type = ir.TensorType(ir.DataType.FLOAT)
        cast = _cast(output, half, f"{node.name}_narrow_{i}", name)
        graph.insert_after(node, cast)
        uses = [use for use in output.uses() if use.node is not cast]
        for use in uses:
            use.node.replace_input_with(use.idx, cast.outputs[0])
        for position, value in enumerate(graph.outputs):
            if value is output:
                graph.outputs[position] = cast.outputs[0]


def _cast(value: ir.Value, to: ir.DataType, name: str, result: str) -> ir.Node:
    node = ir.Node("", "Cast", [value], [ir.AttrInt64("to", int(to))], num_outputs=1, name=name)
    made = node.outputs[0]
    made.name, made.shape, made.type = result, value.shape, ir.TensorType(to)
    return node
