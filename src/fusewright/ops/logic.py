"""What do comparisons, logical and bitwise operations compute?"""

from __future__ import annotations

import math

from fusewright.kernel.expr import const
from fusewright.kernel.tensor import Mapped, Tensor, map_, where
from fusewright.ops.opdef import Kind, OpDef, Site


def _unary(onnx_name: str, name: str) -> OpDef:
    return OpDef(onnx_name, Kind.ELEMENTWISE, lambda site, x: map_(name, x))


def _binary(onnx_name: str, name: str) -> OpDef:
    return OpDef(onnx_name, Kind.ELEMENTWISE, lambda site, a, b: map_(name, a, b))


def is_inf(site: Site, x: Tensor) -> Tensor:
    positive, negative = bool(site.get("detect_positive")), bool(site.get("detect_negative"))
    if positive and negative:
        return map_("isinf", x)
    if positive or negative:
        return map_("eq", x, math.inf if positive else -math.inf)
    return Mapped(x.shape, "bool", fn=lambda v: const(False, "bool"), args=(x,), name="false")


def select(site: Site, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return where(condition, a, b)


def shift(site: Site, x: Tensor, by: Tensor) -> Tensor:
    return map_("shl" if site.get("direction") == "LEFT" else "shr", x, by)


OPS = (
    _binary("And", "and"),
    _binary("Or", "or"),
    _binary("Xor", "xor"),
    _unary("Not", "not"),
    _binary("Equal", "eq"),
    _binary("Greater", "gt"),
    _binary("GreaterOrEqual", "ge"),
    _binary("Less", "lt"),
    _binary("LessOrEqual", "le"),
    _unary("IsNaN", "isnan"),
    OpDef("IsInf", Kind.ELEMENTWISE, is_inf),
    OpDef("Where", Kind.ELEMENTWISE, select),
    _binary("BitwiseAnd", "bitand"),
    _binary("BitwiseOr", "bitor"),
    _binary("BitwiseXor", "bitxor"),
    _unary("BitwiseNot", "bitnot"),
    OpDef("BitShift", Kind.ELEMENTWISE, shift),
)
