"""Conv(x, w) -> Conv(x, a part of w), where the rest of w only ever meets padding.

A filter whose steps are as wide as the picture is high reads one row of it and zeros beside: of 3x3 taps 36 apart, on
20x20 pixels, one counts. Networks for segmentation have such (Chen et al., "Rethinking Atrous Convolution", 2017,
section 3.3), and filters in three dimensions where only one slice is left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.rules.affine import Refusal
from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.known import attr_ints, attr_str, constant, input_at, maker, static_dims

Extent = tuple[int, int]


def reached(extent: int, taps: int, out: int, stride: int, dilation: int, pads: Extent) -> Extent:
    """The first tap that meets an element of the picture, and the one behind the last. Refusal when there is none, or
    where what is left would begin or end inside of the picture."""
    meeting = [
        tap
        for tap in range(taps)
        if any(0 <= at * stride + tap * dilation - pads[0] < extent for at in range(out))
    ]  # fmt: skip
    if not meeting:
        raise Refusal("no tap meets anything but padding")
    first, end = meeting[0], meeting[-1] + 1
    if first * dilation > pads[0] or (taps - end) * dilation > pads[1]:
        raise Refusal("the filter that is left would begin or end inside of the picture")
    return first, end


def crop(node: ir.Node) -> tuple[np.ndarray[Any, Any], list[int]] | None:
    """The part of the weights that counts, and the pads around what it reads; None when all count."""
    weight, source, out = input_at(node, 1), static_dims(input_at(node, 0)), static_dims(node.outputs[0])
    shape, auto = static_dims(weight), attr_str(node, "auto_pad", "NOTSET")
    if source is None or out is None or shape is None or max(shape[2:], default=1) == 1 or 0 in (*source, *out):
        return None
    rank = len(shape) - 2
    pads = attr_ints(node, "pads", [0] * (2 * rank))
    if auto not in ("NOTSET", "VALID"):
        raise Refusal(f"auto_pad is {auto}")
    if auto == "VALID" or not any(pads):
        return None
    strides, dilations = (attr_ints(node, name, [1] * rank) for name in ("strides", "dilations"))
    kept = [
        reached(source[2 + d], shape[2 + d], out[2 + d], strides[d], dilations[d], (pads[d], pads[rank + d]))
        for d in range(rank)
    ]
    if all(end - first == taps for (first, end), taps in zip(kept, shape[2:], strict=True)):
        return None
    array = constant(weight)
    if array is None:
        raise Refusal("the filters are not constant")
    part = array[(slice(None), slice(None), *(slice(first, end) for first, end in kept))]
    if np.isfinite(array).sum() - np.isfinite(part).sum() != array.size - part.size:
        raise Refusal("a tap that only meets padding is infinite or NaN")
    before = [pads[d] - first * dilations[d] for d, (first, _) in enumerate(kept)]
    behind = [pads[rank + d] - (shape[2 + d] - end) * dilations[d] for d, (_, end) in enumerate(kept)]
    return np.ascontiguousarray(part), before + behind


def _pattern(op: Any, x: Any, w: Any) -> Any:
    return op.Conv(x, w, _allow_other_inputs=True, _outputs=["root"])


def _replace(op: Any, x: ir.Value, w: ir.Value, root: ir.Value) -> Any:
    node = maker(root)
    try:
        cropped = crop(node)
    except Refusal as refusal:
        return refuse(str(refusal))
    if cropped is None:
        return refuse("")
    part, pads = cropped
    attributes = {**node.attributes, "pads": pads, "kernel_shape": list(part.shape[2:])}
    weight = op.initializer(ir.tensor(part), name=f"{w.name}_cropped")
    return op.Conv(x, weight, *node.inputs[2:], **attributes)


CROP_FILTERS: tuple[Rule, ...] = (rule("crop-filters", "Conv", _pattern, _replace),)
"""Needs static shapes."""
