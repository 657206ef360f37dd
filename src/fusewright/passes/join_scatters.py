"""ScatterND of a box -> Concat of what is around it: no index is stored or read."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.join_scatters import JOIN_SCATTERS


@dataclass(frozen=True)
class JoinScatters(Pass):
    """Where every value has a static shape."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, JOIN_SCATTERS, log)
