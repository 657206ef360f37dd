"""CastLike(x, y) -> Cast<to=the type of y>(x): x does not wait for y, and folds where it is a constant."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.passes.replace import stand_in

LIKE = 1  # the input that only tells a type


@dataclass(frozen=True)
class TellCasts(Pass):
    """Wherever the type is known; function bodies of the standard are full of such casts."""

    def run(self, model: ir.Model, log: Log) -> bool:
        changed = False
        for graph in model.graphs():
            for node in tuple(graph):
                like = node.inputs[LIKE] if (node.domain, node.op_type) == ("", "CastLike") else None
                if like is None or like.dtype is None:
                    continue
                attributes = [*node.attributes.values(), ir.AttrInt64("to", int(like.dtype))]
                cast = ir.Node("", "Cast", node.inputs[:LIKE], attributes, num_outputs=1, name=node.name)
                graph.insert_before(node, cast)
                result, made = node.outputs[0], cast.outputs[0]
                where = made.name = result.name
                stand_in(result, made)
                log.made("tell-cast", str(where), f"it becomes {like.dtype.name}")
                changed = True
        return changed
