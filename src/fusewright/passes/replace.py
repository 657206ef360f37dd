"""How does one value take the place of another, so that graph inputs and outputs keep their names?"""

from __future__ import annotations

import onnx_ir as ir


def stand_in(old: ir.Value, new: ir.Value) -> bool:
    """Let every reader of `old` read `new`, and remove the node that made `old` once nothing reads it.

    A graph output keeps its name: a value that a node of the same graph makes takes the name over; any other
    (an input, a weight, a second output) gets an Identity. False when nothing changed: `old` was that Identity.
    """
    node = old.producer()
    if node is None or node.graph is None or old is new:
        return False
    if not old.is_graph_output():
        _refine(new, old)
        old.replace_all_uses_with(new)
    elif _may_take_name(new, node.graph):
        _refine(new, old)
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        name, old.name = old.name, None
        new.name = name
    else:
        if node.op_type == "Identity" and node.domain == "":
            readers = list(old.uses())
            for usage in readers:
                usage.node.replace_input_with(usage.idx, new)
            return bool(readers)
        identity = ir.node("Identity", [new], outputs=[ir.Value(type=old.type, shape=old.shape)])
        name, old.name = old.name, None
        node.append(identity)
        old.replace_all_uses_with(identity.outputs[0], replace_graph_outputs=True)
        identity.outputs[0].name = name
    remove_if_dead(node)
    return True


def remove_if_dead(node: ir.Node) -> bool:
    """Remove the node when nothing reads any of its outputs."""
    if node.graph is None or any(output.uses() or output.is_graph_output() for output in node.outputs):
        return False
    node.graph.remove(node, safe=True)
    return True


def _may_take_name(value: ir.Value, graph: ir.Graph) -> bool:
    node = value.producer()
    return node is not None and node.graph is graph and not value.is_graph_output()


def _refine(new: ir.Value, old: ir.Value) -> None:
    """What was known of the old value's type and extents is known of the new one's, unless it is a graph input."""
    if new.type is None:
        new.type = old.type
    if old.shape is None or new.is_graph_input() or new.is_initializer():
        return
    if new.shape is None:
        new.shape = old.shape.copy()
    elif len(new.shape) == len(old.shape):
        pairs = zip(new.shape, old.shape, strict=True)
        new.shape = ir.Shape([mine if isinstance(mine, int) else theirs for mine, theirs in pairs])
