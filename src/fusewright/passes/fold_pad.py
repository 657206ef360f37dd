"""A Pad before a convolution or pooling -> the pads of that convolution or pooling."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.fold_pad import FOLD_PAD


@dataclass(frozen=True)
class FoldPad(Pass):
    """Conv(Pad(x)) -> Conv(x), and pooling where its own padding means the same."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, FOLD_PAD, log)
