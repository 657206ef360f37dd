"""The mean of a picture is the mean of its rows' means, which a convolution can take while it computes the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.graph.edit import add_constant
from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.graph.site import site_of
from fusewright.ops.opdef import Kind
from fusewright.ops.registry import find
from fusewright.passes.base import Pass

WIDE = ("f32", "f64")  # means of rows would be rounded once more in half precision


@dataclass(frozen=True)
class MeansOfRows(Pass):
    """Mean(y, rows and columns) -> Mean(Mean(y, columns), rows and columns), as squeeze-and-excite asks for it, where
    the kernel that computes y takes the means of rows (`OpDef.row_means`). Needs static shapes."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return any([_split(model.graph, node, log) for node in model.graph if _is_mean_of_picture(node)])


def _is_mean_of_picture(node: ir.Node) -> bool:
    definition, picture = find(node.domain, node.op_type), node.inputs[0] if node.inputs else None
    if definition is None or not definition.mean or definition.axes is None or picture is None:
        return False
    if dtype_of(picture) not in WIDE or len(shape_of(picture)) != 4:
        return False
    return definition.axes(site_of(node)) == (2, 3)


def _split(graph: ir.Graph, node: ir.Node, log: Log) -> bool:
    picture = node.inputs[0]
    if picture is None or len(picture.uses()) < 2 or not elements(shape_of(picture)) or not _has_row_means(picture):
        return False
    name = f"{picture.name}/rows"
    means = ir.Value(name=name, type=picture.type, shape=ir.Shape((*shape_of(picture)[:3], 1)))
    axes = add_constant(graph, f"{name}/axes", np.array([3], np.int64))
    graph.insert_before(node, ir.node("ReduceMean", [picture, axes], outputs=[means], name=name))
    node.replace_input_with(0, means)
    log.made("means-of-rows", str(node.name or node.op_type), f"of {picture.name}, as its kernel computes them")
    return True


def _has_row_means(value: ir.Value) -> bool:
    """Whether it is computed, element by element, from what such a kernel computes."""
    shape, waiting, seen = value.shape, [value.producer()], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen or node.outputs[0].shape != shape:
            continue
        seen.add(node)
        definition = find(node.domain, node.op_type)
        if definition is None:
            return False
        if definition.row_means is not None:
            return definition.row_means(site_of(node))
        if definition.kind is Kind.ELEMENTWISE:
            waiting += [v.producer() for v in node.inputs if v is not None]
    return False
