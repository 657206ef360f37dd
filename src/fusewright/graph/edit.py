"""How does one value take the place of another, with the names of graph outputs kept?"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir


def add_constant(graph: ir.Graph, name: str, array: np.ndarray[Any, Any] | ir.TensorProtocol) -> ir.Value:
    """A new initializer of `graph`; `name` gets a number when it is taken."""
    tensor = ir.tensor(array) if isinstance(array, np.ndarray) else array
    unique, number = name, 0
    while unique in graph.initializers:
        number += 1
        unique = f"{name}_{number}"
    value = ir.Value(
        name=unique, type=ir.TensorType(tensor.dtype), shape=ir.Shape(tensor.shape.numpy()), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def take_over(old: ir.Value, new: ir.Value) -> ir.Node | None:
    """Every use of `old` becomes a use of `new`, and `old` is free to be removed with its node.

    A graph output keeps its name and stays the output of a node, which is returned: y = old(..) -> y = Identity(new).
    """
    if old.is_graph_output():
        producer = old.producer()
        graph = old.graph
        assert producer is not None and graph is not None
        identity = ir.node("Identity", [new], name=f"{old.name}_output")
        graph.insert_after(producer, identity)
        output = identity.outputs[0]
        output.type, output.shape = old.type, old.shape
        name, old.name = old.name, f"{old.name}_replaced"
        output.name = name
        old.replace_all_uses_with(output, replace_graph_outputs=True)
        return identity
    old.replace_all_uses_with(new)
    return None


def value_names(graph: ir.Graph) -> set[str | None]:
    """The names of all values of `graph`, those inside control flow left out."""
    names: set[str | None] = {value.name for value in graph.inputs}
    names.update(graph.initializers)
    names.update(value.name for node in graph for value in node.outputs)
    return names


def rename(value: ir.Value, prefix: str, taken: set[str | None]) -> None:
    """Give a value that comes into a graph a name that is free there; names of other graphs may be the same."""
    if not value.name:
        return
    base, number = value.name, 0
    while value.name in taken:
        value.name = f"{prefix}/{base}" if number == 0 else f"{prefix}/{base}_{number}"
        number += 1
    taken.add(value.name)
