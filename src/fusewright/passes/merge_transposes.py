"""Transpose after Transpose -> one or none; Transpose before a product -> inside the product."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.transposes import TRANSPOSES


@dataclass(frozen=True)
class MergeTransposes(Pass):
    """Transpose(Transpose(x)) -> Transpose(x); what cancels becomes an Identity, which RemoveNoOps takes away."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, TRANSPOSES, log)
