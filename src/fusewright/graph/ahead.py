"""Which large constants may be computed ahead, if what comes of them in the end is no larger than they are?

Weights that a model normalizes itself, from parameters that no run changes, are constant, but what lies between them
and their use is as large as they are: looked at alone, each step would only add to the model. So steps are computed on
trial, and kept where their last results take the place of as many bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import onnx_ir as ir

from fusewright.graph.evaluate import can_evaluate

Size = Callable[[ir.Value], "int | None"]  # bytes of a constant, None for what is none


def of_constants(nodes: Iterable[ir.Node], size: Size) -> set[ir.Node]:
    """The nodes that are computed from constants alone."""
    found: set[ir.Node] = set()
    for node in nodes:
        present = [value for value in node.inputs if value is not None]
        if present and can_evaluate(node) and all(v.producer() in found or size(v) is not None for v in present):
            found.add(node)
    return found


def not_worth(computed: Sequence[ir.Node], on_trial: Iterable[ir.Node], size: Size, limit: int) -> set[ir.Node]:
    """The nodes on trial whose results would add more than `limit` bytes to the model. `computed` are all that were
    computed ahead, in order, those on trial among them."""
    gone, trial = set(computed), set(on_trial)
    claimed: set[ir.Value] = set()
    refused: set[ir.Node] = set()
    for node in reversed([n for n in computed if n in trial]):
        if all(_vanishes(output, gone) for output in node.outputs):
            continue  # it is a step on the way
        replaced = {v for v in _read(node, trial - refused) - claimed if _vanishes(v, gone)}
        if sum(size(output) or 0 for output in node.outputs) > max(limit, sum(size(v) or 0 for v in replaced)):
            refused.add(node)
            gone.discard(node)
        else:
            claimed |= replaced
    return refused


def _read(node: ir.Node, trial: set[ir.Node]) -> set[ir.Value]:
    """What `node`, and the nodes on trial that it is computed from, read from others."""
    read: set[ir.Value] = set()
    seen, waiting = {node}, [node]
    while waiting:
        for value in waiting.pop().inputs:
            producer = None if value is None else value.producer()
            if producer is not None and producer in trial:
                if producer not in seen:
                    seen.add(producer)
                    waiting.append(producer)
            elif value is not None:
                read.add(value)
    return read


def _vanishes(value: ir.Value, gone: set[ir.Node]) -> bool:
    return not value.is_graph_output() and not value.is_graph_input() and all(use.node in gone for use in value.uses())
