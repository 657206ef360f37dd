"""ConvTranspose -> one stride-1 convolution for each phase of the strides.

Output o takes input i through tap k where o + pad = i * stride + k * dilation. Outputs of one phase (o mod stride)
share the taps for which i is whole, and neighbouring outputs of a phase read neighbouring inputs: a plain convolution
with a part of the filter, whose result goes to every stride-th place. Where filter and stride are equal, each phase
has one tap, so that the whole is as many matrix products; with few filters, it is one (`upscale`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import gcd

from fusewright.graph.group import shape_of
from fusewright.ops.opdef import Site
from fusewright.schedules.conv import convolve
from fusewright.schedules.convolution import Convolution
from fusewright.schedules.depthwise import ChannelConvolution, convolve_channels
from fusewright.schedules.filters import Filters
from fusewright.schedules.geometry import Geometry
from fusewright.schedules.normal_form import Place
from fusewright.schedules.sliding import Slide
from fusewright.schedules.task import Lowered, Task
from fusewright.schedules.tile import in_halves
from fusewright.schedules.upscale import lower_upscale, upscales


@dataclass(frozen=True)
class Phase:
    """One residue of one spatial dimension: outputs `start + stride * q` for q in [0, count).

    `taps` (of the weight, -1: zeros) read inputs `q - before + j * dilation`.
    """

    start: int
    stride: int
    count: int
    taps: tuple[int, ...]
    dilation: int
    before: int
    after: int


def phases(size: int, out: int, kernel: int, stride: int, dilation: int, pad: int) -> list[Phase]:
    """The phases of one dimension; `pad` is what is cut off at the begin."""
    found = []
    common = gcd(stride, dilation)
    spread = dilation // common
    for start in range(min(stride, out)):
        count = -(-(out - start) // stride)
        taps = [k for k in range(kernel - 1, -1, -1) if (start + pad - k * dilation) % stride == 0]
        offset = (start + pad - taps[0] * dilation) // stride if taps else 0
        taps = taps or [-1]
        while offset > 0:  # a window that starts inside the input starts with zeros instead
            taps.insert(0, -1)
            offset -= spread
        end = count - 1 + offset + (len(taps) - 1) * spread
        found.append(Phase(start, stride, count, tuple(taps), spread, -offset, max(0, end - (size - 1))))
    return found


def first_pads(site: Site, shape: tuple[int, ...], kernel: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, ...]:
    """What is cut off at the begin of each dimension; `auto_pad` and `output_shape` are resolved by the extents."""
    rank = len(kernel)
    auto = site.get("auto_pad", "NOTSET")
    if auto == "VALID" and site.get("output_shape") is None:
        return (0,) * rank
    if auto == "NOTSET" and site.get("output_shape") is None:
        return tuple(int(p) for p in (site.get("pads") or (0,) * (2 * rank))[:rank])
    strides, dilations = site.get("strides") or (1,) * rank, site.get("dilations") or (1,) * rank
    extra = site.get("output_padding") or (0,) * rank
    pads = []
    for d in range(rank):
        reach = (kernel[d] - 1) * int(dilations[d]) + 1
        total = max(0, int(strides[d]) * (shape[d] - 1) + int(extra[d]) + reach - out[d])
        pads.append(total // 2 if auto == "SAME_UPPER" else total - total // 2)
    return tuple(pads)


def lower_conv_transpose(task: Task) -> list[Lowered]:
    node = task.group.anchor
    site = task.site(node)
    x, w = node.inputs[:2]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if x is None or w is None:
        raise ValueError("ConvTranspose needs an input and filters")
    shape, out, taps = shape_of(x), shape_of(node.outputs[0]), shape_of(w)[2:]
    rank, groups = len(taps), int(site.get("group", 1))
    strides = tuple(int(s) for s in site.get("strides") or (1,) * rank)
    dilations = tuple(int(d) for d in site.get("dilations") or (1,) * rank)
    pads = first_pads(site, shape[2:], taps, out[2:])
    choices = [phases(shape[2 + d], out[2 + d], taps[d], strides[d], dilations[d], pads[d]) for d in range(rank)]
    if upscales(task, strides, dilations, pads, groups):
        return lower_upscale(task, bias)
    task = in_halves(task, shape_of(w)[1])
    lowered: list[Lowered] = []
    for chosen in product(*choices):
        filters = Filters(
            w, groups, shape[1] // groups, shape_of(w)[1], tuple(len(p.taps) for p in chosen), True,
            tuple(p.taps for p in chosen),
        )  # fmt: skip
        geometry = Geometry(
            (1,) * rank,
            tuple(p.dilation for p in chosen),
            tuple(p.before for p in chosen),
            tuple(p.after for p in chosen),
        )
        extents = (*out[:2], *(p.count for p in chosen))
        part = replace(task, sources={}, tensors={})
        if groups == shape[1] > 1 and shape_of(w)[1] == 1 and task.array_of(w) is not None:
            slides = [
                Slide(size, p.count, len(p.taps), 1, p.dilation, p.before, p.after)
                for size, p in zip(shape[2:], chosen, strict=True)
            ]
            kept = tuple(p.taps for p in chosen)
            lowered.append(convolve_channels(part, ChannelConvolution(x, w, slides, True, kept, spread(chosen))))
            continue
        lowered += convolve(part, Convolution(x, filters, geometry, extents, spread(chosen)), bias)
    return lowered


def spread(chosen: tuple[Phase, ...]) -> Callable[[Place], Place]:
    """From an index of a phase's outputs to that in the whole output."""

    def place(idx: Place) -> Place:
        return (*idx[:2], *(i * p.stride + p.start for i, p in zip(idx[2:], chosen, strict=True)))

    return place


SCHEDULES: Mapping[str, Callable[[Task], list[Lowered]]] = {"conv_transpose": lower_conv_transpose}
