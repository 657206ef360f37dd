"""Strides, dilations and pads of a window that slides over space: what Conv and pooling share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fusewright.ops.opdef import Site


@dataclass(frozen=True)
class Geometry:
    """One number for each spatial dimension."""

    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads_begin: tuple[int, ...]
    pads_end: tuple[int, ...]


def conv_geometry(site: Site, shape: Sequence[int], kernel: Sequence[int], out_shape: Sequence[int]) -> Geometry:
    """The geometry with `auto_pad` resolved by the output's extents."""
    rank = len(kernel)
    strides = tuple(int(s) for s in site.get("strides") or (1,) * rank)
    dilations = tuple(int(d) for d in site.get("dilations") or (1,) * rank)
    pads = [int(p) for p in site.get("pads") or (0,) * (2 * rank)]
    auto = site.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        for d in range(rank):
            reach = (kernel[d] - 1) * dilations[d] + 1
            total = max((out_shape[2 + d] - 1) * strides[d] + reach - shape[2 + d], 0)
            small, large = total // 2, total - total // 2
            pads[d], pads[rank + d] = (small, large) if auto == "SAME_UPPER" else (large, small)
    elif auto == "VALID":
        pads = [0] * (2 * rank)
    return Geometry(strides, dilations, tuple(pads[:rank]), tuple(pads[rank:]))
