"""How do numbers change their type? Casts, bit casts, and linear quantization."""

from __future__ import annotations

from fusewright.kernel.expr import SIZES, Expr, Op, index
from fusewright.kernel.tensor import Index, Mapped, Moved, Tensor, cast, map_, reshape_ones
from fusewright.ops.opdef import Kind, OpDef, Site

LIMITS = {"u8": (0, 255), "i8": (-128, 127), "u16": (0, 65535), "i16": (-32768, 32767)}


def to_dtype(site: Site, x: Tensor, *_: Tensor) -> Tensor:
    return cast(x, site.dtype)


def bit_cast(site: Site, x: Tensor) -> Tensor:
    dtype = site.dtype
    if dtype == x.dtype:
        return x
    return Mapped(x.shape, dtype, fn=lambda v: Op(dtype, v.vec, "bitcast", (v,)), args=(x,), name="bitcast")


def bit_cast_supported(site: Site) -> str | None:
    source = site.inputs[0]
    if source is not None and SIZES[source[0]] != SIZES[site.dtype]:
        return f"its types {source[0]} and {site.dtype} differ in width"
    return None


def spread(parameter: Tensor, site: Site, shape: tuple[int, ...]) -> Tensor:
    """A scale or zero point that broadcasts to `shape`: one for all, one along `axis`, or one for each block of it."""
    if parameter.shape in ((), (1,)):
        return reshape_ones(parameter, ())
    rank = len(shape)
    axis = int(site.get("axis", 1)) % rank
    if len(parameter.shape) == 1:
        return reshape_ones(parameter, tuple(shape[axis] if d == axis else 1 for d in range(rank)))
    block = int(site.get("block_size", 0))
    if block == 0:
        block = -(-shape[axis] // parameter.shape[axis])

    def element(idx: Index) -> Expr:
        return parameter.at(tuple(i // index(block) if d == axis else i for d, i in enumerate(idx)))

    return Moved(shape, parameter.dtype, element=element, sources=(parameter,), name="blocks")


def quantize(site: Site, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """saturate(round(x / scale) + zero), rounded half to even."""
    y = map_("round", cast(x, "f32") / cast(spread(scale, site, x.shape), "f32"))
    if zero is not None:
        y = y + cast(spread(zero, site, x.shape), "f32")
    low, high = LIMITS[site.dtype]
    return cast(map_("min", map_("max", y, float(low)), float(high)), site.dtype)


def quantize_supported(site: Site) -> str | None:
    return None if site.dtype in LIMITS else f"quantizing to {site.dtype} is not supported"


def dequantize(site: Site, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """(x - zero) * scale; the difference is exact in int32."""
    y = cast(x, "i32")
    if zero is not None:
        y = y - cast(spread(zero, site, x.shape), "i32")
    return cast(cast(y, "f32") * cast(spread(scale, site, x.shape), "f32"), site.dtype)


OPS = (
    OpDef("Cast", Kind.ELEMENTWISE, to_dtype),
    OpDef("CastLike", Kind.ELEMENTWISE, to_dtype),
    OpDef("BitCast", Kind.MOVEMENT, bit_cast, supports=bit_cast_supported),
    OpDef("QuantizeLinear", Kind.ELEMENTWISE, quantize, supports=quantize_supported, channels=True),
    OpDef("DequantizeLinear", Kind.ELEMENTWISE, dequantize, channels=True),
)
