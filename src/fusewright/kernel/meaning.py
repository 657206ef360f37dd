"""What does each node of an expression compute? Its meaning in NumPy, the reference for every printer.

Values are as the interpreter keeps them: a scalar i64 is a Python int, other scalars are NumPy scalars, a vector is an
array with one element a lane. What C leaves undefined is defined here as `csrc/fw_scalar.h` defines it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from fusewright.errors import InternalError
from fusewright.kernel.expr import FLOATS, MINUS_LN2

Meaning = Callable[..., Any]

NUMPY: Mapping[str, np.dtype[Any]] = {
    "bool": np.dtype(np.bool_), "f16": np.dtype(np.float16), "f32": np.dtype(np.float32), "f64": np.dtype(np.float64),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    **{f"{kind}{bits}": np.dtype(f"{kind}{bits // 8}") for kind in "iu" for bits in (8, 16, 32, 64)},
}  # fmt: skip

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _trunc_div(a: Any, b: Any) -> Any:
    """Towards zero; 0 where b is 0."""
    a, b = np.asarray(a), np.asarray(b)
    safe = np.where(b == 0, np.ones_like(b), b)
    quotient = a // safe
    return np.where(b == 0, 0, quotient + ((a - quotient * safe != 0) & ((a < 0) != (safe < 0))))


def _int_fmod(a: Any, b: Any) -> Any:
    """The remainder with the dividend's sign; 0 where b is 0."""
    a, b = np.asarray(a), np.asarray(b)
    return np.where(b == 0, 0, np.fmod(a, np.where(b == 0, np.ones_like(b), b)))


def _int_mod(a: Any, b: Any) -> Any:
    """The remainder with the divisor's sign; 0 where b is 0."""
    a, b = np.asarray(a), np.asarray(b)
    return np.where(b == 0, 0, np.remainder(a, np.where(b == 0, np.ones_like(b), b)))


def _int_pow(a: Any, b: Any) -> Any:
    """Wraps around; a negative power is truncated towards zero."""
    a, b = np.asarray(a), np.asarray(b)
    wrapped = np.power(a, np.where(b < 0, np.zeros_like(b), b))
    odd = np.where(b % 2 == 0, np.ones_like(a), a)
    return np.where(b < 0, np.where(a == 1, 1, np.where(a == -1, odd, 0)), wrapped)


def _shift(fn: Meaning) -> Meaning:
    def shifted(a: Any, b: Any) -> Any:
        a, b = np.asarray(a), np.asarray(b)
        bits = 8 * a.dtype.itemsize
        return np.where(b < bits, fn(a, np.minimum(b, b.dtype.type(bits - 1))), 0)

    return shifted


def _counting(fn: Meaning) -> Meaning:
    """C divides towards zero, Python towards minus infinity: indices must keep to where both agree."""

    def counted(a: Any, b: Any) -> Any:
        if np.any(np.less(a, 0)) or np.any(np.less_equal(b, 0)):
            raise InternalError(f"an index divides {a} by {b}: only what is not negative, by what is positive")
        return fn(a, b)

    return counted


ANY: Mapping[str, Meaning] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "neg": operator.neg,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq, "ne": operator.ne,
    "bitand": operator.and_, "bitor": operator.or_, "bitxor": operator.xor, "bitnot": operator.invert,
    "and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor, "not": np.logical_not,
    "select": np.where, "fma": lambda a, b, c: a * b + c,
    "floordiv": _counting(operator.floordiv), "floormod": _counting(operator.mod),
    "max": np.maximum, "min": np.minimum, "abs": np.abs, "sign": np.sign, "copysign": np.copysign,
    "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.rint, "mod": np.mod, "fmod": np.fmod,
    "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "recip": lambda x: 1 / x, "pow": np.power,
    "exp": np.exp, "exp_low": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "erf": _erf,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "silu": lambda x: x / (1 + np.exp(-x)),
    "silu_log2": lambda x: x * MINUS_LN2 / (1 + np.exp2(x)),
    "now": lambda x: x,  # computed where it stands in the text, whatever a C compiler would prefer
    "softplus": lambda x: np.logaddexp(np.zeros_like(x), x),
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "isnan": np.isnan, "isinf": np.isinf,
    "lane": lambda vector, lane: vector[lane],
    "evens": lambda vector: np.tile(vector[::2], 2), "odds": lambda vector: np.tile(vector[1::2], 2),
    "hsum": np.add.reduce, "hprod": np.multiply.reduce, "hmax": np.maximum.reduce, "hmin": np.minimum.reduce,
}  # fmt: skip

INTEGER: Mapping[str, Meaning] = {
    "div": _trunc_div, "mod": _int_mod, "fmod": _int_fmod, "pow": _int_pow,
    "shl": _shift(np.left_shift), "shr": _shift(np.right_shift),
}  # fmt: skip
"""What is another thing for integers."""

INDEX: Mapping[str, Meaning] = {"min": min, "max": max, "select": lambda c, a, b: a if c else b}
"""What is quicker on Python's own integers."""


def meaning(name: str, dtype: str, vec: bool) -> Meaning:
    """What node `name` computes where its result has `dtype` (of a comparison: its operands).

    Raises InternalError for a name that no table has.
    """
    table = ANY
    if dtype not in FLOATS and name in INTEGER:
        table = INTEGER
    elif dtype == "i64" and not vec and name in INDEX:
        table = INDEX
    if name not in table:
        raise InternalError(f"node {name} of {dtype} has no meaning in kernel/meaning.py")
    return table[name]


def convert(x: Any, source: str, target: str) -> Any:
    """A cast: integers wrap, floats are cut towards zero; beyond int64 they saturate (NaN: the smallest)."""
    kind = NUMPY[target]
    if target == "bool":
        return np.not_equal(x, 0)
    if source not in FLOATS or target in FLOATS:
        return np.asarray(x, NUMPY[source]).astype(kind)
    wide = np.asarray(x, NUMPY[source]).astype(np.float64)
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    inside = (wide >= -(2.0**63)) & (wide < 2.0**63)
    if target == "u64":
        above = np.where(wide >= 2.0**63, wide - 2.0**63, 0.0).astype(np.uint64) + np.uint64(2**63)
        return np.where(wide >= 2.0**63, above, np.where(inside, wide, 0.0).astype(np.int64).astype(np.uint64))
    whole = np.where(inside, wide, 0.0).astype(np.int64)
    return np.where(inside, whole, np.where(wide >= 2.0**63, high, low)).astype(kind)
