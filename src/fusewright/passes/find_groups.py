"""Reshape(InstanceNormalization(Reshape(x))) -> GroupNormalization(x), which needs no copy in another order."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.normalization import GROUPS


@dataclass(frozen=True)
class FindGroups(Pass):
    """Where every value has a static shape."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, GROUPS, log)
