"""y s(y) for y = conv(x, W) and s the sigmoid -> z/c s(z/c) for z = conv(x, W*c) and c = -log2(e).

The sigmoid takes e^-y, and a processor has powers of two: first of all it multiplies y by c. Here the weights have done
so already. What is left, z times a number, is read by `kernel.expr` together with the sigmoid, as one function of z.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.rules.affine import Refusal, fold
from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.fold_affine import HOSTS, product_again, product_pattern
from fusewright.rules.known import constant_size, maker

MINUS_LN2 = np.array(-math.log(2), np.float32)
"""The very number that `kernel.expr` looks for; rules do not import kernels."""


def _rules() -> Iterator[Rule]:
    for kind in HOSTS:
        for product_first in (True, False):
            yield rule("scale-for-power-of-two", "Mul", _pattern(kind, product_first), _replacement(kind), _check)


def _pattern(kind: str, product_first: bool) -> Callable[..., Any]:
    def pattern(op: Any, x: Any, b: Any) -> Any:
        host = product_pattern(op, kind, x, b)
        gate = op.Sigmoid(host)
        return op.Mul(*((host, gate) if product_first else (gate, host)))

    return pattern


def _check(context: Any, b: ir.Value | None, **_: Any) -> Any:
    return True if b is None or constant_size(b) is not None else refuse("")


def _replacement(kind: str) -> Callable[..., Any]:
    def replace(op: Any, x: ir.Value, host: ir.Value, **_: Any) -> Any:
        try:
            told = HOSTS[kind](maker(host))
            if told.weight.dtype != MINUS_LN2.dtype:
                return refuse(f"its weights are {told.weight.dtype}")
            folded = fold(told, np.full(told.channels, 1 / float(MINUS_LN2)), np.zeros(told.channels))
        except Refusal as refusal:
            return refuse(str(refusal))
        z = product_again(op, x, told, folded, host)
        y = op.Mul(z, op.initializer(ir.tensor(MINUS_LN2), name="minus_ln2"))
        for value in (z, y):
            value.type, value.shape = host.type, host.shape
        return op.Mul(y, op.Sigmoid(y))

    return replace


POWERS: tuple[Rule, ...] = tuple(_rules())
