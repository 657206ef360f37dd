"""x[i0 + lane] -> one vector: rewrite a scalar expression of a lane variable into an expression of all lanes."""

from __future__ import annotations

from fusewright.kernel.expr import (
    HALVES,
    INTS,
    Arg,
    Const,
    Expr,
    Load,
    Op,
    Var,
    binary,
    children,
    computed,
    index,
    is_const,
    known,
    op,
)

LANE = Var("i64", False, "lane")  # stands for the lane's number in expressions that are to be vectorized


def depends(x: Expr, variable: Var, memo: dict[int, bool] | None = None) -> bool:
    memo = {} if memo is None else memo
    if id(x) not in memo:
        memo[id(x)] = x is variable or any(depends(c, variable, memo) for c in children(x))
    return memo[id(x)]


def coefficient(x: Expr, variable: Var) -> Expr | None:
    """d x / d variable where x is affine in it, else None."""
    if x is variable:
        return index(1)
    if not depends(x, variable):
        return index(0)
    if isinstance(x, Op) and x.name in ("add", "sub", "mul"):
        a, b = x.args
        ca, cb = coefficient(a, variable), coefficient(b, variable)
        if ca is None or cb is None:
            return None
        if x.name == "add":
            return ca + cb
        if x.name == "sub":
            return ca - cb
        if is_const(ca, 0):
            return a * cb
        if is_const(cb, 0):
            return ca * b
    return None


def substitute(x: Expr, variable: Var, value: Expr, memo: dict[int, Expr] | None = None) -> Expr:
    """x with `variable` replaced, simplified again; untouched parts stay the same nodes."""
    memo = {} if memo is None else memo
    if x is variable:
        return value
    if isinstance(x, (Const, Arg, Var)):
        return x
    if id(x) in memo:
        return memo[id(x)]
    result: Expr = x
    if isinstance(x, Load):
        i = substitute(x.index, variable, value, memo)
        if i is not x.index:
            result = Load(x.dtype, x.vec, x.buffer, i, x.count, x.repeat)
    elif isinstance(x, Op):
        args = tuple(substitute(a, variable, value, memo) for a in x.args)
        if any(a is not b for a, b in zip(args, x.args, strict=True)):
            if x.dtype == "i64" and len(args) == 2 and x.name in ("add", "sub", "mul", "floordiv", "floormod"):
                result = binary(x.name, args[0], args[1])
            else:
                result = Op(x.dtype, any(a.vec for a in args), x.name, args)
    memo[id(x)] = result
    return result


class Vectorizer:
    """Rewrites expressions of `LANE` for one vector; `count` limits its active lanes (None: all are active)."""

    def __init__(self, count: Expr | None = None) -> None:
        self.count = count
        self.memo: dict[int, tuple[Expr, Expr]] = {}  # id -> (the scalar node, kept alive; its vector form)
        self.lane_memo: dict[int, bool] = {}

    def __call__(self, x: Expr) -> Expr:
        if not depends(x, LANE, self.lane_memo):
            return x
        if id(x) not in self.memo:
            self.memo[id(x)] = (x, self._rewrite(x))
        return self.memo[id(x)][1]

    def _rewrite(self, x: Expr) -> Expr:
        if x is LANE:
            return Op("i64", True, "iota", ())
        if isinstance(x, Load):
            step = coefficient(x.index, LANE)
            if step is not None and (is_const(step, 1) or (isinstance(step, Const) and known(step) == 1)):
                return Load(x.dtype, True, x.buffer, substitute(x.index, LANE, index(0)), self.count)
            return Load(x.dtype, True, x.buffer, self(x.index), self.count)
        if isinstance(x, Op):
            args = tuple(self(a) for a in x.args)
            return Op(x.dtype, True, x.name, args)
        return x


REAL = frozenset({"f32", "f64"})
WHOLE = INTS
ANY = REAL | WHOLE | {"bool"}

REAL_FUNCTIONS = frozenset(
    ("exp", "exp_low", "expm1", "log", "log1p", "tanh", "erf", "sigmoid", "softplus", "sin", "cos", "tan")
).union(("asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"))

VECTOR_FORMS: dict[str, frozenset[str]] = {
    # spelled by the vector extensions themselves
    **dict.fromkeys(("add", "sub", "mul", "neg"), REAL | WHOLE),
    **dict.fromkeys(("lt", "le", "gt", "ge"), REAL | WHOLE),
    **dict.fromkeys(("eq", "ne", "select", "cast", "splat", "iota"), ANY),
    **dict.fromkeys(("bitand", "bitor", "bitxor", "bitnot"), WHOLE),
    **dict.fromkeys(("and", "or", "xor", "not"), frozenset({"bool"})),
    **dict.fromkeys(("fma",), REAL),
    **dict.fromkeys(("bitcast",), REAL | WHOLE),
    **dict.fromkeys(("floordiv", "floormod"), frozenset({"i64"})),
    # functions of csrc/fw_vec.h and fw_math.h
    **dict.fromkeys(("max", "min"), REAL | WHOLE),
    **dict.fromkeys(("abs", "sign"), REAL | {"i32", "i64"}),
    **dict.fromkeys(("floor", "ceil", "trunc", "round", "sqrt", "rsqrt", "recip", "copysign"), REAL),
    **dict.fromkeys(("isnan", "isinf"), REAL),
    **dict.fromkeys(REAL_FUNCTIONS, REAL),
    **dict.fromkeys(("silu", "silu_log2"), frozenset({"f32"})),
    "now": frozenset({"f32"}),
    **dict.fromkeys(("div", "pow", "mod", "fmod"), REAL | WHOLE),
    **dict.fromkeys(("shl", "shr"), WHOLE),
}
"""For which dtypes of the first operand each node has a vector form; all other work is done one by one."""

ODD = ("f64", "f16")
"""A cast by way of float32 would round twice; one by one there is a function that does not."""

FUNCTIONS = REAL_FUNCTIONS | {"silu", "silu_log2", "pow"}
"""Nodes that are many instructions each: functions of csrc/fw_math.h."""


def vectorizable(x: Expr) -> bool:
    """Whether every node has a vector form."""
    seen: set[int] = set()

    def ok(e: Expr) -> bool:
        if id(e) in seen:
            return True
        seen.add(id(e))
        if isinstance(e, Op) and not e.name.startswith("h"):
            dtype = e.args[0].dtype if e.args else e.dtype
            if computed(dtype) not in VECTOR_FORMS.get(e.name, ()):
                return False
            if (e.name == "bitcast" and HALVES & {dtype, e.dtype}) or (e.name == "cast" and (dtype, e.dtype) == ODD):
                return False
        return all(ok(c) for c in children(e))

    return ok(x)


def lane_guard(count: Expr) -> Expr:
    """A mask of the lanes below `count`."""
    return op("lt", Op("i64", True, "iota", ()), count)
