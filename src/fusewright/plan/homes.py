"""Which values are made straight where a later node would copy them? In the memory of a Concat, or of a graph output.

A value that several concatenations read lives in the largest; smaller ones whose operands then lie side by side
(as in dense blocks, where each reads all before it) are parts of that memory and need no kernel either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from fusewright.graph.group import Group, elements, shape_of
from fusewright.graph.site import site_of
from fusewright.ops.opdef import Kind, OpDef
from fusewright.ops.registry import find
from fusewright.plan.orders import in_order, row_major, transposed_use
from fusewright.plan.storage import Storage


@dataclass(frozen=True)
class Home:
    """Part of the memory of `host`: from `start` on along `axis`."""

    host: ir.Value
    axis: int
    start: int


@dataclass(frozen=True)
class Exit:
    """The memory of graph output `index`, in this order of dimensions."""

    index: int
    order: tuple[int, ...]


@dataclass
class Homes:
    """What was decided; `part` and `parts` tell where that is once the host has its memory."""

    homes: dict[ir.Value, Home] = field(default_factory=dict)
    exits: dict[ir.Value, Exit] = field(default_factory=dict)

    def part(self, value: ir.Value, host: Storage) -> Storage:
        home = self.homes[value]
        return Storage(host.root, host.strides, host.offset + home.start * host.strides[home.axis])


def declaration(group: Group) -> OpDef | None:
    return find(group.anchor.domain, group.anchor.op_type)


def joined_axis(group: Group) -> int | None:
    """The axis along which the group only puts its operands side by side, None if it does anything else."""
    definition = declaration(group)
    if definition is None or definition.joins is None or len(group.nodes) > 1:
        return None
    return definition.joins(site_of(group.anchor))


def find_homes(groups: Sequence[Group], outputs: Mapping[ir.Value, int]) -> Homes:
    """Decide for all values of a graph; `outputs` are the graph's, with their numbers."""
    made = {v for g in groups if writes_memory(g) for v in g.outputs if v not in outputs}
    result = Homes()
    joins = [(g, axis) for g in groups if (axis := joined_axis(g)) is not None]
    for group, axis in sorted(joins, key=lambda item: -elements(shape_of(item[0].outputs[0]))):
        join(result, group, axis, made)
    for group in groups:
        if group.kind == Kind.VIEW.value and group.outputs[0] in outputs:
            leave(result, group, made, outputs[group.outputs[0]])
    return result


def writes_memory(group: Group) -> bool:
    """Whether a kernel makes the results, which may then go anywhere; views and parts lie where their operand does."""
    definition = declaration(group)
    whole = definition is None or definition.windows is None or len(group.nodes) > 1
    return group.kind != Kind.VIEW.value and whole


def join(result: Homes, group: Group, axis: int, made: set[ir.Value]) -> None:
    whole, start = group.outputs[0], 0
    operands = [v for v in group.anchor.inputs if v is not None]
    if elements(shape_of(whole)) == 0:
        return
    together = side_by_side([result.homes.get(v) for v in operands], axis, operands)
    if together is not None and whole not in result.homes:
        result.homes[whole] = together
        return
    for value in operands:
        if value in made and value not in result.homes and operands.count(value) == 1 and value is not whole:
            result.homes[value] = Home(whole, axis, start)
        start += shape_of(value)[axis]


def side_by_side(homes: Sequence[Home | None], axis: int, operands: Sequence[ir.Value]) -> Home | None:
    """Where the first operand lies, if the others follow in the same memory."""
    first = homes[0]
    if first is None or first.axis != axis:
        return None
    start = first.start
    for home, value in zip(homes, operands, strict=True):
        if home != Home(first.host, axis, start):
            return None
        start += shape_of(value)[axis]
    return first


def leave(result: Homes, group: Group, made: set[ir.Value], index: int) -> None:
    """v -> view -> graph output: v is written there, in the order that the view shows as row-major."""
    source, shown, definition = group.anchor.inputs[0], group.outputs[0], declaration(group)
    if source not in made or source is None or definition is None or definition.alias is None:
        return
    if source in result.homes or len(source.uses()) != 1:
        return
    shape = shape_of(source)
    order = transposed_use(source) or tuple(range(len(shape)))
    seen = definition.alias(site_of(group.anchor), shape, in_order(shape, order))
    wanted = row_major(shape_of(shown))
    moving = [d for d, extent in enumerate(shape_of(shown)) if extent != 1]
    if seen is not None and seen.offset == 0 and all(seen.strides[d] == wanted[d] for d in moving):
        result.exits[source] = Exit(index, order)
