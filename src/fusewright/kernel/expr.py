"""What a kernel computes: scalar (later vector) expressions over loads, loop variables and run-time integers.

An expression is a directed acyclic graph of immutable nodes compared by identity: a node used twice is computed once.
Index expressions have dtype `i64`. `Arg` is an integer that the kernel receives when it is called: the kernel's text
does not depend on its value, so one kernel serves every size. `Const` is spelled into the text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

FLOATS = frozenset({"f32", "f64", "f16", "bf16"})
HALVES = frozenset({"f16", "bf16"})
SIGNED = frozenset({"i8", "i16", "i32", "i64"})
UNSIGNED = frozenset({"u8", "u16", "u32", "u64"})
INTS = SIGNED | UNSIGNED
SIZES = {
    "bool": 1, "i8": 1, "u8": 1, "i16": 2, "u16": 2, "f16": 2, "bf16": 2,
    "i32": 4, "u32": 4, "f32": 4, "i64": 8, "u64": 8, "f64": 8,
}  # fmt: skip
MINUS_LN2 = float(np.float32(-math.log(2)))
COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "isnan", "isinf"})


def computed(dtype: str) -> str:
    """The dtype that values of `dtype` are computed in: of halves, float32, rounded after each operation."""
    return "f32" if dtype in HALVES else dtype


@dataclass(frozen=True, eq=False)
class Expr:
    """A value of one dtype; `vec` tells whether it holds one value a lane."""

    dtype: str
    vec: bool

    def __add__(self, other: Number) -> Expr:
        return binary("add", self, other)

    def __radd__(self, other: Number) -> Expr:
        return binary("add", self, other)

    def __sub__(self, other: Number) -> Expr:
        return binary("sub", self, other)

    def __rsub__(self, other: Number) -> Expr:
        return binary("sub", const(other, self.dtype), self)

    def __mul__(self, other: Number) -> Expr:
        return binary("mul", self, other)

    def __rmul__(self, other: Number) -> Expr:
        return binary("mul", self, other)

    def __floordiv__(self, other: Number) -> Expr:
        return binary("floordiv", self, other)

    def __mod__(self, other: Number) -> Expr:
        return binary("floormod", self, other)

    def __neg__(self) -> Expr:
        return op("neg", self)

    def __lt__(self, other: Number) -> Expr:
        return binary("lt", self, other)

    def __le__(self, other: Number) -> Expr:
        return binary("le", self, other)

    def __gt__(self, other: Number) -> Expr:
        return binary("gt", self, other)

    def __ge__(self, other: Number) -> Expr:
        return binary("ge", self, other)


Number = Expr | int | float | bool


@dataclass(frozen=True, eq=False)
class Const(Expr):
    value: int | float | bool


@dataclass(frozen=True, eq=False)
class Arg(Expr):
    """A run-time integer; `value` is what this call passes. Decisions may look at it, the text does not show it."""

    value: int


@dataclass(frozen=True, eq=False)
class Var(Expr):
    """A loop variable or a local; the printer makes `name` unique where it must."""

    name: str


@dataclass(frozen=True, eq=False)
class Buffer:
    """Memory that a kernel reads or writes, addressed in elements of `dtype`.

    role: `in` and `out` are passed by pointer; `scratch` is a part of the thread's scratch at `offset` bytes.
    """

    name: str
    dtype: str
    role: str
    offset: int = 0


@dataclass(frozen=True, eq=False)
class Load(Expr):
    """One element; with `vec` and a scalar index, consecutive elements from there (`count` of them, or all lanes, or
    `repeat` of them, 1 or 2, again and again); with a vector index, a gather."""

    buffer: Buffer
    index: Expr
    count: Expr | None = None
    repeat: int = 0


@dataclass(frozen=True, eq=False)
class Op(Expr):
    name: str
    args: tuple[Expr, ...]


def const(value: Number, dtype: str) -> Expr:
    """`value` as a constant of `dtype` (an expression is returned as it is)."""
    if isinstance(value, Expr):
        return value
    if dtype in FLOATS:
        return Const(dtype, False, float(value))
    if dtype == "bool":
        return Const(dtype, False, bool(value))
    return Const(dtype, False, int(value))


@lru_cache(maxsize=1 << 14)
def index(value: int) -> Const:
    """An index constant; equal ones are one node, since planning makes tens of thousands of them."""
    return Const("i64", False, value)


def arg(value: int) -> Arg:
    return Arg("i64", False, value)


def is_const(x: Expr, value: float | None = None) -> bool:
    return isinstance(x, Const) and (value is None or x.value == value)


def known(x: Expr) -> int | None:
    """The integer that `x` is in this call, if it depends on constants and run-time integers alone."""
    if isinstance(x, (Const, Arg)):
        return int(x.value)
    if isinstance(x, Op) and x.dtype == "i64" and x.name in _FOLD:
        values = [known(a) for a in x.args]
        if all(v is not None for v in values):
            return int(_FOLD[x.name](*values))
    return None


_FOLD: Mapping[str, Callable[..., int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "floormod": lambda a, b: a % b,
    "min": min,
    "max": max,
}


def _simplify_index(name: str, a: Expr, b: Expr) -> Expr | None:
    """Integer identities; index arithmetic would be unreadable without them."""
    if isinstance(a, Const) and isinstance(b, Const) and name in _FOLD and not (b.value == 0 and "floor" in name):
        return Const(a.dtype, False, int(_FOLD[name](a.value, b.value)))
    if name == "add":
        if is_const(a, 0):
            return b
        if is_const(b, 0):
            return a
        # keep constants outermost and merged: (x + 3) + 4 -> x + 7
        if isinstance(b, Const) and isinstance(a, Op) and a.name == "add" and isinstance(a.args[1], Const):
            return a.args[0] + int(a.args[1].value + b.value)
    if name == "sub" and is_const(b, 0):
        return a
    if name == "mul":
        if is_const(a, 0) or is_const(b, 0):
            return index(0)
        if is_const(a, 1):
            return b
        if is_const(b, 1):
            return a
    if name == "floordiv" and is_const(b, 1):
        return a
    if name == "floormod" and is_const(b, 1):
        return index(0)
    return None


def binary(name: str, a: Number, b: Number) -> Expr:
    """A two-operand node; a Python number takes the dtype of the other operand."""
    if not isinstance(a, Expr):
        if not isinstance(b, Expr):
            raise TypeError(f"{name}: one operand must be an expression")
        a = const(a, b.dtype)
    b = const(b, a.dtype)
    if a.dtype != b.dtype:
        raise TypeError(f"{name}: operands differ in dtype: {a.dtype} and {b.dtype}")
    if a.dtype == "i64":
        simpler = _simplify_index(name, a, b)
        if simpler is not None:
            return simpler
    if name == "mul" and a.dtype == "f32":
        for x, gate in ((a, b), (b, a)):
            if isinstance(gate, Op) and gate.name == "sigmoid" and gate.args[0] is x:
                return _silu(x)
    dtype = "bool" if name in COMPARISONS else a.dtype
    return Op(dtype, a.vec or b.vec, name, (a, b))


def _silu(x: Expr) -> Expr:
    """x sigmoid(x); of -ln2 z, whose e^-x is 2^z, it is one function of z."""
    if isinstance(x, Op) and x.name == "mul":
        for z, factor in (x.args, x.args[::-1]):
            if is_const(factor, MINUS_LN2):
                return op("silu_log2", z)
    return op("silu", x)


def op(name: str, *args: Expr) -> Expr:
    """A node whose dtype is that of its first operand (comparisons and tests give `bool`)."""
    dtype = "bool" if name in COMPARISONS else args[0].dtype
    return Op(dtype, any(a.vec for a in args), name, args)


def cast(x: Expr, dtype: str) -> Expr:
    if x.dtype == dtype:
        return x
    if isinstance(x, Const) and math.isfinite(x.value) and {x.dtype, dtype} <= {"i64", "i32", "f32", "f64"}:
        return const(x.value, dtype)
    return Op(dtype, x.vec, "cast", (x,))


def select(condition: Expr, a: Number, b: Number) -> Expr:
    if not isinstance(a, Expr):
        if not isinstance(b, Expr):
            raise TypeError("select: one branch must be an expression")
        a = const(a, b.dtype)
    b = const(b, a.dtype)
    if a.dtype != b.dtype:
        raise TypeError(f"select: branches differ in dtype: {a.dtype} and {b.dtype}")
    if isinstance(condition, Const):
        return a if condition.value else b
    return Op(a.dtype, condition.vec or a.vec or b.vec, "select", (condition, a, b))


def minimum(a: Number, b: Number) -> Expr:
    return binary("min", a, b)


def maximum(a: Number, b: Number) -> Expr:
    return binary("max", a, b)


def all_of(conditions: Sequence[Expr]) -> Expr | None:
    """Their conjunction, or None when there is none."""
    result: Expr | None = None
    for c in conditions:
        result = c if result is None else op("and", result, c)
    return result


def children(x: Expr) -> tuple[Expr, ...]:
    if isinstance(x, Op):
        return x.args
    if isinstance(x, Load):
        return (x.index,) if x.count is None else (x.index, x.count)
    return ()


def loads(x: Expr) -> list[Load]:
    """Every load below `x`, each once, in order of first appearance."""
    seen: set[int] = set()
    found: list[Load] = []

    def walk(e: Expr) -> None:
        if id(e) in seen:
            return
        seen.add(id(e))
        if isinstance(e, Load):
            found.append(e)
        for c in children(e):
            walk(c)

    walk(x)
    return found
