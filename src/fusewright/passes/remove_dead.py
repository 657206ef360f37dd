"""Nodes, optional outputs, initializers and functions that no graph output depends on -> nothing."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedFunctionsPass, RemoveUnusedNodesPass

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.passes.replace import remove_if_dead


@dataclass(frozen=True)
class RemoveDead(Pass):
    """Walks backwards, so that a chain of dead nodes goes at once; graph inputs stay, used or not.

    `optional_outputs` also drops outputs that an operation may leave off and trailing empty inputs, and functions
    that nothing calls; it costs a schema look-up a node.
    """

    optional_outputs: bool = True

    def run(self, model: ir.Model, log: Log) -> bool:
        before = len(model.graph), len(model.graph.initializers)
        if self.optional_outputs:
            changed = bool(RemoveUnusedNodesPass()(model).modified)
            changed |= bool(RemoveUnusedFunctionsPass()(model).modified)  # type: ignore[no-untyped-call] # theirs lacks types
        else:
            changed = any([remove_if_dead(node) for graph in _inner_first(model) for node in reversed(graph)])
        for graph in model.graphs():
            for name, value in list(graph.initializers.items()):
                if not (value.uses() or value.is_graph_output() or value.is_graph_input()):
                    del graph.initializers[name]
                    changed = True
        nodes, weights = before[0] - len(model.graph), before[1] - len(model.graph.initializers)
        if nodes or weights:
            log.made("remove-dead", str(model.graph.name), f"{nodes} nodes, {weights} weights")
        return changed


def _inner_first(model: ir.Model) -> list[ir.Graph]:
    """A subgraph's nodes go before what they read in the graphs around it."""
    return list(model.graphs())[::-1]
