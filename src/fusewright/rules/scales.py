"""MatMul(a * s, b) -> MatMul(a, b) * s for one number s, on either side: the product's epilogue does it for nothing.

Attention scales its queries, its keys or both before their product, each time in a pass over memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import onnx_ir as ir

from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.known import WIDE, constant_size, maker, rank


def _rules() -> Iterator[Rule]:
    for side in (0, 1):
        for scaling, scaled_first in (("Mul", True), ("Mul", False), ("Div", True)):
            pattern = _pattern(side, scaling, scaled_first)
            yield rule("scale-after-product", "MatMul", pattern, _replacement(side), _check)


def _pattern(side: int, scaling: str, scaled_first: bool) -> Callable[..., Any]:
    def pattern(op: Any, x: Any, s: Any, other: Any) -> Any:
        scaled = getattr(op, scaling)(*((x, s) if scaled_first else (s, x)), _outputs=["scaled"])
        return op.MatMul(*((scaled, other) if side == 0 else (other, scaled)))

    return pattern


def _check(context: Any, x: ir.Value, s: ir.Value, **_: Any) -> Any:
    if constant_size(s) != 1 or constant_size(x) is not None or x.dtype not in WIDE:
        return refuse("")
    return True if (rank(s) or 0) <= 1 else refuse("the number has more dimensions than the product may have")


def _replacement(side: int) -> Callable[..., Any]:
    def replace(op: Any, x: ir.Value, s: ir.Value, other: ir.Value, scaled: ir.Value) -> Any:
        product = op.MatMul(*((x, other) if side == 0 else (other, x)))
        return getattr(op, maker(scaled).op_type)(product, s)

    return replace


SCALES: tuple[Rule, ...] = tuple(_rules())
