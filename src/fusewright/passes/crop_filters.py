"""Conv(x, w) -> Conv(x, a part of w), where the rest of w only ever meets padding."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.crop_filters import CROP_FILTERS


@dataclass(frozen=True)
class CropFilters(Pass):
    """Where every value has a static shape."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, CROP_FILTERS, log)
