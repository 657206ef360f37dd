"""What is a convolution, whichever way it is computed?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from fusewright.schedules.filters import Filters
from fusewright.schedules.geometry import Geometry
from fusewright.schedules.product import Place


@dataclass(frozen=True)
class Convolution:
    """What is summed: `out` are the extents of the loops (batch, channels, space).

    `place` maps an index of the loops to one of the group's result, where these differ (None: they do not).
    """

    x: ir.Value
    filters: Filters
    geometry: Geometry
    out: tuple[int, ...]
    place: Callable[[Place], Place] | None = None
