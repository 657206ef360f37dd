"""Conv(Pad(x)) -> Conv(x) with larger pads; AveragePool and MaxPool where their own padding means the same.

Conv pads with 0. AveragePool with count_include_pad divides by the whole window, as if zeros were there. MaxPool
pads with minus infinity: a Pad of minus infinity is the same, and a Pad of 0 is when x is nowhere negative, as long
as each window holds an element of x. Crops (negative pads) stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.rules.affine import Refusal
from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.known import (
    attr_int,
    attr_ints,
    attr_str,
    constant,
    constant_ints,
    has_input,
    input_at,
    maker,
    producer,
    rank,
)

NEVER_NEGATIVE = ("Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp", "Softplus")


def pad_amounts(pad: ir.Node, full: int) -> tuple[list[int], list[int]]:
    """Elements put before and after each of `full` axes; Refusal when they are unknown or crop."""
    pads = constant_ints(input_at(pad, 1))
    axes = constant_ints(pad.inputs[3]) if has_input(pad, 3) else list(range(full))
    if pads is None or axes is None:
        raise Refusal("the pads are not constant")
    if attr_str(pad, "mode", "constant") != "constant":
        raise Refusal("the padding is not a constant number")
    if len(pads) != 2 * len(axes):
        raise Refusal(f"{len(pads)} pads for rank {full}")
    if any(amount < 0 for amount in pads):
        raise Refusal("it crops")
    before, after = [0] * full, [0] * full
    for i, axis in enumerate(axes):
        before[axis], after[axis] = pads[i], pads[i + len(axes)]
    return before, after


def pad_value(pad: ir.Node) -> float:
    """The number that is padded with; Refusal when unknown."""
    if not has_input(pad, 2):
        return 0.0
    value = constant(pad.inputs[2])
    if value is None or value.size != 1:
        raise Refusal("the padded number is not constant")
    return float(value.reshape(-1)[0])


def merged_pads(pad: ir.Node, window: ir.Node, spatial: int) -> list[int]:
    """The pads of the convolution or pooling when it does the padding too."""
    auto = attr_str(window, "auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID"):
        raise Refusal(f"auto_pad is {auto}")
    before, after = pad_amounts(pad, spatial + 2)
    if any(before[:2] + after[:2]):
        raise Refusal("the batch or channel axis is padded")
    own = attr_ints(window, "pads") if auto == "NOTSET" and "pads" in window.attributes else [0] * (2 * spatial)
    return [mine + theirs for mine, theirs in zip(own, before[2:] + after[2:], strict=True)]


def conv_pads(pad: ir.Node, window: ir.Node) -> dict[str, Any]:
    """Conv: its padding is 0."""
    full = rank(input_at(window, 1)) or rank(window.inputs[0])
    if full is None:
        raise Refusal("the rank is unknown")
    if pad_value(pad) != 0.0:
        raise Refusal("the padded number is not 0")
    return {"pads": merged_pads(pad, window, full - 2)}


def average_pool_pads(pad: ir.Node, window: ir.Node) -> dict[str, Any]:
    """AveragePool: a padded 0 counts as an element."""
    pads = _pool_pads(pad, window)
    if pad_value(pad) != 0.0:
        raise Refusal("the padded number is not 0")
    if any(attr_ints(window, "pads")) and not attr_int(window, "count_include_pad", 0):
        raise Refusal("its own padding does not count as elements")
    return {"pads": pads, "count_include_pad": 1}


def max_pool_pads(pad: ir.Node, window: ir.Node) -> dict[str, Any]:
    """MaxPool: its padding is minus infinity."""
    pads = _pool_pads(pad, window)
    number = pad_value(pad)
    if number == 0.0:
        if not never_negative(pad.inputs[0]):
            raise Refusal("0 is padded and x may be negative")
    elif number != -np.inf:
        raise Refusal(f"{number} is padded")
    return {"pads": pads}


def _pool_pads(pad: ir.Node, window: ir.Node) -> list[int]:
    kernel = attr_ints(window, "kernel_shape")
    if attr_int(window, "ceil_mode", 0):
        raise Refusal("ceil_mode adds windows that depend on where the padding is")
    if any(step != 1 for step in attr_ints(window, "dilations")):
        raise Refusal("a dilated window may miss every element")
    pads = merged_pads(pad, window, len(kernel))
    if any(amount >= extent for amount, extent in zip(pads, kernel * 2, strict=True)):
        raise Refusal("a window would hold padding alone")
    return pads


def never_negative(value: ir.Value | None) -> bool:
    """Whether no element can be below 0, by the operation that makes it."""
    if producer(value, *NEVER_NEGATIVE) is not None:
        return True
    clip = producer(value, "Clip")
    low = None if clip is None else constant(input_at(clip, 1))
    return low is not None and bool((low >= 0).all())


def _fold_pad(window: str, decide: Callable[[ir.Node, ir.Node], dict[str, Any]]) -> Rule:
    def pattern(op: Any, x: Any) -> Any:
        padded = op.Pad(x, _allow_other_inputs=True, _outputs=["padded"])
        return getattr(op, window)(padded, _allow_other_inputs=True, _outputs=["root"])

    def replace(op: Any, x: ir.Value, padded: ir.Value, root: ir.Value) -> Any:
        node = maker(root)
        try:
            changed = decide(maker(padded), node)
        except Refusal as refusal:
            return refuse(str(refusal))
        attributes = {**node.attributes, **changed}
        attributes.pop("auto_pad", None)
        return getattr(op, window)(x, *node.inputs[1:], **attributes)

    return rule(f"fold-pad-into-{window.lower()}", window, pattern, replace)


FOLD_PAD: tuple[Rule, ...] = (
    _fold_pad("Conv", conv_pads),
    _fold_pad("AveragePool", average_pool_pads),
    _fold_pad("MaxPool", max_pool_pads),
)
