"""softmax(f(Q K^T)) V -> one group: which products, elementwise work and softmax are attention? Found by structure.

    s = MatMul(q, kt); t = Mul(s, scale); u = Add(t, mask); p = Softmax(u); y = MatMul(p, v)

`f` may be any elementwise work on the scores that has a vector form: scales, additive masks, conditions, soft caps. The
scores are needed nowhere else, so no run has to keep them: the kernel makes them for a few rows at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.graph.site import site_of
from fusewright.ops.opdef import Kind, OpDef
from fusewright.ops.probe import elementwise_work

PRODUCT = "matmul"  # the schedule of products whose left rows lie apart and whose matrices come in batches
FLOATS = ("f32", "f64")


class Refusal(Exception):
    """Why a softmax is not the middle of attention that one kernel can compute."""


@dataclass(frozen=True, eq=False)
class Attention:
    """The nodes in execution order; `product` reads the softmax."""

    nodes: tuple[ir.Node, ...]
    product: ir.Node


def find_attention(nodes: Sequence[ir.Node], ops: Mapping[ir.Node, OpDef], log: Log) -> list[Attention]:
    """Every attention among `nodes`, which are in execution order; refusals are recorded."""
    order = {n: i for i, n in enumerate(nodes)}
    found: list[Attention] = []
    for node in nodes:
        if not ops[node].softmax:
            continue
        scores = product_behind(node, ops)
        if scores is None:
            continue
        where = node.name or node.op_type
        try:
            made = matched(scores, node, ops)
        except Refusal as refusal:
            log.refused("attention", where, str(refusal))
            continue
        log.made("attention", where, "its scores are made and used a few rows at a time")
        found.append(Attention(tuple(sorted(made, key=order.__getitem__)), made[-1]))
    return found


def product_behind(softmax: ir.Node, ops: Mapping[ir.Node, OpDef]) -> ir.Node | None:
    """The contraction that makes the scores, through elementwise work of their shape; None where there is none."""
    source = softmax.inputs[0]
    seen: set[ir.Node] = set()
    waiting = [] if source is None else [source.producer()]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen or node not in ops:
            continue
        seen.add(node)
        if ops[node].kind is Kind.CONTRACTION:
            return node
        if ops[node].kind is Kind.ELEMENTWISE:
            waiting += [v.producer() for v in node.inputs if v is not None and v.shape == node.outputs[0].shape]
    return None


def matched(scores: ir.Node, softmax: ir.Node, ops: Mapping[ir.Node, OpDef]) -> list[ir.Node]:
    """Scores, what is done to them, softmax, the guard behind it, and the product, in this order; raises Refusal."""
    if ops[scores].schedule != PRODUCT:
        raise Refusal(f"its scores come from {scores.op_type}, which is no plain product")
    shape, dtype = shape_of(scores.outputs[0]), dtype_of(scores.outputs[0])
    axes = ops[softmax].axes
    if len(shape) < 2 or any(len(shape_of(v)) < 2 for v in scores.inputs if v is not None):
        raise Refusal("its scores are no matrix")
    if any(v is not None and v.const_value is not None for v in scores.inputs):
        raise Refusal("its scores are a product with weights, which are packed ahead")
    if dtype not in FLOATS:
        raise Refusal(f"its scores are {dtype}")
    if axes is None or axes(site_of(softmax)) != (len(shape) - 1,):
        raise Refusal("it is not taken over the columns of the scores")
    inside = elementwise_between(scores, softmax, shape, ops)
    product, guard = reader(softmax, ops)
    right = product.inputs[1]
    if ops[product].schedule != PRODUCT or right is None or len(shape_of(right)) < 2:
        raise Refusal(f"it is read by {product.op_type}, which is no product of matrices")
    out = shape_of(product.outputs[0])
    if out[:-2] != shape[:-2]:
        raise Refusal("each of its scores is used for several heads")
    if elements(shape) == 0 or elements(out) == 0 or shape_of(scores.inputs[0])[-1] == 0:  # type: ignore[arg-type]
        raise Refusal("it has no elements")
    return [scores, *inside, softmax, *guard, product]


def elementwise_between(
    scores: ir.Node, softmax: ir.Node, shape: tuple[int, ...], ops: Mapping[ir.Node, OpDef]
) -> list[ir.Node]:
    """All that reads the scores, directly or not, up to the softmax."""
    inside: dict[ir.Node, None] = {}
    waiting = [scores]
    while waiting:
        node = waiting.pop(0)
        for value in node.outputs:
            if value.is_graph_output():
                raise Refusal("its scores are a result of the model")
            for use in value.uses():
                user = use.node
                if user is softmax or user in inside:
                    continue
                if user not in ops or ops[user].kind is not Kind.ELEMENTWISE:
                    raise Refusal(f"its scores are read by {user.op_type} too")
                if shape_of(user.outputs[0]) != shape:
                    raise Refusal(f"{user.op_type} makes its scores larger")
                if not elementwise_work(ops[user], site_of(user)).vector:
                    raise Refusal(f"{user.op_type} on its scores has no vector form")
                inside[user] = None
                waiting.append(user)
    if softmax.inputs[0] is None or softmax.inputs[0].producer() not in (scores, *inside):
        raise Refusal("what it reads does not come from its scores alone")
    return list(inside)


def reader(softmax: ir.Node, ops: Mapping[ir.Node, OpDef]) -> tuple[ir.Node, list[ir.Node]]:
    """The contraction that reads the softmax as its left side, and the guard between them, if there is one.

    A guard is Where(IsNaN(p), c, p): rows without any score get the constant c, as PyTorch's exporter writes.
    """
    result, guard = softmax.outputs[0], list[ir.Node]()
    users = {u.node for u in result.uses()}
    tests = [n for n in users if n.op_type == "IsNaN" and n.domain == ""]
    if len(users) == 2 and len(tests) == 1:
        (choice,) = users - {tests[0]}
        if choice.op_type == "Where" and choice.inputs[0] is tests[0].outputs[0] and choice.inputs[2] is result:
            alone = len(tests[0].outputs[0].uses()) == 1 and not tests[0].outputs[0].is_graph_output()
            replacement = choice.inputs[1]
            if alone and replacement is not None and replacement.const_value is not None:
                if replacement.const_value.size == 1 and shape_of(choice.outputs[0]) == shape_of(result):
                    guard = [tests[0], choice]
    last = guard[-1].outputs[0] if guard else result
    uses = list(last.uses())
    if result.is_graph_output() or last.is_graph_output():
        raise Refusal("its result is one of the model's")
    if len(uses) != 1:
        raise Refusal("its result is read more than once")
    if uses[0].node not in ops or ops[uses[0].node].kind is not Kind.CONTRACTION or uses[0].idx != 0:
        raise Refusal(f"its result is read by {uses[0].node.op_type}")
    return uses[0].node, guard
