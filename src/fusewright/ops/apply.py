"""What does one use of a declared operation compute?"""

from __future__ import annotations

from collections.abc import Sequence

from fusewright.kernel.tensor import Tensor
from fusewright.ops.opdef import OpDef, Site


def apply(definition: OpDef, site: Site, inputs: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """The outputs of `definition` for these inputs (None where one is left out or constant)."""
    if definition.lower is None:
        raise TypeError(f"operation {definition.name} has no tensor form")
    made = definition.lower(site, *inputs)
    return made if isinstance(made, tuple) else (made,)
