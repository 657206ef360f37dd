"""Weights take over the factor by which e^-y becomes a power of two."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.powers import POWERS


@dataclass(frozen=True)
class ScaleForPowers(Pass):
    """y s(y) -> z/c s(z/c) for the sigmoid s and a product y whose weights, times c = -log2(e), give z."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, POWERS, log)
