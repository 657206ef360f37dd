"""view(view(x)) -> Reshape(x), or nothing, where a view is Reshape, Flatten, Squeeze or Unsqueeze, in one walk.

Also Transpose(x) -> Reshape(x) when only extents of 1 change their places among the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.passes.replace import remove_if_dead, stand_in
from fusewright.rules.known import attr_int, constant_ints, dims, input_at, producer, static_dims
from fusewright.rules.no_ops import same_shape
from fusewright.rules.transposes import permutation

VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class Target:
    """The shape operand of a Reshape; with `allowzero`, 0 means no elements rather than "as before"."""

    shape: tuple[int, ...]
    allowzero: bool


@dataclass(frozen=True)
class MergeViews(Pass):
    """Chains of views -> one Reshape, when its target is known, with open dimensions if there is at most one."""

    def run(self, model: ir.Model, log: Log) -> bool:
        changed = False
        for graph in model.graphs():
            names: dict[tuple[int, ...], ir.Value] = {}
            for node in graph:
                if node.domain != "":
                    continue
                if node.op_type in VIEWS:
                    changed |= _merge(graph, node, names, log)
                elif node.op_type == "Transpose":
                    changed |= _as_view(graph, node, names, log)
        return changed


def _merge(graph: ir.Graph, node: ir.Node, names: dict[tuple[int, ...], ir.Value], log: Log) -> bool:
    inner = producer(node.inputs[0], *VIEWS)
    if inner is None or inner.graph is not graph:
        return False
    source, result = inner.inputs[0], node.outputs[0]
    if source is None:
        return False
    where = str(result.name)
    target = _target(inner, node)
    unchanged = target is not None and target.shape == static_dims(source)
    if unchanged or same_shape(source, result) or _cancel(inner, node):
        if not stand_in(result, source):
            return False
    elif target is None:
        return False
    else:
        _become_reshape(graph, node, source, target, names)
    remove_if_dead(inner)
    log.made("merge-views", where, f"{inner.op_type} before {node.op_type}")
    return True


def _cancel(inner: ir.Node, outer: ir.Node) -> bool:
    """Squeeze and Unsqueeze, or Unsqueeze and Squeeze, of the same axes counted from the front."""
    if {inner.op_type, outer.op_type} != {"Squeeze", "Unsqueeze"}:
        return False
    first, second = constant_ints(input_at(inner, 1)), constant_ints(input_at(outer, 1))
    if first is None or second is None or min(first + second, default=-1) < 0:
        return False
    return sorted(first) == sorted(second)


def _target(inner: ir.Node, node: ir.Node) -> Target | None:
    """What a Reshape of the source must be told; None when that is not one constant."""
    extents = dims(node.outputs[0])
    if extents is not None and sum(extent is None for extent in extents) <= 1:
        shape = tuple(-1 if extent is None else extent for extent in extents)
        if 0 in shape and -1 in shape:
            return None
        return Target(shape, 0 in shape)
    if node.op_type != "Reshape":
        return None
    told = constant_ints(input_at(node, 1))
    if told is None:
        return None
    if attr_int(node, "allowzero", 0) or 0 not in told:
        return Target(tuple(told), bool(attr_int(node, "allowzero", 0)))
    return _resolved_copies(told, inner)


def _resolved_copies(told: list[int], inner: ir.Node) -> Target | None:
    """A 0 copies an extent of the inner view's result: it stays where the inner view itself copies the source's."""
    middle = dims(inner.outputs[0])
    inner_told = constant_ints(input_at(inner, 1)) if inner.op_type == "Reshape" else None
    copies = inner_told is not None and not attr_int(inner, "allowzero", 0)
    shape: list[int] = []
    for axis, entry in enumerate(told):
        if entry != 0:
            shape.append(entry)
        elif middle is not None and axis < len(middle) and middle[axis]:
            shape.append(middle[axis] or 0)
        elif inner_told is not None and axis < len(inner_told) and inner_told[axis] > 0:
            shape.append(inner_told[axis])
        elif copies and inner_told is not None and axis < len(inner_told) and inner_told[axis] == 0:
            shape.append(0)
        else:
            return None
    return Target(tuple(shape), False)


def _as_view(graph: ir.Graph, node: ir.Node, names: dict[tuple[int, ...], ir.Value], log: Log) -> bool:
    x, extents = node.inputs[0], static_dims(node.inputs[0])
    perm = permutation(node)
    if x is None or extents is None or perm is None:
        return False
    moved = [axis for axis in perm if extents[axis] != 1]
    if moved != sorted(moved):
        return False
    shape = tuple(extents[axis] for axis in perm)
    where = str(node.outputs[0].name)
    if shape == extents:
        if not stand_in(node.outputs[0], x):
            return False
    else:
        _become_reshape(graph, node, x, Target(shape, 0 in shape), names)
    log.made("transpose-to-view", where, f"only extents of 1 move in {extents}")
    return True


def _become_reshape(
    graph: ir.Graph, node: ir.Node, source: ir.Value, target: Target, names: dict[tuple[int, ...], ir.Value]
) -> None:
    """Put Reshape(source, target) in the place of `node`, which makes one value."""
    result = node.outputs[0]
    shape = names.get(target.shape)
    if shape is None:
        shape = names[target.shape] = _shape_initializer(graph, target.shape)
    attributes = {"allowzero": 1} if target.allowzero else {}
    output = ir.Value(name=result.name, type=result.type, shape=result.shape)
    new = ir.node("Reshape", [source, shape], attributes, outputs=[output], name=node.name)
    graph.insert_after(node, new)
    result.name = None
    result.replace_all_uses_with(output, replace_graph_outputs=True)
    graph.remove(node, safe=True)


def _shape_initializer(graph: ir.Graph, shape: tuple[int, ...]) -> ir.Value:
    name = "view_" + "x".join(str(extent).replace("-", "m") for extent in shape)
    while name in graph.initializers:
        name += "_"
    array = np.array(shape, np.int64)
    tensor = ir.tensor(array, name=name)
    value = ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape), const_value=tensor)
    graph.register_initializer(value)
    return value
