"""What only meets zeros is not computed: taps of filters in the padding, imaginary parts of real signals."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.crop_filters import CROP_FILTERS
from fusewright.rules.fourier import REAL_SIGNALS


@dataclass(frozen=True)
class SkipZeros(Pass):
    """Where every value has a static shape."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, (*CROP_FILTERS, *REAL_SIGNALS), log)
