"""GroupNormalization: channels taken apart into groups, then rows of one group each, over the memory as it is."""

from __future__ import annotations

from collections.abc import Sequence

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Source, Tensor, cast
from fusewright.ops.reduction import epsilon_of, standardize, wide
from fusewright.schedules.rows import emit_rows
from fusewright.schedules.task import Lowered, Operand, Task

FLOP_EACH = 8  # three passes over the elements


def split_channels(parts: Sequence[int], groups: int, dim: int, last: int) -> tuple[int, ...]:
    """`parts` (extents or strides) with entry `dim` replaced by one for the group and one within it."""
    return (*parts[:dim], groups, last, *parts[dim + 1 :])


def lower_group_normalization(task: Task) -> list[Lowered]:
    node = task.group.anchor
    site = task.site(node)
    groups = int(site.get("num_groups"))
    kernel = task.kernel("group_normalization")
    operands: list[Operand] = []

    def bound(i: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Source:
        value = node.inputs[i]
        if value is None:
            raise ValueError(f"GroupNormalization lacks input {i}")
        operands.append(value)
        source = Source(shape, dtype_of(value))
        source.bind(kernel.buffer(source.dtype, f"x{i}"), strides)
        return source

    data, result = node.inputs[0], node.outputs[0]
    if data is None:
        raise ValueError("GroupNormalization lacks its input")
    full, strides = shape_of(data), task.strides_of(data)
    size = full[1] // groups
    shape = split_channels(full, groups, 1, size)
    x = wide(bound(0, shape, split_channels(strides, strides[1] * size, 1, strides[1])))
    ones = (1,) * (len(full) - 2)

    def parameter(i: int) -> Tensor:
        """One value for each channel (until opset 20: for each group)."""
        value = node.inputs[i]
        per_group = value is not None and elements(shape_of(value)) == groups
        own = (groups, 1, *ones) if per_group else (groups, size, *ones)
        return cast(bound(i, own, (1 if per_group else size, 1, *ones)), x.dtype)

    y, _, _ = standardize(x, range(2, len(shape)), epsilon_of(site))
    y = cast(y * parameter(1) + parameter(2), site.dtype)
    place = output_place(kernel, shape, site.dtype, task.strides_of(result), groups, size)
    units = emit_rows(kernel, [(y, place)])
    return [Lowered(kernel, [*operands, result], units, flop=FLOP_EACH * elements(full))]


def output_place(
    kernel: Kernel, shape: tuple[int, ...], dtype: str, strides: tuple[int, ...], groups: int, size: int
) -> Source:
    place = Source(shape, dtype)
    place.bind(kernel.buffer(dtype, "y", "out"), split_channels(strides, strides[1] * size, 1, strides[1]))
    return place


SCHEDULES = {"group_normalization": lower_group_normalization}
