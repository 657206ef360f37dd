"""One multiplication takes the place of a division by a constant, and of several factors."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.factors import FACTORS


@dataclass(frozen=True)
class MultiplyOnce(Pass):
    """x / c -> x * (1/c) and (x * a) * b -> x * (a * b), for constants."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, FACTORS, log)
