"""What became of the nodes of a model that no kernel computes? Each with the reason, where one is known."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Decision

SHAPE_READERS = ("Shape", "Size")  # they read no elements: known as soon as shapes are


@dataclass(frozen=True)
class Origin:
    """A node of the model as it was read: `known` when nothing it needs depends on the arrays of a call, `used` when
    an output of the model depends on it."""

    name: str
    op_type: str
    results: tuple[str, ...]
    known: bool
    used: bool


def origins(model: ir.Model) -> tuple[Origin, ...]:
    """The nodes of a model's graph in order, those within control flow left out."""
    known = set(model.graph.initializers.values())
    for node in model.graph:
        if node.op_type in SHAPE_READERS or all(v is None or v in known for v in node.inputs):
            known.update(node.outputs)
    used = set(model.graph.outputs)
    for node in reversed(model.graph):
        if any(v in used for v in node.outputs):
            used.update(v for v in node.inputs if v is not None)
            used.update(_captured(node))
    return tuple(
        Origin(
            node.name or "",
            node.op_type,
            tuple(v.name or "" for v in node.outputs),
            all(v in known for v in node.outputs),
            any(v in used for v in node.outputs),
        )
        for node in model.graph
    )


def _captured(node: ir.Node) -> Iterable[ir.Value]:
    """What the graphs in a node's attributes read, of whichever graph."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            graph = attribute.as_graph()
            yield from (v for inner in graph.all_nodes() for v in inner.inputs if v is not None)
            yield from graph.outputs


def fates(
    nodes: Iterable[Origin], computed: Collection[str], decisions: Iterable[Decision]
) -> list[tuple[str, str, str]]:
    """(name, operation, reason) of the nodes that are not `computed`, which names those in kernels."""
    made = {d.where: d for d in decisions if d.made}
    found = []
    for node in nodes:
        if node.name not in computed:
            decision = next((made[where] for where in (node.name, *node.results) if where in made), None)
            found.append((node.name, node.op_type, _reason(node, decision)))
    return found


def _reason(node: Origin, decision: Decision | None) -> str:
    if not node.used:
        return "no output depends on it"
    if decision is not None:
        return f"{decision.what}: {decision.reason}" if decision.reason else decision.what
    if node.known:
        return "computed while compiling: nothing it needs depends on the inputs' elements"
    return "rewritten together with its neighbours"
