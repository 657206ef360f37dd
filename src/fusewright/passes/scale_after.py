"""A number that multiplies an operand of a product multiplies its result instead."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.scales import SCALES


@dataclass(frozen=True)
class ScaleAfter(Pass):
    """MatMul(a * s, b) -> MatMul(a, b) * s"""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, SCALES, log)
