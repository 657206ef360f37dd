"""Transpose(Transpose(x)) -> Transpose(x), or nothing; a Transpose before a product -> the product.

Gemm(Transpose(a), b) -> Gemm(a, b) with transA turned; MatMul(x, Transpose(W)) -> MatMul(x, W') for a constant W.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.known import attr_int, attr_ints, constant, constant_size, maker, rank


def permutation(transpose: ir.Node) -> list[int] | None:
    """Which input axis each output axis is; None when the rank it reverses is unknown."""
    if "perm" in transpose.attributes:
        return attr_ints(transpose, "perm")
    full = rank(transpose.inputs[0])
    full = rank(transpose.outputs[0]) if full is None else full
    return None if full is None else list(range(full))[::-1]


def _pair(op: Any, x: Any) -> Any:
    return op.Transpose(op.Transpose(x, _outputs=["first"]), _outputs=["second"])


def _merge_pair(op: Any, x: ir.Value, first: ir.Value, second: ir.Value) -> Any:
    inner, outer = permutation(maker(first)), permutation(maker(second))
    if inner is None and outer is None:
        return op.Identity(x)  # both reverse all axes
    if inner is None or outer is None:
        known = inner or outer or []
        inner, outer = inner or _reversed(known), outer or _reversed(known)
    perm = [inner[axis] for axis in outer]
    return op.Identity(x) if perm == sorted(perm) else op.Transpose(x, perm=perm)


def _reversed(other: list[int]) -> list[int]:
    """The permutation that reverses as many axes as `other` has."""
    return list(range(len(other)))[::-1]


def _gemm_rule(side: int, flag: str) -> Rule:
    def pattern(op: Any, x: Any, other: Any) -> Any:
        turned = op.Transpose(x, _outputs=["turned"])
        operands = (turned, other) if side == 0 else (other, turned)
        return op.Gemm(*operands, _allow_other_inputs=True, _outputs=["root"])

    def replace(op: Any, x: ir.Value, other: ir.Value, root: ir.Value, turned: ir.Value) -> Any:
        if permutation(maker(turned)) not in ([1, 0], None):
            return refuse("")
        gemm = maker(root)
        operands = (x, other) if side == 0 else (other, x)
        attributes = {**gemm.attributes, flag: 1 - attr_int(gemm, flag, 0)}
        return op.Gemm(*operands, *gemm.inputs[2:], **attributes)

    return rule(f"fold-transpose-into-gemm-{flag[-1].lower()}", "Gemm", pattern, replace, shared=True)


def _matmul_rule(side: int) -> Rule:
    def pattern(op: Any, x: Any, w: Any) -> Any:
        turned = op.Transpose(w, _outputs=["turned"])
        return op.MatMul(*((turned, x) if side == 0 else (x, turned)))

    def check(context: Any, w: ir.Value, **_: Any) -> Any:
        return True if constant_size(w) is not None else refuse("")

    def replace(op: Any, x: ir.Value, w: ir.Value, turned: ir.Value) -> Any:
        weight = constant(w)
        if weight is None:
            return refuse("the weight is not made of numbers")
        array = np.ascontiguousarray(weight.transpose(permutation(maker(turned))))
        folded = op.initializer(ir.tensor(array), name=f"{w.name}_transposed")
        return op.MatMul(*((folded, x) if side == 0 else (x, folded)))

    return rule("fold-transpose-into-matmul", "MatMul", pattern, replace, check)


TRANSPOSES: tuple[Rule, ...] = (
    rule("merge-transposes", "Transpose", _pair, _merge_pair, shared=True),
    _gemm_rule(0, "transA"),
    _gemm_rule(1, "transB"),
    _matmul_rule(0),
    _matmul_rule(1),
)
