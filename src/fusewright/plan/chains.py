"""Which groups may be computed together, band of rows by band of rows? Convolutions that alone read the one before."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from fusewright.graph.group import Group, shape_of
from fusewright.plan.storage import byte_size

CONV = "Conv"


def find_chains(groups: Sequence[Group], cache_bytes: int) -> dict[Group, list[Group]]:
    """For each group of a chain the whole chain, in order; values between its groups take more than `cache_bytes`.

    Such a value is written by one group and read by the next alone, as the input of its convolution.
    """
    reader = {g.anchor: g for g in groups if can_join(g)}
    after: dict[Group, Group] = {}
    for group in reader.values():
        value = group.outputs[0]
        uses = list(value.uses())
        alone = len(group.outputs) == len(uses) == 1 and not value.is_graph_output()
        if not alone or uses[0].idx != 0 or byte_size(value) <= cache_bytes:
            continue
        following = reader.get(uses[0].node)
        if following is not None and following is not group:
            after[group] = following
    chains: dict[Group, list[Group]] = {}
    for head in (g for g in after if g not in set(after.values())):
        chain = [head]
        while chain[-1] in after:
            chain.append(after[chain[-1]])
        chains.update(dict.fromkeys(chain, chain))
    return chains


def can_join(group: Group) -> bool:
    """Whether it is a convolution, with one result (and perhaps the means of its rows)."""
    rows = (*shape_of(group.outputs[0])[:-1], 1)
    means = all(v.producer() in group.nodes and shape_of(v) == rows for v in group.outputs[1:])
    return group.anchor.op_type == CONV and group.anchor.domain == "" and means


def joined(chain: Sequence[Group]) -> Group:
    """One group of all: the last one's result, and what comes from outside."""
    last = chain[-1]
    nodes = [n for g in chain for n in g.nodes]
    inner = {g.outputs[0] for g in chain[:-1]}
    inputs: dict[ir.Value, None] = dict.fromkeys(v for g in chain for v in g.inputs if v not in inner)
    return Group(last.index, last.kind, last.anchor, nodes, list(inputs), last.outputs)
