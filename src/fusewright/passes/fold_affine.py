"""Normalisations and constant scales that follow a product -> the product's own weights."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.rules.apply import apply_rules
from fusewright.rules.fold_affine import FOLD_AFFINE, LONE_BATCH_NORM


@dataclass(frozen=True)
class FoldAffine(Pass):
    """conv(x, W, b) * s + t -> conv(x, W*s, b*s + t); a BatchNormalization that no product precedes -> Mul, Add."""

    lone_batch_norm: bool = True

    def run(self, model: ir.Model, log: Log) -> bool:
        return apply_rules(model, FOLD_AFFINE + (LONE_BATCH_NORM if self.lone_batch_norm else ()), log)
