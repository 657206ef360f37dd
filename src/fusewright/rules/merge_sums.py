"""Conv(x, a) + Conv(x, b) -> Conv(x, a + b): convolutions of one input whose results are added are one.

Networks are trained with several branches (a filter, one of a single tap, the input itself normalized) where one filter
computes the same (Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", 2021, section 3.3), and are often
exported as they were trained. The smaller filter has to lie within the larger one, so that nothing is computed more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.rules.affine import Doubles, Host, Refusal, conv_host, per_channel, rounded
from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.known import WIDE, attr_int, attr_ints, attr_str, constant, constant_size, maker


@dataclass(frozen=True)
class Filters:
    """What is summed: weights (out, in / groups, ...), and one bias for each channel. Of each spatial dimension: the
    step, that between taps, and the padding on both sides."""

    weight: Doubles
    bias: Doubles
    groups: int
    strides: list[int]
    dilations: list[int]
    pads: list[int]

    @property
    def taps(self) -> tuple[int, ...]:
        return self.weight.shape[2:]


def filters_of(host: Host) -> Filters:
    node = host.node
    auto, spatial = attr_str(node, "auto_pad", "NOTSET"), host.weight.ndim - 2
    if auto not in ("NOTSET", "VALID"):
        raise Refusal(f"auto_pad is {auto}")
    ones, zeros = [1] * spatial, [0] * (2 * spatial)
    bias = np.zeros(host.channels) if host.bias is None else host.bias
    pads = attr_ints(node, "pads", zeros) if auto == "NOTSET" else zeros
    strides, dilations = (attr_ints(node, name, ones) for name in ("strides", "dilations"))
    return Filters(host.weight.astype(np.float64), bias, attr_int(node, "group", 1), strides, dilations, pads)


def of_input(scale: Doubles, shift: Doubles, like: Filters) -> Filters:
    """x * scale + shift as filters of one tap, for a convolution that reads x."""
    channels, of_group = like.weight.shape[:2]
    if channels != of_group * like.groups:
        raise Refusal("it has not as many channels as its input")
    spatial = len(like.taps)
    weight = np.zeros((channels, of_group, *[1] * spatial))
    weight[np.arange(channels), np.arange(channels) % of_group] = scale.reshape(-1, *[1] * spatial)
    return Filters(weight, shift, like.groups, [1] * spatial, [1] * spatial, [0] * (2 * spatial))


def summed(large: Filters, small: Filters) -> tuple[Doubles, Doubles]:
    """Weights and bias of both. Refusal where they step differently, or `small` reaches beyond `large`."""
    shapes = [each.weight.shape[:2] for each in (large, small)]
    if large.strides != small.strides or large.groups != small.groups or shapes[0] != shapes[1]:
        raise Refusal("they differ in their steps, groups or channels")
    spatial, places = len(large.taps), []
    for d, (own, its) in enumerate(zip(large.taps, small.taps, strict=True)):
        step = large.dilations[d]
        first, rest = divmod(large.pads[d] - small.pads[d], step)
        same_steps = its == 1 or step == small.dilations[d]
        behind = large.pads[spatial + d] - small.pads[spatial + d]
        if rest or first < 0 or not same_steps or first + its > own or behind != (own - first - its) * step:
            raise Refusal("no filter lies within the other")
        places.append(slice(first, first + its))
    weight = large.weight.copy()
    weight[(slice(None), slice(None), *places)] += small.weight
    return weight, large.bias + small.bias


def _sum(op: Any, x: ir.Value, host: Host, large: Filters, small: Filters, name: str) -> Any:
    """The convolution of `host`, whose filters `large` are, with those of both."""
    weight, bias = summed(large, small)
    dtype = host.weight.dtype
    parts = [
        op.initializer(ir.tensor(rounded(exact, dtype, what)), name=f"{name}_{what}")
        for exact, what in ((weight, "weight"), (bias, "bias"))
    ]
    return op.Conv(x, *parts, **host.node.attributes)


def _two(op: Any, x: Any, v: Any, w: Any) -> Any:
    first = op.Conv(x, v, _allow_other_inputs=True, _outputs=["first"])
    return op.Add(first, op.Conv(x, w, _allow_other_inputs=True, _outputs=["second"]), _outputs=["root"])


def _with_input(first: bool) -> Callable[..., Any]:
    def pattern(op: Any, x: Any, w: Any, s: Any, t: Any) -> Any:
        conv = op.Conv(x, w, _allow_other_inputs=True, _outputs=["conv"])
        own = op.Add(op.Mul(x, s), t)
        return op.Add(*((conv, own) if first else (own, conv)), _outputs=["root"])

    return pattern


def _expected(context: Any, x: ir.Value, **bindings: Any) -> Any:
    weights = [bindings[name] for name in ("v", "w", "s", "t") if name in bindings]
    wanted = x.dtype in WIDE and all(constant_size(each) is not None for each in weights)
    return True if wanted else refuse("")


def _of_two(op: Any, x: ir.Value, first: ir.Value, second: ir.Value, root: ir.Value, **_: Any) -> Any:
    try:
        hosts = [conv_host(maker(value)) for value in (first, second)]
        told = [filters_of(host) for host in hosts]
        large = max((0, 1), key=lambda i: np.prod(told[i].taps))
        return _sum(op, x, hosts[large], told[large], told[1 - large], str(root.name))
    except Refusal as refusal:
        return refuse(str(refusal))


def _of_input(op: Any, x: ir.Value, conv: ir.Value, s: ir.Value, t: ir.Value, root: ir.Value, **_: Any) -> Any:
    try:
        host = conv_host(maker(conv))
        large = filters_of(host)
        scale, shift = (per_channel(np.asarray(constant(value)), host) for value in (s, t))
        return _sum(op, x, host, large, of_input(scale, shift, large), str(root.name))
    except Refusal as refusal:
        return refuse(str(refusal))


def _rules() -> Iterator[Rule]:
    yield rule("merge-sums", "Add", _two, _of_two, _expected)
    for first in (True, False):
        yield rule("merge-sums", "Add", _with_input(first), _of_input, _expected)


MERGE_SUMS: tuple[Rule, ...] = tuple(_rules())
