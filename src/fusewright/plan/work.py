"""How much of a kernel's work is each of its nodes? An estimate in operations, by which a profile shares out its time.

What the schedule counted for the kernel is the anchor's (the product's, the sum's), or that of several products in
proportion to their terms; an elementwise node has the cost of one element for each that it makes; any other member
passes over what it reads.
"""

from __future__ import annotations

import onnx_ir as ir

from fusewright.graph.group import Group, dtype_of, elements, shape_of
from fusewright.graph.site import site_of
from fusewright.ops.opdef import Kind
from fusewright.ops.probe import elementwise_work
from fusewright.ops.registry import declared

_PASSES = 3  # over each element of what a normalisation or a softmax reads: statistics, differences, results
_costs: dict[tuple[str, str, str], int] = {}  # of one element, by operation and dtype: probing is slow


def work_of_nodes(group: Group, flop: int, makes_results: bool) -> tuple[int, ...]:
    """Operations of each node of the group, in its order, in a call of `flop` operations.

    A call that makes none of the group's results (it packs or copies for the next one) is the anchor's.
    """
    if not makes_results:
        return tuple(flop if node is group.anchor else 0 for node in group.nodes)
    terms = {node: _terms(node) for node in group.nodes if declared(node.domain, node.op_type).kind is Kind.CONTRACTION}
    if not terms and group.kind in (Kind.WINDOW.value, Kind.CUSTOM.value):
        terms = {group.anchor: 1}
    whole = sum(terms.values()) or 1
    return tuple(flop * terms[node] // whole if node in terms else _work(node) for node in group.nodes)


def _terms(node: ir.Node) -> int:
    """Products that all sums of a contraction add up: for each element by the filters of its channel, or by the rows of
    the left matrix."""
    left, right = node.inputs[:2]
    if left is None or right is None:
        return 0
    each = shape_of(right)[1:] if declared(node.domain, node.op_type).channels else shape_of(left)[-1:]
    return elements(shape_of(node.outputs[0])) * elements(each)


def _work(node: ir.Node) -> int:
    made = elements(shape_of(node.outputs[0]))
    definition = declared(node.domain, node.op_type)
    if definition.kind is not Kind.ELEMENTWISE:
        source = node.inputs[0] if node.inputs else None
        return _PASSES * max(made, elements(shape_of(source)) if source is not None and source.shape is not None else 0)
    key = (node.domain, node.op_type, dtype_of(node.outputs[0]))
    if key not in _costs:
        _costs[key] = max(1, elementwise_work(definition, site_of(node)).cost)
    return made * _costs[key]
