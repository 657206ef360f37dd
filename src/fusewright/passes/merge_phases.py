"""ConvTranspose of few filters along one dimension -> Conv whose channels are the phases of the steps."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.merge_phases import MERGE_PHASES


@dataclass(frozen=True)
class MergePhases(Pass):
    """Where every value has a static shape."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, MERGE_PHASES, log)
