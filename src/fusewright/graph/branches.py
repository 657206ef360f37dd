"""y = If(constant) {then: a} {else: b} -> a, or b: the nodes of the branch taken move into the graph."""

from __future__ import annotations

import onnx_ir as ir

from fusewright.graph.edit import take_over


def inline_branch(node: ir.Node, condition: bool) -> list[ir.Node]:
    """Replace `node`, an If whose condition is known, by the nodes of its branch; returns them in order."""
    graph = node.graph
    assert graph is not None
    branch = node.attributes["then_branch" if condition else "else_branch"].as_graph()
    outputs = list(branch.outputs)
    branch.outputs.clear()
    taken = _names(graph)
    for name in list(branch.initializers):
        value = branch.initializers.pop(name)
        _rename(value, node, taken)
        graph.register_initializer(value)
    nodes = list(branch)
    branch.remove(nodes)
    for inner in nodes:
        for value in inner.outputs:
            _rename(value, node, taken)
    graph.insert_before(node, nodes)
    for old, new in zip(node.outputs, outputs, strict=True):
        take_over(old, new)
    graph.remove(node, safe=True)
    return nodes


def _names(graph: ir.Graph) -> set[str | None]:
    names: set[str | None] = {value.name for value in graph.inputs}
    names.update(graph.initializers)
    names.update(value.name for node in graph for value in node.outputs)
    return names


def _rename(value: ir.Value, node: ir.Node, taken: set[str | None]) -> None:
    """Branches of different nodes may use the same names; in one graph they may not."""
    if not value.name:
        return
    base, number = value.name, 0
    while value.name in taken:
        value.name = f"{node.name}/{base}" if number == 0 else f"{node.name}/{base}_{number}"
        number += 1
    taken.add(value.name)
