"""graph (float[N,3,H,W] x) -> graph (float[1,3,224,224] x): open dimensions of the inputs become numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.errors import ShapeError
from fusewright.graph.decisions import Log
from fusewright.graph.edit import add_constant
from fusewright.passes.base import Pass


@dataclass(frozen=True)
class BindShapes(Pass):
    """`shapes` maps names of inputs to full shapes; inputs that the model declares without open dimensions need
    none, nor do those whose open dimensions are named in another input that has one.

    Raises ShapeError for an unknown input, a shape that contradicts the model, or a dimension left open.
    """

    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def run(self, model: ir.Model, log: Log) -> bool:
        inputs = {str(value.name): value for value in model.graph.inputs}
        for name in self.shapes:
            if name not in inputs:
                have = ", ".join(repr(known) for known in inputs) or "none"
                raise ShapeError(f"shape given for {name!r}, but the model's inputs are: {have}")
        named: dict[str, tuple[int, str]] = {}
        for name, shape in self.shapes.items():
            _match(inputs[name], tuple(shape), named)
        changed, still_open = False, []
        for name, value in inputs.items():
            bound = tuple(self.shapes[name]) if name in self.shapes else _fill(value, named)
            if bound is None:
                still_open.append(value)
            elif value.shape is None or tuple(value.shape.dims) != bound:
                value.shape = ir.Shape(bound)
                changed = True
                log.made("bind-shape", name, f"to {format_shape(bound)}")
        if still_open:
            raise ShapeError(_message(still_open))
        return changed


@dataclass(frozen=True)
class BindValues(Pass):
    """graph (int64[2] shape) { Reshape(x, shape) } -> { Reshape(x, constant) }: inputs that decide shapes.

    The inputs stay in the signature, read by nothing; the graph is right for these values only.
    """

    values: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def run(self, model: ir.Model, log: Log) -> bool:
        changed = False
        for value in model.graph.inputs:
            name = str(value.name)
            if name in self.values and value.uses():
                constant = add_constant(model.graph, f"{name}_value", np.array(self.values[name]))
                value.replace_all_uses_with(constant)
                log.made("bind-value", name, "shapes depend on it")
                changed = True
        return changed


def format_shape(shape: Sequence[object]) -> str:
    """As a user types it: 1x3x224x224; a scalar is `scalar`."""
    return "x".join(map(str, shape)) or "scalar"


def _match(value: ir.Value, shape: tuple[int, ...], named: dict[str, tuple[int, str]]) -> None:
    """Check `shape` against what the model declares, and note what it says of named dimensions."""
    name = str(value.name)
    if any(extent < 0 for extent in shape):
        raise ShapeError(f"input {name!r}: shape {format_shape(shape)} has a negative dimension")
    if value.shape is None:
        return
    declared = _declared(value)
    if len(declared) != len(shape):
        raise ShapeError(
            f"input {name!r}: expected {len(declared)} dimensions ({format_shape(declared)}), "
            f"got {len(shape)} ({format_shape(shape)})"
        )
    for index, (want, got) in enumerate(zip(declared, shape, strict=True)):
        if isinstance(want, int) and want != got:
            raise ShapeError(
                f"input {name!r}: dimension {index} is {want} in the model ({format_shape(declared)}), "
                f"got {got} ({format_shape(shape)})"
            )
        if isinstance(want, str) and want != "?":
            before, where = named.setdefault(want, (got, name))
            if before != got:
                raise ShapeError(
                    f"input {name!r}: dimension {index}, {want!r}, is {got}, but the same is {before} "
                    f"in input {where!r}; the model declares them equal"
                )


def _declared(value: ir.Value) -> tuple[int | str, ...]:
    assert value.shape is not None
    return tuple(dim if isinstance(dim, int) else dim.value or "?" for dim in value.shape.dims)


def _fill(value: ir.Value, named: Mapping[str, tuple[int, str]]) -> tuple[int, ...] | None:
    """The shape of an input that was given none, or None when a dimension stays open."""
    if value.shape is None:
        return None
    bound = [dim if isinstance(dim, int) else named.get(dim, (None, ""))[0] for dim in _declared(value)]
    numbers = tuple(dim for dim in bound if dim is not None)
    return numbers if len(numbers) == len(bound) else None


def _message(values: list[ir.Value]) -> str:
    lines = []
    for value in values:
        declared = "of any rank" if value.shape is None else format_shape(_declared(value))
        lines.append(f"  input {value.name!r}: {declared}")
    example = values[0]
    shape = (
        "1x..."
        if example.shape is None
        else format_shape([dim if isinstance(dim, int) else 1 for dim in _declared(example)])
    )
    return (
        "open dimensions are not bound:\n"
        + "\n".join(lines)
        + f"\nGive a shape for each: --shape {example.name}={shape}"
    )
