"""ScatterND(x, i, u) -> u between the parts of x around it, where the indices name a box of x, each place once.

Exporters write an assignment to a part of a tensor, x[:, 1:] = u, as a scatter with an index for each element: eight
times as many bytes as there are elements, for numbers that count up by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.rules.affine import Refusal
from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.known import attr_int, attr_str, constant, input_at, maker, producer, static_dims


@dataclass(frozen=True)
class Ramp:
    """Numbers that count evenly along every dimension: `first`, and a step for each."""

    first: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Box:
    """Where it begins, and how far it goes, along every dimension of what it lies in."""

    starts: tuple[int, ...]
    extents: tuple[int, ...]


def ramp_of(array: np.ndarray[Any, Any]) -> Ramp | None:
    """The constant as a ramp, where it is one."""
    if array.size == 0:
        return None
    corner = (0,) * array.ndim
    first = int(array[corner])
    ones = [tuple(int(at == d) for at in range(array.ndim)) for d in range(array.ndim)]
    steps = tuple(int(array[at]) - first if array.shape[d] > 1 else 0 for d, at in enumerate(ones))
    counted = first + sum(
        (step * np.arange(extent).reshape(-1, *[1] * (array.ndim - 1 - d)))
        for d, (step, extent) in enumerate(zip(steps, array.shape, strict=True))
    )
    return Ramp(first, steps) if np.array_equal(np.broadcast_to(counted, array.shape), array) else None


def ramp(value: ir.Value | None) -> Ramp | None:
    """What a value of integers counts, read off the operations that repeat and reshape constants."""
    shape, array = static_dims(value), constant(value)
    if array is not None:
        return ramp_of(array) if array.dtype.kind in "iu" else None
    node = producer(value, "Range", "Expand", "Unsqueeze", "Squeeze", "Reshape", "Identity", "Cast")
    if node is None or shape is None:
        return None
    if node.op_type == "Range":
        first, step = (ramp(input_at(node, n)) for n in (0, 2))
        one = shape[0] == 1
        return None if first is None or step is None else Ramp(first.first, (0 if one else step.first,))
    old, inner = static_dims(input_at(node, 0)), ramp(input_at(node, 0))
    if inner is None or old is None:
        return None
    if node.op_type == "Expand":
        ahead = len(shape) - len(old)
        return Ramp(inner.first, (0,) * ahead + inner.steps)  # an extent of 1 has no step
    steps = iter(step for step, extent in zip(inner.steps, old, strict=True) if extent != 1)
    if [e for e in old if e != 1] != [e for e in shape if e != 1]:
        return None
    return Ramp(inner.first, tuple(0 if extent == 1 else next(steps) for extent in shape))


def columns(value: ir.Value) -> list[Ramp]:
    """What each number of the last dimension counts along the others. Refusal where it does not."""
    shape, array, node = static_dims(value), constant(value), producer(value, "Concat")
    if not shape:
        raise Refusal("the shape of its indices is not known")
    found: list[Ramp | None]
    if array is not None:
        found = [ramp_of(array[..., n]) for n in range(shape[-1])]
    elif node is not None and attr_int(node, "axis", 0) in (-1, len(shape) - 1):
        found = [column for part in node.inputs if part is not None for column in columns(part)]
    elif shape[-1] == 1:
        whole = ramp(value)
        found = [None if whole is None else Ramp(whole.first, whole.steps[:-1])]
    else:
        found = [None]
    known = [column for column in found if column is not None]
    if len(known) < len(found):
        raise Refusal("its indices are not known to count up")
    return known


def box_of(indices: ir.Value, extents: tuple[int, ...]) -> Box:
    """The box of a tensor of these extents that the indices name, in order. Refusal where they name none."""
    shape = static_dims(indices) or ()
    if 0 in (*shape, *extents):
        raise Refusal("it is empty")
    counted = columns(indices)
    starts, sizes, walked = [], [], []
    for column, whole in zip(counted, extents, strict=False):
        moving = [d for d, step in enumerate(column.steps) if step]
        if len(moving) > 1 or any(column.steps[d] != 1 for d in moving):
            raise Refusal("its indices count in steps, or along two dimensions at once")
        walked += moving
        starts.append(column.first % whole if -whole <= column.first < whole else whole)
        sizes.append(shape[moving[0]] if moving else 1)
    if walked != [d for d, extent in enumerate(shape[:-1]) if extent != 1]:
        raise Refusal("its indices name a place twice, or in another order")
    if any(start + size > whole for start, size, whole in zip(starts, sizes, extents, strict=False)):
        raise Refusal("its indices lie outside")
    rest = extents[len(counted) :]
    return Box((*starts, *[0] * len(rest)), (*sizes, *rest))


def _around(op: Any, x: ir.Value, box: Box, extents: tuple[int, ...], updates: Any, name: str) -> Any:
    """`updates` in the box, and x around it: a concatenation along each dimension that the box does not fill."""

    def part(source: Any, axis: int, start: int, end: int) -> Any:
        numbers = {"start": start, "end": end, "axis": axis}
        return op.Slice(source, *(op.initializer(ir.tensor([n]), name=f"{name}_{k}") for k, n in numbers.items()))

    def filled(source: Any, open_axes: list[int]) -> Any:
        if not open_axes:
            return updates
        axis, *others = open_axes
        start, end = box.starts[axis], box.starts[axis] + box.extents[axis]
        parts = [part(source, axis, 0, start)] if start else []
        parts.append(filled(part(source, axis, start, end) if others else None, others))
        if end < extents[axis]:
            parts.append(part(source, axis, end, extents[axis]))
        return op.Concat(*parts, axis=axis)

    return filled(x, [axis for axis, extent in enumerate(extents) if box.extents[axis] != extent])


def _pattern(op: Any, x: Any, indices: Any, updates: Any) -> Any:
    return op.ScatterND(x, indices, updates, _outputs=["root"])


def _replace(op: Any, x: ir.Value, indices: ir.Value, updates: ir.Value, root: ir.Value) -> Any:
    extents, given = static_dims(x), static_dims(updates)
    if not extents or given is None:
        return refuse("")
    if attr_str(maker(root), "reduction", "none") != "none":
        return refuse("it adds to what is there")
    try:
        box = box_of(indices, extents)
    except Refusal as refusal:
        return refuse(str(refusal))
    name = str(root.name)
    if given == box.extents:
        shaped = op.Identity(updates)
    else:
        shaped = op.Reshape(updates, op.initializer(ir.tensor(list(box.extents)), name=f"{name}_box"))
    return _around(op, x, box, extents, shaped, name)


JOIN_SCATTERS: tuple[Rule, ...] = (rule("join-scatters", "ScatterND", _pattern, _replace),)
"""Needs static shapes."""
