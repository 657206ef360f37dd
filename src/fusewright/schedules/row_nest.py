"""In which order does a reduction walk its operands? Loops over kept and over reduced dimensions, outermost first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fusewright.errors import InternalError
from fusewright.kernel.expr import Expr, Load, Var, children, index, known, loads
from fusewright.kernel.tensor import Index, Reduced, Source, Tensor, walk
from fusewright.kernel.vectorize import coefficient
from fusewright.schedules.pointwise import Axis

Walk = tuple[int | None, ...]  # step in elements for each dimension of the loops; None where it is not a fixed one
IndexMap = Callable[[Index], Index]


@dataclass
class Nest:
    """`shape` is what the reductions read; axes are in the order of memory, neighbours merged where all walk alike.

    `along` tells that the dimension with the shortest step is reduced: vectors lie along the row.
    """

    shape: tuple[int, ...]
    axes: frozenset[int]
    kept: list[Axis]
    reduced: list[Axis]
    along: bool

    def index_map(self, shape: tuple[int, ...]) -> IndexMap:
        """From an index of the loops to an index of a tensor that has the full or the reduced elements."""
        return index_map(self.shape, self.axes, shape)

    def is_full(self, tensor: Tensor) -> bool:
        """Whether it has an element for every step of the loops, and not one for each row."""
        return matching(self.shape, self.axes, tensor.shape) == all_dims(self.shape)

    def is_row(self, tensor: Tensor) -> bool:
        """Whether it has one element for each row."""
        kept = [d for d in all_dims(self.shape) if d not in self.axes]
        return matching(self.shape, self.axes, tensor.shape) == kept


def all_dims(shape: tuple[int, ...]) -> list[int]:
    return [d for d, extent in enumerate(shape) if extent != 1]


def matching(full: tuple[int, ...], axes: frozenset[int], shape: tuple[int, ...]) -> list[int] | None:
    """The dimensions of `full` that those of `shape` stand for (extents of 1 left out), None if it has others."""
    extents = [d for d in shape if d != 1]
    every = all_dims(full)
    kept = [d for d in every if d not in axes]
    for dims in (kept, every):
        if extents == [full[d] for d in dims]:
            return dims
    return None


def index_map(full: tuple[int, ...], axes: frozenset[int], shape: tuple[int, ...]) -> IndexMap:
    dims = matching(full, axes, shape)
    if dims is None:
        raise InternalError(f"a reduction of {full} over {sorted(axes)} has a result of shape {shape}")
    places = all_dims(shape)

    def map_index(idx: Index) -> Index:
        own: list[Expr] = [index(0)] * len(shape)
        for place, dim in zip(places, dims, strict=True):
            own[place] = idx[dim]
        return tuple(own)

    return map_index


def make_nest(reductions: Sequence[Reduced], outputs: Sequence[tuple[Tensor, Source]]) -> Nest:
    """The loops for `reductions` (all of one shape and axes) and the tensors stored at the places in `outputs`."""
    first = reductions[0]
    if first.source is None:
        raise InternalError("a reduction of nothing")
    shape, axes = first.source.shape, frozenset(first.axes)
    for r in reductions:
        if r.source is None or r.source.shape != shape or frozenset(r.axes) != axes:
            raise InternalError(f"one kernel cannot reduce {shape} over {sorted(axes)} and otherwise")
    walks, free = probe(shape, axes, reductions, outputs)
    order = memory_order(shape, walks)
    axes_in_order: list[Axis] = []
    for dim in order:
        if axes_in_order and joins(axes_in_order[-1].dim, dim, shape, axes, walks, free):
            axes_in_order[-1] = Axis(dim, axes_in_order[-1].extent * shape[dim])
        else:
            axes_in_order.append(Axis(dim, shape[dim]))
    kept = [a for a in axes_in_order if a.dim not in axes]
    reduced = [a for a in axes_in_order if a.dim in axes]
    along = bool(reduced) and (not kept or axes_in_order[-1] is reduced[-1])
    return Nest(shape, axes, kept, reduced, along)


def joins(
    outer: int, inner: int, shape: tuple[int, ...], axes: frozenset[int], walks: list[Walk], free: set[int]
) -> bool:
    """Whether every operand steps through two neighbouring dimensions as through one."""
    if (outer in axes) != (inner in axes) or outer in free or inner in free:
        return False
    for each in walks:
        a, b = each[outer], each[inner]
        if a is None or b is None or a != b * shape[inner]:
            return False
    return True


def memory_order(shape: tuple[int, ...], walks: list[Walk]) -> list[int]:
    """Dimensions by falling step of the operand that has the most elements, without extents of 1."""

    def size(steps: Walk) -> int:
        count = 1
        for step, extent in zip(steps, shape, strict=True):
            count *= extent if step else 1
        return count

    main = max(walks, key=size)
    return sorted(all_dims(shape), key=lambda d: (-(main[d] or 0), d))


def probe(
    shape: tuple[int, ...],
    axes: frozenset[int],
    reductions: Sequence[Reduced],
    outputs: Sequence[tuple[Tensor, Source]],
) -> tuple[list[Walk], set[int]]:
    """How each load and store walks the loops, and the dimensions whose index is used for more than addresses."""
    idx = tuple(Var("i64", False, f"d{d}") if extent != 1 else index(0) for d, extent in enumerate(shape))
    values: list[Expr] = []
    places: list[Expr] = []
    for r in reductions:
        if r.source is not None:
            values.append(r.source.at(idx))
        r.bound = placeholder(r.dtype)
    for tensor, place in outputs:
        own = index_map(shape, axes, tensor.shape)(idx)
        values.append(tensor.at(own))
        places.append(place.at(own))
    release(reductions, [t for t, _ in outputs])
    addresses = [x.index for root in [*values, *places] for x in loads(root)]
    walks = [tuple(step(a, i) for i in idx) for a in addresses]
    used = outside_addresses(values)
    return walks, {d for d, i in enumerate(idx) if id(i) in used}


def release(bound: Iterable[Tensor], results: Sequence[Tensor]) -> None:
    """Unbind tensors, and let all below `results` forget the elements that were built from them."""
    for t in bound:
        t.bound = None
    for t in walk(*results):
        t.forget()


def placeholder(dtype: str) -> Callable[[Index], Expr]:
    variable = Var(dtype, False, "reduced")
    return lambda idx: variable


def step(address: Expr, variable: Expr) -> int | None:
    if not isinstance(variable, Var):
        return 0
    found = coefficient(address, variable)
    return None if found is None else known(found)


def outside_addresses(roots: Iterable[Expr]) -> set[int]:
    """The ids of all nodes below `roots` that are reached without passing through a load's address."""
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if not isinstance(x, Load):
            stack += children(x)
    return seen
