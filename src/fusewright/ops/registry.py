"""Which operations are there? One list, gathered from the families."""

from __future__ import annotations

from fusewright.ops import (
    activation,
    arithmetic,
    convert,
    generate,
    indexing,
    logic,
    movement,
    recurrent,
    reduction,
    resize,
    sampling,
    structured,
    view,
)
from fusewright.ops.opdef import OpDef

FAMILIES: tuple[tuple[OpDef, ...], ...] = (
    arithmetic.OPS,
    activation.OPS,
    logic.OPS,
    convert.OPS,
    movement.OPS,
    indexing.OPS,
    generate.OPS,
    reduction.OPS,
    resize.OPS,
    sampling.OPS,
    recurrent.OPS,
    structured.OPS,
    view.OPS,
)

OPS: dict[tuple[str, str], OpDef] = {(d.domain, d.name): d for family in FAMILIES for d in family}


def find(domain: str, op_type: str) -> OpDef | None:
    """The declaration of an operation, or None where there is none."""
    return OPS.get(("" if domain == "ai.onnx" else domain, op_type))


def declared(domain: str, op_type: str) -> OpDef:
    """The declaration of an operation that is known to have one; raises ValueError where there is none."""
    definition = find(domain, op_type)
    if definition is None:
        raise ValueError(f"operation {domain}:{op_type} is not declared")
    return definition
