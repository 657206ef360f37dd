"""What do the arithmetic operations compute? Sums, products, powers, rounding and the functions of one number."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from fusewright.kernel.expr import FLOATS, INTS
from fusewright.kernel.tensor import Literal, Operand, Tensor, cast, map_
from fusewright.ops.opdef import Kind, OpDef, Site


def _unary(onnx_name: str, name: str) -> OpDef:
    return OpDef(onnx_name, Kind.ELEMENTWISE, lambda site, x: map_(name, x))


def _binary(onnx_name: str, name: str) -> OpDef:
    return OpDef(onnx_name, Kind.ELEMENTWISE, lambda site, a, b: map_(name, a, b))


def _variadic(onnx_name: str, name: str) -> OpDef:
    def lower(site: Site, *inputs: Tensor) -> Tensor:
        return reduce(lambda a, b: map_(name, a, b), inputs)

    return OpDef(onnx_name, Kind.ELEMENTWISE, lower)


def mean(site: Site, *inputs: Tensor) -> Tensor:
    return reduce(lambda a, b: map_("add", a, b), inputs) / float(len(inputs))


def power(site: Site, x: Tensor, y: Tensor) -> Tensor:
    """x to the power y in the dtype of x. Small whole powers that the model spells are products."""
    if x.dtype in FLOATS:
        small = _small_power(x, y)
        if small is not None:
            return small
        wide = "f64" if "f64" in (x.dtype, y.dtype) else "f32"
        return cast(map_("pow", cast(x, wide), cast(y, wide)), x.dtype)
    if y.dtype in INTS:
        wide = x.dtype if x.dtype == y.dtype else "i64"
        return cast(map_("pow", cast(x, wide), cast(y, wide)), x.dtype)
    return cast(map_("pow", cast(x, "f64"), cast(y, "f64")), x.dtype)


def _small_power(x: Tensor, y: Tensor) -> Tensor | None:
    powers: dict[float, Callable[[], Tensor]] = {
        1.0: lambda: x,
        2.0: lambda: x * x,
        3.0: lambda: x * x * x,
        -1.0: lambda: map_("recip", x),
    }
    if not isinstance(y, Literal) or len(y.shape) > len(x.shape):
        return None
    made = powers.get(float(y.value))
    return None if made is None else made()


def modulo(site: Site, a: Tensor, b: Tensor) -> Tensor:
    """The remainder with the sign of the divisor, or with `fmod` that of the dividend."""
    return map_("fmod" if site.get("fmod") else "mod", a, b)


def clip(site: Site, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """min(max(x, low), high); the limits are inputs, or attributes in old opsets."""
    lower: Operand | None = low if low is not None else site.get("min")
    upper: Operand | None = high if high is not None else site.get("max")
    y = x if lower is None else map_("max", x, lower)
    return y if upper is None else map_("min", y, upper)


OPS = (
    _binary("Add", "add"),
    _binary("Sub", "sub"),
    _binary("Mul", "mul"),
    _binary("Div", "div"),
    _variadic("Sum", "add"),
    _variadic("Max", "max"),
    _variadic("Min", "min"),
    OpDef("Mean", Kind.ELEMENTWISE, mean),
    OpDef("Pow", Kind.ELEMENTWISE, power),
    OpDef("Mod", Kind.ELEMENTWISE, modulo),
    OpDef("Clip", Kind.ELEMENTWISE, clip),
    _unary("Neg", "neg"),
    _unary("Abs", "abs"),
    _unary("Sign", "sign"),
    _unary("Floor", "floor"),
    _unary("Ceil", "ceil"),
    _unary("Round", "round"),
    _unary("Reciprocal", "recip"),
    _unary("Sqrt", "sqrt"),
    _unary("Exp", "exp"),
    _unary("Log", "log"),
    _unary("Erf", "erf"),
    _unary("Sin", "sin"),
    _unary("Cos", "cos"),
    _unary("Tan", "tan"),
    _unary("Asin", "asin"),
    _unary("Acos", "acos"),
    _unary("Atan", "atan"),
    _unary("Sinh", "sinh"),
    _unary("Cosh", "cosh"),
    _unary("Asinh", "asinh"),
    _unary("Acosh", "acosh"),
    _unary("Atanh", "atanh"),
)
