"""Conv(x, a) + Conv(x, b) -> Conv(x, a + b), and Conv(x, a) + (x * s + t) -> Conv(x, a')."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.merge_sums import MERGE_SUMS


@dataclass(frozen=True)
class MergeSums(Pass):
    """Where all weights are constant."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, MERGE_SUMS, log)
