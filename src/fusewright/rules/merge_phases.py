"""ConvTranspose(x, w) with steps of s along one dimension -> Conv(x, v) with s times as many channels, side by side.

Output q * s + r is a sum over inputs near q with the taps of phase r. Phases one by one are s convolutions, in which a
filter or two leave most lanes of a vector idle: as channels of one convolution, the phases are its vectors, and lie in
memory as the output does. Inverse transforms of signals are written like that, with one filter and steps of hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.rules.affine import Refusal
from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.known import Array, attr_int, attr_ints, attr_str, constant, input_at, maker, static_dims

LANES = 8
"""Of a usual vector: what leaves lanes of one idle is counted with these."""

GAIN = 0.75
"""The part of the work that merging must leave at most: zeros are multiplied where phases reach unlike inputs."""


@dataclass(frozen=True)
class Merged:
    """Filters [s * channels out, channels in, taps] that read the input from `-before` on, up to `behind` its end."""

    weight: Array
    before: int
    behind: int


def merge(weight: Array, stride: int, pad: int, length: int, out: int) -> Merged:
    """weight: [channels in, channels out, taps] of a ConvTranspose over `length` inputs, of whose results
    the first `pad` are cut off, `out` kept. Refusal where more work would be left than there is now."""
    channels, filters, taps = weight.shape
    places = [  # of each tap of each phase: which input it reads, counted from its step
        (phase, (phase + pad) // stride - tap // stride, tap)
        for phase in range(stride)
        for tap in range((phase + pad) % stride, taps, stride)
    ]
    first, last = min(0, *(at for _, at, _ in places)), max(0, *(at for _, at, _ in places))
    merged = np.zeros((stride, filters, channels, last - first + 1), weight.dtype)
    for phase, at, tap in places:
        merged[phase, :, :, at - first] = weight[:, :, tap].T
    if _padded(stride * filters) * merged.shape[3] > GAIN * _padded(filters) * taps:
        raise Refusal("each phase fills its vectors")
    steps = -(-out // stride)
    return Merged(merged.reshape(-1, *merged.shape[2:]), -first, max(0, steps - length + last))


def _padded(filters: int) -> int:
    return -(-filters // LANES) * LANES


def _pattern(op: Any, x: Any, w: Any) -> Any:
    return op.ConvTranspose(x, w, _allow_other_inputs=True, _outputs=["root"])


def _replace(op: Any, x: ir.Value, w: ir.Value, root: ir.Value) -> Any:
    node, shape, out, taps = maker(root), static_dims(x), static_dims(root), static_dims(w)
    if shape is None or out is None or taps is None or len(taps) != 3 or 0 in (*shape, *out, *taps):
        return refuse("")
    stride = attr_ints(node, "strides", [1])[0]
    weight, bias = constant(w), constant(input_at(node, 2))
    if stride == 1 or attr_int(node, "group", 1) != 1 or attr_ints(node, "dilations", [1]) != [1]:
        return refuse("")
    if weight is None or (bias is None and input_at(node, 2) is not None):
        return refuse("the filters are not constant")
    if attr_str(node, "auto_pad", "NOTSET") != "NOTSET" or "output_shape" in node.attributes:
        return refuse("its pads follow from the shape of its output")
    try:
        merged = merge(weight, stride, attr_ints(node, "pads", [0, 0])[0], shape[2], out[2])
    except Refusal as refusal:
        return refuse(str(refusal))
    parameters = {"phases": merged.weight} | ({} if bias is None else {"phases_bias": np.tile(bias, stride)})
    filters = [op.initializer(ir.tensor(array), name=f"{root.name}_{name}") for name, array in parameters.items()]
    phases = op.Conv(x, *filters, pads=[merged.before, merged.behind])

    def ints(name: str, *values: int) -> ir.Value:
        value: ir.Value = op.initializer(ir.tensor(np.array(values, np.int64)), name=f"{root.name}_{name}")
        return value

    apart = op.Reshape(phases, ints("apart", shape[0], stride, out[1], -1))  # batch, phase, channel, step
    side = op.Reshape(op.Transpose(apart, perm=[0, 2, 3, 1]), ints("joined", shape[0], out[1], -1))
    return op.Slice(side, ints("begin", 0), ints("end", out[2]), ints("axis", 2))


MERGE_PHASES: tuple[Rule, ...] = (rule("merge-phases", "ConvTranspose", _pattern, _replace),)
"""Needs static shapes."""
