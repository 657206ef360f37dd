"""Where does a view's result lie in the memory of its operand? Strides and an offset, or None where it needs a copy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from fusewright.ops.opdef import Alias, Site, Strides


def matched_runs(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]] | None:
    """Runs of old dimensions and the runs of new ones that hold the same elements (extents of 1 belong to none)."""
    left = [d for d, e in enumerate(old) if e != 1]
    right = [d for d, e in enumerate(new) if e != 1]
    runs: list[tuple[list[int], list[int]]] = []
    while left and right:
        run = ([left.pop(0)], [right.pop(0)])
        size_old, size_new = old[run[0][0]], new[run[1][0]]
        while size_old != size_new:
            side, pool, extents = (0, left, old) if size_old < size_new else (1, right, new)
            if not pool:
                return None
            dim = pool.pop(0)
            run[side].append(dim)
            if side == 0:
                size_old *= extents[dim]
            else:
                size_new *= extents[dim]
        runs.append(run)
    return None if left or right else runs


def reshaped(site: Site, shape: Sequence[int], strides: Strides) -> Alias | None:
    """The same elements in row-major order under other extents, if the strides allow it.

    A run of several old dimensions must be walked evenly (outer stride = inner stride x inner extent).
    """
    new = site.shape
    runs = matched_runs(shape, new)
    if runs is None:
        return None
    result = [0] * len(new)
    for old_dims, new_dims in runs:
        for outer, inner in pairwise(old_dims):
            if strides[outer] != strides[inner] * shape[inner]:
                return None
        step = strides[old_dims[-1]]
        for d in reversed(new_dims):
            result[d] = step
            step *= new[d]
    return Alias(tuple(result))


def order_after_reshape(old: Sequence[int], strides: Strides, new: Sequence[int]) -> tuple[int, ...] | None:
    """The order of the new dimensions in memory that comes closest to how the old ones lie: copies stay sequential."""
    runs = matched_runs(old, new)
    if runs is None:
        return None
    runs = sorted(runs, key=lambda run: -min(strides[d] for d in run[0]))
    moving = [d for _, dims in runs for d in dims]
    places = sorted(moving)
    order = list(range(len(new)))
    for place, d in zip(places, moving, strict=True):
        order[place] = d
    return tuple(order)


def transposed(site: Site, shape: Sequence[int], strides: Strides) -> Alias | None:
    """Dimensions in another order: always a view."""
    order = site.get("perm") or tuple(reversed(range(len(shape))))
    return Alias(tuple(strides[int(d)] for d in order))


def same(site: Site, shape: Sequence[int], strides: Strides) -> Alias | None:
    return Alias(tuple(strides))
