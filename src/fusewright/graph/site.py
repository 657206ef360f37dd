"""How does a node look to its declaration? A `Site`: attributes, dtypes, shapes and the constants that it asks for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from fusewright.graph.group import dtype_of, shape_of
from fusewright.ops.opdef import Site
from fusewright.ops.registry import find


def site_of(node: ir.Node) -> Site:
    """The site of `node` in a graph whose shapes are all known."""
    definition = find(node.domain, node.op_type)
    constants: dict[int, np.ndarray] = {}
    for i in definition.constants if definition else ():
        value = node.inputs[i] if i < len(node.inputs) else None
        if value is not None and value.const_value is not None and not value.is_graph_input():
            constants[i] = value.const_value.numpy()
    return make_site(node, constants)


def make_site(node: ir.Node, constants: Mapping[int, np.ndarray]) -> Site:
    """`node` with these constant inputs, as declarations want to see it."""
    shapes = tuple(shape_of(o) if o.shape is not None else () for o in node.outputs)
    dtypes = tuple(dtype_of(o) if o.dtype is not None else "f32" for o in node.outputs)
    inputs = tuple(
        None
        if v is None
        else (dtype_of(v) if v.dtype is not None else "f32", shape_of(v) if v.shape is not None else ())
        for v in node.inputs
    )
    return Site(node.op_type, attributes_of(node), shapes, dtypes, constants, inputs)


def attributes_of(node: ir.Node) -> Mapping[str, object]:
    """Plain Python values of a node's attributes."""
    return {name: attribute.value for name, attribute in node.attributes.items()}
