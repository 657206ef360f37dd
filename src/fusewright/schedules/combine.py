"""With which node do the elements of a reduction combine, and what is the reduction of nothing?"""

from __future__ import annotations

from collections.abc import Sequence

from fusewright.kernel.expr import FLOATS, Expr, const, op

COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "min"}


def identity(kind: str, dtype: str) -> Expr:
    """What combines with anything to itself."""
    if kind in ("sum", "prod"):
        return const(int(kind == "prod"), dtype)
    low = kind == "max"
    if dtype in FLOATS:
        return const(float("-inf") if low else float("inf"), dtype)
    if dtype.startswith("u"):
        return const(0 if low else 2 ** int(dtype[1:]) - 1, dtype)
    bits = int(dtype[1:]) - 1
    return const(-(2**bits) if low else 2**bits - 1, dtype)


def tree(kind: str, values: Sequence[Expr]) -> Expr:
    """All values combined, two by two."""
    work = list(values)
    while len(work) > 1:
        pairs = [op(COMBINE[kind], a, b) for a, b in zip(work[::2], work[1::2], strict=False)]
        work = pairs + work[len(pairs) * 2 :]
    return work[0]
