"""y = Relu(Add(Conv(x, w), r)) -> y = fusewright.Conv_Relu_Add_12(x, w, r): each group becomes an ONNX function.

The body holds the original nodes, so the meaning is never lost: any runtime can run the model, any viewer can show it.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from fusewright.graph.group import Group

DOMAIN = "fusewright"
DOMAIN_VERSION = 1
FUNCTIONS_IR_VERSION = 8  # the first with functions in a model
NAMED_OPERATIONS = 5  # a longer chain is told by its first operations


def outline(model: ir.Model, groups: Sequence[Group]) -> ir.Model:
    """A copy of `model` (sharing its weights) in which each group of several nodes is one call of a function.

    `groups` are those of `model.graph`, in execution order. Weights are passed to the functions as inputs; a group of
    one node stays as it is.
    """
    graph = model.graph
    values = {v: _copied(v) for v in [*graph.inputs, *graph.initializers.values()]}
    nodes: list[ir.Node] = []
    functions: list[ir.Function] = []
    for group in groups:
        if len(group.nodes) == 1:
            nodes.append(_node(group.nodes[0], values))
            continue
        function = _function(group, graph.opset_imports)
        functions.append(function)
        outputs = [values.setdefault(v, _copied(v)) for v in group.outputs]
        inputs = [values[v] for v in group.inputs]
        nodes.append(ir.Node(DOMAIN, function.name, inputs, outputs=outputs, name=function.name))
    imports = {**graph.opset_imports, **({DOMAIN: DOMAIN_VERSION} if functions else {})}
    made = ir.Graph(
        [values[v] for v in graph.inputs],
        [values[v] for v in graph.outputs],
        nodes=nodes,
        initializers=[values[v] for v in graph.initializers.values()],
        opset_imports=imports,
        name=graph.name,
        doc_string=graph.doc_string,
    )
    return ir.Model(
        made,
        ir_version=max(model.ir_version, FUNCTIONS_IR_VERSION),
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        functions=functions,
    )


def function_name(group: Group) -> str:
    """What the group computes, in order, and its number."""
    operations = [n.op_type for n in group.nodes]
    shown = operations[:NAMED_OPERATIONS] + ["and_more"] * (len(operations) > NAMED_OPERATIONS)
    return "_".join([*shown, str(group.index)])


def _function(group: Group, opset_imports: dict[str, int]) -> ir.Function:
    inside = {v: _copied(v) for v in group.inputs}
    for value in inside.values():
        value.const_value = None
    inputs = list(inside.values())
    nodes = [_node(n, inside) for n in group.nodes]
    outputs = [inside[v] for v in group.outputs]
    body = ir.Graph(inputs, outputs, nodes=nodes, opset_imports=dict(opset_imports), name="")
    return ir.Function(DOMAIN, function_name(group), "", graph=body, attributes=[])


def _node(node: ir.Node, values: dict[ir.Value, ir.Value]) -> ir.Node:
    """The same node on the values of another graph; its outputs are added to them."""
    outputs = [values.setdefault(o, _copied(o)) for o in node.outputs]
    inputs = [None if v is None else values[v] for v in node.inputs]
    return ir.Node(
        node.domain,
        node.op_type,
        inputs,
        list(node.attributes.values()),
        overload=node.overload,
        outputs=outputs,
        name=node.name,
        doc_string=node.doc_string,
    )


def _copied(value: ir.Value) -> ir.Value:
    return ir.Value(name=value.name, type=value.type, shape=value.shape, const_value=value.const_value)
