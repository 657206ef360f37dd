"""x / c -> x * (1/c) and (x * a) * b -> x * (a * b) for constants: one multiplication for all that scales a value.

A division takes a processor 5 to 10 times as long as a multiplication. What changes is rounding: 1/c and a * b are
rounded once more, by half a unit in the last place. Where they are no normal numbers, the nodes stay; also where the
result is rounded to an integer or compared, for there the last place may decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.errors import InternalError
from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.known import WIDE, Array, attr_int, constant, constant_size

FLOATS = (*WIDE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
STEPS = frozenset(
    {"Floor", "Ceil", "Round", "Sign", "Mod", "QuantizeLinear", "DynamicQuantizeLinear", "ArgMax", "ArgMin", "TopK"}
    | {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}
)
"""What may give another integer, or another answer, for another last place."""
PLAIN = frozenset(
    {"Add", "Sub", "Mul", "Div", "Neg", "Abs", "Min", "Max", "Clip", "Relu", "Identity", "Cast"}
    | {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Concat", "Split", "Slice", "Gather"}
)
"""What hands a number on, itself or with another: its readers are looked at too."""


def _rules() -> Iterator[Rule]:
    yield rule("multiply-by-reciprocal", "Div", lambda op, x, c: op.Div(x, c), _reciprocal, _divided)
    for inner_first, outer_first in product((True, False), repeat=2):
        yield rule("multiply-once", "Mul", _pattern(inner_first, outer_first), _together, _factors)


def _pattern(inner_first: bool, outer_first: bool) -> Callable[..., Any]:
    def pattern(op: Any, x: Any, a: Any, b: Any) -> Any:
        inner = op.Mul(*((x, a) if inner_first else (a, x)))
        return op.Mul(*((inner, b) if outer_first else (b, inner)))

    return pattern


def _divided(context: Any, x: ir.Value, c: ir.Value, **_: Any) -> Any:
    wanted = constant_size(c) is not None and constant_size(x) is None and c.dtype in WIDE
    return _decided(context) if wanted else refuse("")


def _factors(context: Any, x: ir.Value, a: ir.Value, b: ir.Value, **_: Any) -> Any:
    wanted = constant_size(a) == constant_size(b) == 1 and constant_size(x) is None and a.dtype in WIDE
    return _decided(context) if wanted else refuse("")


def _decided(context: Any) -> Any:
    """Whether no reader of the result makes a step of a difference in its last place."""
    open_values, seen = list(context.output_values), set[ir.Node]()
    while open_values:
        for node, _ in open_values.pop().uses():
            if node.op_type in STEPS or (node.op_type == "Cast" and attr_int(node, "to", 1) not in map(int, FLOATS)):
                return refuse(f"{node.op_type} reads it, for which the last place may decide")
            if node.op_type in PLAIN and node not in seen:
                seen.add(node)
                open_values += node.outputs
    return True


def _reciprocal(op: Any, x: ir.Value, c: ir.Value, **_: Any) -> Any:
    divisor = _elements(c)
    with np.errstate(all="ignore"):
        factor = (1 / divisor.astype(np.float64)).astype(divisor.dtype)
    return _multiplied(op, x, factor, "reciprocal")


def _together(op: Any, x: ir.Value, a: ir.Value, b: ir.Value, **_: Any) -> Any:
    first, second = _elements(a), _elements(b)
    with np.errstate(all="ignore"):
        factor = (first.astype(np.float64) * second).astype(first.dtype)
    return _multiplied(op, x, factor, "factor")


def _elements(value: ir.Value) -> Array:
    array = constant(value)
    if array is None:
        raise InternalError(f"a rule took {value.name!r} for a constant")
    return array


def _multiplied(op: Any, x: ir.Value, factor: Array, name: str) -> Any:
    if not np.all(np.isfinite(factor) & (np.abs(factor) >= np.finfo(factor.dtype).tiny)):
        return refuse(f"the {name} is no normal number")
    return op.Mul(x, op.initializer(ir.tensor(factor), name=name))


FACTORS: tuple[Rule, ...] = tuple(_rules())
