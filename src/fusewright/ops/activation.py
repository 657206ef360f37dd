"""What does each activation compute? The formulas of the ONNX operator pages, NaN and infinity included."""

from __future__ import annotations

from fusewright.kernel.expr import FLOATS, const
from fusewright.kernel.tensor import Moved, Tensor, cast, map_, where
from fusewright.ops.opdef import Kind, OpDef, Site


def _unary(onnx_name: str, name: str) -> OpDef:
    return OpDef(onnx_name, Kind.ELEMENTWISE, lambda site, x: map_(name, x))


def relu(site: Site, x: Tensor) -> Tensor:
    return map_("max", x, 0)


def leaky_relu(site: Site, x: Tensor) -> Tensor:
    return where(x < 0, x * float(site.get("alpha")), x)


def prelu(site: Site, x: Tensor, slope: Tensor) -> Tensor:
    return where(x < 0, x * slope, x)


def thresholded_relu(site: Site, x: Tensor) -> Tensor:
    return where(x <= float(site.get("alpha")), 0, x)


def elu(site: Site, x: Tensor) -> Tensor:
    return where(x < 0, float(site.get("alpha")) * map_("expm1", x), x)


def celu(site: Site, x: Tensor) -> Tensor:
    alpha = float(site.get("alpha"))
    return where(x < 0, alpha * map_("expm1", x / alpha), x)


def selu(site: Site, x: Tensor) -> Tensor:
    alpha, gamma = float(site.get("alpha")), float(site.get("gamma"))
    return gamma * where(x <= 0, alpha * map_("expm1", x), x)


def gelu(site: Site, x: Tensor) -> Tensor:
    """0.5 x (1 + erf(x / sqrt 2)), or its tanh form."""
    if site.get("approximate", "none") == "tanh":
        return 0.5 * x * (1.0 + map_("tanh", 0.7978845608028654 * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1.0 + map_("erf", 0.7071067811865476 * x))


def hard_sigmoid(site: Site, x: Tensor) -> Tensor:
    scaled = x * float(site.get("alpha")) + float(site.get("beta"))
    return map_("min", map_("max", scaled, 0.0), 1.0)


def hard_swish(site: Site, x: Tensor) -> Tensor:
    return x * map_("min", map_("max", x * (1.0 / 6.0) + 0.5, 0.0), 1.0)


def swish(site: Site, x: Tensor) -> Tensor:
    alpha = float(site.get("alpha"))
    return x * map_("sigmoid", x if alpha == 1.0 else x * alpha)


def mish(site: Site, x: Tensor) -> Tensor:
    return x * map_("tanh", map_("softplus", x))


def softsign(site: Site, x: Tensor) -> Tensor:
    return x / (1.0 + map_("abs", x))


def shrink(site: Site, x: Tensor) -> Tensor:
    """x moved towards 0 by `bias` outside of [-lambd, lambd], 0 inside; integers by way of float64."""
    bias, limit = float(site.get("bias")), float(site.get("lambd"))
    wide = x if x.dtype in FLOATS else cast(x, "f64")
    return cast(where(wide < -limit, wide + bias, where(wide > limit, wide - bias, 0)), x.dtype)


def dropout(site: Site, x: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor]:
    """What inference makes of it: the input, and a mask that keeps everything."""
    mask = Moved(x.shape, "bool", element=lambda idx: const(True, "bool"), name="mask")
    return x, mask


def dropout_supported(site: Site) -> str | None:
    ratio, training = site.constants.get(1), site.constants.get(2)
    if training is None or not training.any() or (ratio is not None and not ratio.any()):
        return None
    return "its training mode draws random numbers"


OPS = (
    OpDef("Relu", Kind.ELEMENTWISE, relu),
    OpDef("LeakyRelu", Kind.ELEMENTWISE, leaky_relu),
    OpDef("PRelu", Kind.ELEMENTWISE, prelu),
    OpDef("ThresholdedRelu", Kind.ELEMENTWISE, thresholded_relu),
    OpDef("Elu", Kind.ELEMENTWISE, elu),
    OpDef("Celu", Kind.ELEMENTWISE, celu),
    OpDef("Selu", Kind.ELEMENTWISE, selu),
    OpDef("Gelu", Kind.ELEMENTWISE, gelu),
    OpDef("HardSigmoid", Kind.ELEMENTWISE, hard_sigmoid),
    OpDef("HardSwish", Kind.ELEMENTWISE, hard_swish),
    OpDef("Swish", Kind.ELEMENTWISE, swish),
    OpDef("Mish", Kind.ELEMENTWISE, mish),
    OpDef("Softsign", Kind.ELEMENTWISE, softsign),
    OpDef("Shrink", Kind.ELEMENTWISE, shrink),
    OpDef("Dropout", Kind.ELEMENTWISE, dropout, constants=(1, 2), supports=dropout_supported),
    _unary("Sigmoid", "sigmoid"),
    _unary("Tanh", "tanh"),
    _unary("Softplus", "softplus"),
)
