"""Which pass over the row computes what? A reduction is done in the first pass after those it needs.

A row is walked once for each depth of reductions (max, then sum of exp(x - max), then the result). What is expensive
and needed in two passes is kept in memory by the first; what is the same along the row is computed between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fusewright.kernel.tensor import Literal, Mapped, Moved, Reduced, Source, Tensor, as_tensor, map_, walk
from fusewright.schedules.row_nest import Nest

CHEAP = frozenset(
    {"add", "sub", "mul", "max", "min", "neg", "abs", "cast", "where", "lt", "le", "gt", "ge", "eq", "ne", "not", "and"}
)  # about one instruction: cheaper to repeat than to store and load
MANY = 8  # cheap operations that together cost more than a store and a load


@dataclass
class Pass:
    """One walk over the row: `reductions` and stores of `full` outputs; `keep` are stored for later passes.

    `between` are computed once for each row before the walk, from the reductions of the passes before.
    """

    between: list[Tensor] = field(default_factory=list)
    reductions: list[Reduced] = field(default_factory=list)
    keep: list[Tensor] = field(default_factory=list)
    full: list[int] = field(default_factory=list)


@dataclass
class RowPlan:
    """The passes in order; `rows` are outputs with one element for each row, stored at the end."""

    passes: list[Pass]
    rows: list[int]
    ending: list[Tensor]


def plan_passes(nest: Nest, outputs: Sequence[Tensor]) -> RowPlan:
    tensors = walk(*outputs)
    ready = ready_times(tensors)
    reductions = [t for t in tensors if isinstance(t, Reduced)]
    full = [i for i, t in enumerate(outputs) if nest.is_full(t)]
    rows = [i for i in range(len(outputs)) if i not in full]
    count = 1 + max([ready[id(r)] - 1 for r in reductions] + [ready[id(outputs[i])] for i in full])
    passes = [Pass() for _ in range(count)]
    for r in reductions:
        passes[ready[id(r)] - 1].reductions.append(r)
    for i in full:
        passes[ready[id(outputs[i])]].full.append(i)
    choose_kept(nest, passes, outputs, tensors, ready)
    ending = choose_between(nest, passes, outputs, tensors, ready)
    return RowPlan(passes, rows, ending)


def ready_times(tensors: Sequence[Tensor]) -> dict[int, int]:
    """For each tensor (by id) the number of passes that must have ended before it can be computed."""
    ready: dict[int, int] = {}
    for t in tensors:
        below = max((ready[id(s)] for s in t.inputs()), default=0)
        ready[id(t)] = below + 1 if isinstance(t, Reduced) else below
    return ready


def choose_kept(
    nest: Nest, passes: list[Pass], outputs: Sequence[Tensor], tensors: Sequence[Tensor], ready: dict[int, int]
) -> None:
    """Fill in `keep`, from the results down: of a chain that is needed twice only the end is kept."""
    stored = {id(outputs[i]): p for p, one in enumerate(passes) for i in one.full}
    dtype: str | None = None
    for t in reversed(tensors):
        if id(t) in stored or not isinstance(t, (Mapped, Moved)) or not nest.is_full(t):
            continue
        if dtype not in (None, t.dtype) or t.dtype == "bool":
            continue  # one kind of scratch: it is the last piece, whose size is not spelled
        users = [p for p in range(len(passes)) if reaches(passes[p], p, t, outputs, stored)]
        if len(users) > 1 and is_expensive(nest, t, stored):
            stored[id(t)] = users[0]
            passes[users[0]].keep.append(t)
            dtype = t.dtype
    for one in passes:
        one.keep.sort(key=tensors.index)


def reaches(one: Pass, number: int, wanted: Tensor, outputs: Sequence[Tensor], stored: dict[int, int]) -> bool:
    """Whether the walk computes `wanted` itself: neither through a reduction nor through what is stored already."""
    seen: set[int] = set()
    stack: list[Tensor] = [r.source for r in one.reductions if r.source is not None]
    stack += [outputs[i] for i in one.full] + one.keep
    while stack:
        t = stack.pop()
        if t is wanted:
            return True
        if id(t) in seen or isinstance(t, Reduced) or stored.get(id(t), number) < number:
            continue
        seen.add(id(t))
        stack += t.inputs()
    return False


def is_expensive(nest: Nest, root: Tensor, stored: dict[int, int] | None = None) -> bool:
    """Whether computing an element anew costs more than to load it; what is one value a row costs nothing."""
    seen: set[int] = set()
    stack: list[Tensor] = [root]
    cheap = 0
    while stack:
        t = stack.pop()
        if id(t) in seen or isinstance(t, (Reduced, Source, Literal)) or (stored and id(t) in stored):
            continue
        seen.add(id(t))
        if t is not root and nest.is_row(t) and not nest.is_full(t):
            continue
        if isinstance(t, Mapped):
            if t.name not in CHEAP:
                return True
            cheap += 1
        stack += t.inputs()
    return cheap >= MANY


def choose_between(
    nest: Nest, passes: list[Pass], outputs: Sequence[Tensor], tensors: Sequence[Tensor], ready: dict[int, int]
) -> list[Tensor]:
    """Fill in `between`: what depends on reductions, is one value a row, and has a use of another kind or time."""
    needed = {id(t) for t in outputs}
    per_row = {id(t) for t in tensors if is_per_row(nest, t, ready)}
    for t in tensors:
        for s in t.inputs():
            if id(t) not in per_row or ready[id(t)] != ready[id(s)]:
                needed.add(id(s))
    ending: list[Tensor] = []
    for t in tensors:
        if id(t) in per_row and id(t) in needed:
            (passes[ready[id(t)]].between if ready[id(t)] < len(passes) else ending).append(t)
    return ending


def is_per_row(nest: Nest, t: Tensor, ready: dict[int, int]) -> bool:
    return isinstance(t, (Mapped, Moved)) and ready[id(t)] > 0 and nest.is_row(t) and not nest.is_full(t)


def multiply_by_reciprocals(nest: Nest, outputs: Sequence[Tensor]) -> None:
    """x / sqrt(row) -> x * (1 / sqrt(row)): one division for each row instead of each element.

    Only for divisors of which the reciprocal is exact to rounding (a square root is never so large or small that its
    reciprocal overflows or loses bits).
    """
    for t in walk(*outputs):
        if isinstance(t, Mapped) and t.name == "div" and t.dtype in ("f32", "f64") and nest.is_full(t):
            a, b = t.args
            if nest.is_row(b) and is_moderate(b):
                inverse = map_("div", as_tensor(1.0, t.dtype), b)
                product = map_("mul", a, inverse)
                if isinstance(product, Mapped):
                    t.fn, t.args, t.name = product.fn, product.args, "mul"


def is_moderate(t: Tensor) -> bool:
    """Whether the value is zero, infinite, NaN, or far from both ends of the float range; and one for each row."""
    if isinstance(t, Mapped) and t.name == "sqrt":
        return any(isinstance(s, Reduced) for s in walk(t))
    if isinstance(t, Moved) and t.name == "reshape_ones":
        return is_moderate(t.sources[0])
    if isinstance(t, Mapped) and t.name in ("max", "add"):
        a, b = t.args
        return is_moderate(a) and isinstance(b, Literal) and 0 < abs(b.value) < MODERATE
    return False


MODERATE = 1e15  # an addend or lower bound up to here leaves a square root far from overflow
