"""y = matrix x for vectors of values, x[i] in registers: how is that spelled with few additions?

Zeros are left out. Two columns that have equal or opposite coefficients in every row are read as one sum and one
difference, and two rows that are the sum and the difference of the same two parts share them: so points of opposite
sign cost little more than one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from fusewright.kernel.expr import Expr
from fusewright.kernel.loops import Kernel
from fusewright.schedules.bilinear import Matrix

Row = list[Fraction]


def emit_sums(kernel: Kernel, matrix: Matrix, values: Sequence[Expr]) -> list[Expr]:
    """One expression for each row of `matrix` (which has no row of zeros), over `values`, one for each column."""
    rows, inputs = _share_columns(kernel, [list(row) for row in matrix], list(values))
    made: list[Expr | None] = [None] * len(rows)
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            if made[i] is None and made[j] is None:
                halves = _halves(rows[i], rows[j])
                if halves is not None:
                    common, opposite = (kernel.let(_sum(half, inputs), "half") for half in halves)
                    made[i], made[j] = common + opposite, common - opposite
    return [_sum(row, inputs) if done is None else done for row, done in zip(rows, made, strict=True)]


def additions(matrix: Matrix) -> int:
    """About how many vector operations `emit_sums` takes: one for each coefficient after the first, of a row."""
    return sum(max(sum(c != 0 for c in row) - 1, 0) for row in matrix)


def _share_columns(kernel: Kernel, rows: list[Row], values: list[Expr]) -> tuple[list[Row], list[Expr]]:
    """The same product over sums and differences of columns that differ in signs alone."""
    for a in range(len(values)):
        for b in range(a + 1, len(values)):
            equal = sum(row[a] == row[b] != 0 for row in rows)
            opposite = sum(row[a] == -row[b] != 0 for row in rows)
            if equal and opposite and all(abs(row[a]) == abs(row[b]) for row in rows):
                for row in rows:
                    same = row[a] == row[b]
                    row[a], row[b] = (row[a], Fraction(0)) if same else (Fraction(0), row[a])
                plus, minus = kernel.let(values[a] + values[b], "plus"), kernel.let(values[a] - values[b], "minus")
                values[a], values[b] = plus, minus
    return rows, values


def _halves(one: Row, other: Row) -> tuple[Row, Row] | None:
    """Two rows (common, opposite) whose sum and difference these are, if they read different values and it pays."""
    common = [(p + q) / 2 for p, q in zip(one, other, strict=True)]
    opposite = [(p - q) / 2 for p, q in zip(one, other, strict=True)]
    terms = sum(c != 0 for c in common), sum(c != 0 for c in opposite)
    apart = all(c == 0 or o == 0 for c, o in zip(common, opposite, strict=True))
    return (common, opposite) if apart and min(terms) >= 1 and max(terms) >= 2 else None


def _sum(row: Row, values: Sequence[Expr]) -> Expr:
    """The terms of `row`, those with the coefficient 1 first, so that each of the others is one multiply-add."""
    terms = sorted(((c, v) for c, v in zip(row, values, strict=True) if c), key=lambda term: (term[0] != 1, -term[0]))
    total: Expr | None = None
    for c, v in terms:
        if total is None:
            total = v if c == 1 else -v if c == -1 else v * float(c)
        else:
            total = total + v if c == 1 else total - v if c == -1 else total + v * float(c)
    if total is None:
        raise ValueError("a row of zeros")
    return total
