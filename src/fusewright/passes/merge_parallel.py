"""Products of one operand side by side -> one product, of whose result each reader sees a part.

    q = MatMul(x, A) + a; k = MatMul(x, B) + b  ->  q, k = Split(MatMul(x, [A B]) + [a b])

Queries, keys and values of attention are such. The operand is read, and where a product needs that prepared, once; and
threads share out one large call instead of waiting for each other behind each small one. That pays only where the parts
may stay where they are made, so each reader must be a product of matrices, whose rows may lie apart, behind views that
show a part as it lies. Any other would need a copy, or be part of the product's own kernel, were the product alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.graph.edit import add_constant
from fusewright.graph.fates import SHAPE_READERS
from fusewright.ops.opdef import Kind
from fusewright.ops.registry import find
from fusewright.passes.base import Pass
from fusewright.rules.known import Array, attr_float, attr_int, constant, constant_size, dims, input_at

READER = "matmul"  # the schedule that reads both operands in any strides


@dataclass(frozen=True)
class MergeParallel(Pass):
    """Products of one operand with weights become one product and a Split."""

    def run(self, model: ir.Model, log: Log) -> bool:
        changed = False
        for graph in model.graphs():
            alike: dict[Hashable, list[Branch]] = {}
            for node in graph:
                branch = branch_of(node)
                if branch is not None:
                    alike.setdefault(branch.key, []).append(branch)
            for branches in alike.values():
                if len(branches) > 1:
                    changed |= merge_fitting(graph, branches, log)
        return changed


@dataclass(frozen=True, eq=False)
class Branch:
    """A product, the Add of its bias if there is one, and what such products must have in common."""

    nodes: tuple[ir.Node, ...]
    weight: ir.Value
    bias: ir.Value | None
    width: int
    columns_at: int  # the dimension of the weights that holds columns
    key: Hashable

    @property
    def product(self) -> ir.Node:
        return self.nodes[0]

    @property
    def result(self) -> ir.Value:
        return self.nodes[-1].outputs[0]


def branch_of(node: ir.Node) -> Branch | None:
    """The branch that starts at `node`; None if it is no product of something computed with weights."""
    if node.domain != "" or node.op_type not in ("MatMul", "Gemm"):
        return None
    x, weight, bias = node.inputs[0], node.inputs[1], input_at(node, 2)
    extents = None if constant_size(weight) is None else dims(weight)
    if x is None or weight is None or extents is None or len(extents) != 2 or constant_size(x) is not None:
        return None
    columns_at = 0 if attr_int(node, "transB", 0) else 1
    depth, width = extents[1 - columns_at], extents[columns_at]
    nodes: tuple[ir.Node, ...] = (node,)
    if not width or attr_float(node, "beta", 1) != 1 or (bias is not None and not is_row(bias, width)):
        return None
    if node.op_type == "MatMul":
        adding = adding_row(node, width)
        if adding is not None:
            nodes, bias = (node, adding[0]), adding[1]
    settings = tuple(sorted((name, str(a.value)) for name, a in node.attributes.items()))
    return Branch(nodes, weight, bias, width, columns_at, (id(x), node.op_type, settings, depth, weight.dtype))


def adding_row(product: ir.Node, width: int) -> tuple[ir.Node, ir.Value] | None:
    """The Add of a constant for each column that alone reads the product, and this constant."""
    result = product.outputs[0]
    users = {use.node for use in result.uses()}
    if result.is_graph_output() or len(users) != 1:
        return None
    (user,) = users
    if user.domain != "" or user.op_type != "Add" or user.graph is not product.graph:
        return None
    bias = next((v for v in user.inputs if v is not None and v is not result and is_row(v, width)), None)
    return None if bias is None else (user, bias)


def is_row(value: ir.Value, width: int) -> bool:
    return constant_size(value) is not None and dims(value) in ((width,), (1, width))


# -- which results may be parts --------------------------------------------------------------------------------
def merge_fitting(graph: ir.Graph, branches: Sequence[Branch], log: Log) -> bool:
    fitting: list[Branch] = []
    for branch in branches:
        reason = refusal(branch.result, branch.width)
        if reason is None:
            fitting.append(branch)
        else:
            log.refused("merge-parallel", str(branch.product.outputs[0].name), reason)
    if len(fitting) < 2:
        return False
    for branch in fitting:
        log.made("merge-parallel", str(branch.product.outputs[0].name), f"one of {len(fitting)} that read one operand")
    merge(graph, fitting)
    return True


def refusal(value: ir.Value, width: int | None) -> str | None:
    """Why its readers could not see `value` as a part of a larger result; None if all can. `width` is the extent of its
    last dimension where that runs through the larger one, None behind a view that has been looked at."""
    if value.is_graph_output():
        return f"{value.name} is a result of the model, which lies alone"
    if not value.uses():
        return f"nothing reads {value.name}"
    for use in value.uses():
        definition = find(use.node.domain, use.node.op_type)
        if (definition is not None and definition.schedule == READER) or use.node.op_type in SHAPE_READERS:
            continue
        if definition is None or definition.kind is not Kind.VIEW or use.idx != 0 or use.node.graph is not value.graph:
            return f"it is read by {use.node.op_type}, which is no product"
        shown = use.node.outputs[0]
        if width is not None and not definition.permutes and not keeps_rows(shown, width):
            return f"{use.node.op_type} shows more than a part of each row, which would need a copy"
        reason = refusal(shown, width if definition.permutes else None)
        if reason is not None:
            return reason
    return None


def keeps_rows(shown: ir.Value, width: int) -> bool:
    """Whether the last dimensions of a view make up a row: no other runs into it."""
    tail = 1
    for extent in reversed(dims(shown) or ()):
        if extent is None:
            return False
        tail *= extent
        if tail >= width:
            break
    return tail == width


# -- rewriting -------------------------------------------------------------------------------------------------
def merge(graph: ir.Graph, branches: Sequence[Branch]) -> None:
    first, widths = branches[0], [b.width for b in branches]
    product, name = first.product, str(first.weight.name)
    inputs = [product.inputs[0], side_by_side(graph, f"{name}_merged", [b.weight for b in branches], first.columns_at)]
    adding = next((b for b in branches if b.bias is not None), None)
    bias: ir.Value | None = None
    if adding is not None:
        dtype = row(adding).dtype
        bias = add_constant(graph, f"{name}_merged_bias", np.concatenate([row(b).astype(dtype) for b in branches]))
        if len(adding.nodes) == 1:
            inputs.append(bias)
    value = widened(product.outputs[0], sum(widths))
    made = [ir.Node("", product.op_type, inputs, product.attributes.values(), outputs=[value], name=product.name)]
    if adding is not None and len(adding.nodes) > 1:
        total = widened(value, sum(widths))
        made.append(ir.Node("", "Add", [value, bias], outputs=[total], name=adding.nodes[1].name))
        value = total
    parts = [ir.Value(type=b.result.type, shape=b.result.shape) for b in branches]
    sizes = add_constant(graph, f"{name}_widths", np.array(widths, np.int64))
    made.append(ir.node("Split", [value, sizes], {"axis": -1}, outputs=parts, name=f"{product.name}_parts"))
    graph.insert_before(product, made)
    for branch, part in zip(branches, parts, strict=True):
        old = branch.result
        old.replace_all_uses_with(part)
        old.name, part.name = None, old.name
        graph.remove(reversed(branch.nodes), safe=True)


def side_by_side(graph: ir.Graph, name: str, weights: Sequence[ir.Value], axis: int) -> ir.Value:
    """The weights as one, put together whenever they are asked for: what a kernel reads is packed once."""
    shape = list(dims(weights[0]) or ())
    shape[axis] = sum((dims(w) or ())[axis] or 0 for w in weights)
    dtype = weights[0].dtype
    assert dtype is not None, name

    def joined() -> ir.TensorProtocol:
        return ir.tensor(np.concatenate([elements(w) for w in weights], axis), dtype)

    return add_constant(graph, name, ir.LazyTensor(joined, dtype, ir.Shape(shape)))


def row(branch: Branch) -> Array:
    return np.zeros(branch.width) if branch.bias is None else elements(branch.bias).reshape(-1)


def elements(value: ir.Value) -> Array:
    array = constant(value)
    assert array is not None, value.name
    return array


def widened(value: ir.Value, width: int) -> ir.Value:
    """A value like this one, with another extent of the last dimension."""
    shape = None if value.shape is None else ir.Shape([*list(value.shape)[:-1], width])
    return ir.Value(type=value.type, shape=shape)
