"""What does one use of a declared operation compute? Its tensors, with half precision widened inside.

Elementwise work and reductions on float16 and bfloat16 run in float32 and are rounded once, at the operation's
result: sums do not drown, and the value of each operation is what the model says it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from fusewright.kernel.tensor import Tensor, cast
from fusewright.ops.opdef import Kind, OpDef, Site

HALF = frozenset({"f16", "bf16"})
COMPUTED = (Kind.ELEMENTWISE, Kind.REDUCTION)


def apply(definition: OpDef, site: Site, inputs: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """The outputs of `definition` for these inputs (None where one is left out or constant)."""
    if definition.lower is None:
        raise TypeError(f"operation {definition.name} has no tensor form")
    computed = definition.kind in COMPUTED
    if computed:
        inputs = [t if t is None or t.dtype not in HALF else cast(t, "f32") for t in inputs]
    made = definition.lower(site, *inputs)
    results = made if isinstance(made, tuple) else (made,)
    if not computed:
        return results
    kept = tuple(cast(t, dtype) if dtype in HALF else t for t, dtype in zip(results, site.dtypes, strict=False))
    return kept + results[len(kept) :]
