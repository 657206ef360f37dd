"""conv(x, W, b) * s + t -> conv(x, W*s, b*s + t), and the same for ConvTranspose, Gemm, MatMul and MatMul + bias.

The scale and shift come from BatchNormalization or from Mul, Div, Add, Sub with a constant. A shift on a MatMul
that has no bias stays an Add, because fusion takes it into the product's epilogue anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.rules.affine import (
    Folded,
    Host,
    Refusal,
    affine_of,
    batch_norm_affine,
    conv_host,
    conv_transpose_host,
    fold,
    gemm_host,
    matmul_host,
    rounded,
)
from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.known import constant_size, input_at, maker, rank

HOSTS: dict[str, Callable[[ir.Node], Host]] = {
    "Conv": conv_host,
    "ConvTranspose": conv_transpose_host,
    "Gemm": gemm_host,
    "MatMul": matmul_host,
    "MatMul+bias": matmul_host,
    "bias+MatMul": matmul_host,
}
CONSUMERS = ("BatchNormalization", "Mul", "Div", "Add", "Sub")
ONE_ORDER = ("BatchNormalization", "Div")
"""Consumers whose other operand order is none, or no affine function of the product."""


def _rules() -> Iterator[Rule]:
    for kind in HOSTS:
        for consumer in CONSUMERS:
            if kind == "MatMul" and consumer in ("Add", "Sub"):
                continue
            for product_first in (True, False)[: 1 if consumer in ONE_ORDER else 2]:
                pattern = _pattern(kind, consumer, product_first)
                yield rule(f"fold-{_kebab(consumer)}", consumer, pattern, _replacement(HOSTS[kind]), _expected)


def _kebab(op_type: str) -> str:
    return "batch-norm" if op_type == "BatchNormalization" else op_type.lower()


def product_pattern(op: Any, kind: str, x: Any, b: Any) -> Any:
    """A product of HOSTS, named `host`: of x and weights, and of a bias b if that is a node of its own."""
    if kind == "MatMul+bias":
        return op.Add(op.MatMul(x, _allow_other_inputs=True), b, _outputs=["host"])
    if kind == "bias+MatMul":
        return op.Add(b, op.MatMul(x, _allow_other_inputs=True), _outputs=["host"])
    return getattr(op, kind)(x, _allow_other_inputs=True, _outputs=["host"])


def _pattern(kind: str, consumer: str, product_first: bool) -> Callable[..., Any]:
    def pattern(op: Any, x: Any, b: Any, c: Any) -> Any:
        host = product_pattern(op, kind, x, b)
        if consumer == "BatchNormalization":
            return op.BatchNormalization(host, _allow_other_inputs=True, _outputs=["root"])
        operands = (host, c) if product_first else (c, host)
        return getattr(op, consumer)(*operands, _outputs=["root"])

    return pattern


def _expected(context: Any, host: ir.Value, b: ir.Value | None, c: ir.Value | None, **_: Any) -> Any:
    """Nobody expects a fold where two computed values meet, so nothing is recorded there."""
    operands = [value for value in (b, c) if value is not None]
    return True if all(constant_size(value) is not None for value in operands) else refuse("")


def _replacement(describe: Callable[[ir.Node], Host]) -> Callable[..., Any]:
    def replace(op: Any, x: ir.Value, host: ir.Value, root: ir.Value, c: ir.Value | None, **_: Any) -> Any:
        product, consumer = maker(host), maker(root)
        try:
            told = describe(product)
            folded = fold(told, *affine_of(consumer, c, told))
        except Refusal as refusal:
            return refuse(str(refusal))
        return product_again(op, x, told, folded, root)

    return replace


def product_again(op: Any, x: ir.Value, told: Host, folded: Folded, result: ir.Value) -> Any:
    """The product with its folded weights; `result` has the type and the shape of what it gives."""
    old_weight, old_bias = told.node.inputs[1], input_at(told.node, 2)
    weight = old_weight
    if folded.weight is not None:
        weight = op.initializer(ir.tensor(folded.weight), name=_folded(old_weight))
    attributes = dict(told.node.attributes)
    attributes.pop("beta", None)  # the new bias holds it
    inputs = [x, weight]
    if folded.bias is not None:
        name = f"{old_weight and old_weight.name}_bias" if old_bias is None else _folded(old_bias)
        bias = op.initializer(ir.tensor(folded.bias), name=name)
        if told.node.op_type != "MatMul":
            inputs.append(bias)
    y = getattr(op, told.node.op_type)(*inputs, **attributes)
    if folded.bias is not None and told.node.op_type == "MatMul":
        y.type, y.shape = result.type, result.shape
        y = op.Add(y, bias)
    return y


def _folded(value: ir.Value | None) -> str:
    return f"{str(value and value.name).removesuffix('_folded')}_folded"


def _lone_pattern(op: Any, x: Any) -> Any:
    return op.BatchNormalization(x, _allow_other_inputs=True, _outputs=["root"])


def _lone_replacement(op: Any, x: ir.Value, root: ir.Value) -> Any:
    """BatchNormalization(x, gamma, beta, mean, variance) -> x * s + t, for input that no weights make."""
    full = rank(x) if rank(x) is not None else rank(root)
    if full is None or full < 2:
        return refuse("the rank of its input is unknown")
    element = x.dtype if x.dtype is not None else root.dtype
    if element is None:
        return refuse("the type of its input is unknown")
    try:
        scale, shift = batch_norm_affine(maker(root))
        dtype = np.dtype(element.numpy())
        arrays = [rounded(part, dtype, "constant").reshape(-1, *[1] * (full - 2)) for part in (scale, shift)]
    except Refusal as refusal:
        return refuse(str(refusal))
    factor = op.initializer(ir.tensor(arrays[0]), name=f"{root.name}_scale")
    term = op.initializer(ir.tensor(arrays[1]), name=f"{root.name}_shift")
    product = op.Mul(x, factor)
    product.type, product.shape = root.type, root.shape
    return op.Add(product, term)


FOLD_AFFINE: tuple[Rule, ...] = tuple(_rules())
LONE_BATCH_NORM: tuple[Rule, ...] = (
    rule("batch-norm-to-mul-add", "BatchNormalization", _lone_pattern, _lone_replacement),
)
