"""y = op(constants) -> a constant y; Shape(x) -> a constant; If(constant) -> its branch; every value gets a type."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.graph.shapes import FOLD_LIMIT, infer
from fusewright.passes.base import Pass


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Infers shapes and folds in one walk, so that shape computations vanish.

    limit: bytes that a folded constant may add to the model. static: every value must get a static shape, which
    needs inputs without open dimensions; raises UnsupportedError listing what depends on data.
    """

    limit: int = FOLD_LIMIT
    static: bool = False

    def run(self, model: ir.Model, log: Log) -> bool:
        return infer(model, log, limit=self.limit, partial=not self.static)
