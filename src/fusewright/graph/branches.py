"""y = If(constant) {then: a} {else: b} -> a, or b: the nodes of the branch taken move into the graph."""

from __future__ import annotations

import onnx_ir as ir

from fusewright.graph.edit import rename, take_over, value_names


def inline_branch(node: ir.Node, condition: bool) -> list[ir.Node]:
    """Replace `node`, an If whose condition is known, by the nodes of its branch; returns them in order."""
    graph = node.graph
    assert graph is not None
    branch = node.attributes["then_branch" if condition else "else_branch"].as_graph()
    outputs = list(branch.outputs)
    branch.outputs.clear()
    taken = value_names(graph)
    for name in list(branch.initializers):
        value = branch.initializers.pop(name)
        rename(value, str(node.name), taken)
        graph.register_initializer(value)
    nodes = list(branch)
    branch.remove(nodes)
    for inner in nodes:
        for value in inner.outputs:
            rename(value, str(node.name), taken)
    graph.insert_before(node, nodes)
    for old, new in zip(node.outputs, outputs, strict=True):
        take_over(old, new)
    graph.remove(node, safe=True)
    return nodes
