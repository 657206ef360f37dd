"""y = op(x) that computes nothing; use(y) -> use(x), in one walk."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.passes.replace import stand_in
from fusewright.rules.no_ops import NO_OPS


@dataclass(frozen=True)
class RemoveNoOps(Pass):
    """Identity, Dropout, Cast to the same type, Pad of zero, Reshape to the same shape ... -> nothing."""

    def run(self, model: ir.Model, log: Log) -> bool:
        changed = False
        for graph in model.graphs():
            for node in graph:
                decide = NO_OPS.get(node.op_type) if node.domain == "" else None
                if decide is None or (value := decide(node)) is None:
                    continue
                where = str(node.outputs[0].name)
                if stand_in(node.outputs[0], value):
                    log.made(f"remove-{node.op_type.lower()}", where)
                    changed = True
        return changed
