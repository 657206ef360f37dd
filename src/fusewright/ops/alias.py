"""Where does a view's result lie in the memory of its operand? Strides and an offset, or None where it needs a copy."""

from __future__ import annotations

from collections.abc import Sequence

from fusewright.ops.opdef import Alias, Site, Strides


def reshaped(site: Site, shape: Sequence[int], strides: Strides) -> Alias | None:
    """The same elements in row-major order under other extents, if the strides allow it.

    Runs of old dimensions are matched with runs of new ones of the same size; a run of several old dimensions must be
    walked evenly (outer stride = inner stride x inner extent).
    """
    new = site.shape
    old = [(d, s) for d, s in zip(shape, strides, strict=True) if d != 1]
    result = [0] * len(new)
    i = j = 0
    wanted = [k for k, d in enumerate(new) if d != 1]
    while i < len(old) and j < len(wanted):
        i_end, j_end = i + 1, j + 1
        size_old, size_new = old[i][0], new[wanted[j]]
        while size_old != size_new:
            if size_old < size_new:
                if i_end == len(old):
                    return None
                size_old *= old[i_end][0]
                i_end += 1
            else:
                if j_end == len(wanted):
                    return None
                size_new *= new[wanted[j_end]]
                j_end += 1
        for k in range(i, i_end - 1):
            if old[k][1] != old[k + 1][1] * old[k + 1][0]:
                return None
        step = old[i_end - 1][1]
        for k in range(j_end - 1, j - 1, -1):
            result[wanted[k]] = step
            step *= new[wanted[k]]
        i, j = i_end, j_end
    if i < len(old) or j < len(wanted):
        return None
    return Alias(tuple(result))


def transposed(site: Site, shape: Sequence[int], strides: Strides) -> Alias | None:
    """Dimensions in another order: always a view."""
    order = site.get("perm") or tuple(reversed(range(len(shape))))
    return Alias(tuple(strides[int(d)] for d in order))


def same(site: Site, shape: Sequence[int], strides: Strides) -> Alias | None:
    return Alias(tuple(strides))
