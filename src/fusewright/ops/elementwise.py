"""What does each elementwise operation compute? One declaration each; shapes broadcast as in NumPy."""

from __future__ import annotations

from fusewright.kernel.tensor import Tensor, cast, map_, where
from fusewright.ops.opdef import Kind, OpDef, Site


def _unary(onnx_name: str, name: str) -> OpDef:
    return OpDef(onnx_name, Kind.ELEMENTWISE, lambda site, x: map_(name, x))


def _binary(onnx_name: str, name: str) -> OpDef:
    return OpDef(onnx_name, Kind.ELEMENTWISE, lambda site, a, b: map_(name, a, b))


def relu(site: Site, x: Tensor) -> Tensor:
    return map_("max", x, 0)


def clip(site: Site, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """min(max(x, low), high); the limits are inputs, or attributes in old opsets."""
    lower = low if low is not None else site.get("min")
    upper = high if high is not None else site.get("max")
    y = x if lower is None else map_("max", x, lower)
    return y if upper is None else map_("min", y, upper)


def sigmoid(site: Site, x: Tensor) -> Tensor:
    return map_("sigmoid", x)


def to_dtype(site: Site, x: Tensor) -> Tensor:
    return cast(x, site.dtype)


def select(site: Site, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return where(condition, a, b)


def gelu(site: Site, x: Tensor) -> Tensor:
    """0.5 x (1 + erf(x / sqrt 2)), or its tanh form."""
    if site.get("approximate", "none") == "tanh":
        return 0.5 * x * (1.0 + map_("tanh", 0.7978845608028654 * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1.0 + map_("erf", 0.7071067811865476 * x))


def hard_sigmoid(site: Site, x: Tensor) -> Tensor:
    scaled = x * float(site.get("alpha", 0.2)) + float(site.get("beta", 0.5))
    return map_("min", map_("max", scaled, 0.0), 1.0)


def hard_swish(site: Site, x: Tensor) -> Tensor:
    return x * map_("min", map_("max", x * (1.0 / 6.0) + 0.5, 0.0), 1.0)


OPS = (
    _binary("Add", "add"),
    _binary("Sub", "sub"),
    _binary("Mul", "mul"),
    _binary("Div", "div"),
    _binary("Pow", "pow"),
    _unary("Sqrt", "sqrt"),
    _unary("Exp", "exp"),
    _unary("Erf", "erf"),
    _unary("Tanh", "tanh"),
    _unary("Neg", "neg"),
    _unary("Abs", "abs"),
    OpDef("Relu", Kind.ELEMENTWISE, relu),
    OpDef("Clip", Kind.ELEMENTWISE, clip),
    OpDef("Sigmoid", Kind.ELEMENTWISE, sigmoid),
    OpDef("Cast", Kind.ELEMENTWISE, to_dtype),
    OpDef("Where", Kind.ELEMENTWISE, select),
    OpDef("Gelu", Kind.ELEMENTWISE, gelu),
    OpDef("HardSigmoid", Kind.ELEMENTWISE, hard_sigmoid),
    OpDef("HardSwish", Kind.ELEMENTWISE, hard_swish),
)
