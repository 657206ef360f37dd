"""How much of a kernel's work is each of its nodes? An estimate in operations, by which a profile shares out its time.

The anchor (the product, the sum) has what the schedule counted for the kernel; an elementwise node has the cost of one
element for each that it makes; any other member passes over what it reads.
"""

from __future__ import annotations

import onnx_ir as ir

from fusewright.graph.group import Group, dtype_of, elements, shape_of
from fusewright.graph.site import site_of
from fusewright.ops.opdef import Kind
from fusewright.ops.probe import elementwise_work
from fusewright.ops.registry import find

_PASSES = 3  # over each element of what a normalisation or a softmax reads: statistics, differences, results
_costs: dict[tuple[str, str, str], int] = {}  # of one element, by operation and dtype: probing is slow


def work_of_nodes(group: Group, flop: int, makes_results: bool) -> tuple[int, ...]:
    """Operations of each node of the group, in its order, in a call of `flop` operations.

    A call that makes none of the group's results (it packs or copies for the next one) is the anchor's.
    """
    if not makes_results:
        return tuple(flop if node is group.anchor else 0 for node in group.nodes)
    heavy = group.kind in (Kind.CONTRACTION.value, Kind.WINDOW.value, Kind.CUSTOM.value)
    return tuple(flop if heavy and node is group.anchor else _work(node) for node in group.nodes)


def _work(node: ir.Node) -> int:
    made = elements(shape_of(node.outputs[0]))
    definition = find(node.domain, node.op_type)
    if definition is None or definition.kind is not Kind.ELEMENTWISE:
        source = node.inputs[0] if node.inputs else None
        return _PASSES * max(made, elements(shape_of(source)) if source is not None and source.shape is not None else 0)
    key = (node.domain, node.op_type, dtype_of(node.outputs[0]))
    if key not in _costs:
        _costs[key] = max(1, elementwise_work(definition, site_of(node)).cost)
    return made * _costs[key]
