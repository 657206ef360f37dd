"""Resize along two axes -> one after the other, where the result leaves as planes."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.split_resize import SPLIT_RESIZE


@dataclass(frozen=True)
class SplitResize(Pass):
    """Where every value has a static shape."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, SPLIT_RESIZE, log)
