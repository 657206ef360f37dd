"""Einsum in operations that have kernels: transpositions, products of matrices (or elements), and sums.

Operands are taken in from left to right. Labels that both sides have and that are needed later are batches of a
product; those needed no more are summed by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from fusewright.errors import UnsupportedError
from fusewright.graph.group import shape_of
from fusewright.rules.body import DOMAIN

ELLIPSIS_LABELS = 0x3B1  # dimensions under an ellipsis get letters that no equation may use, counted from the right


@dataclass(frozen=True)
class Term:
    """A value with one label and extent for each dimension."""

    name: str
    labels: str
    extents: tuple[int, ...]

    def extent(self, label: str) -> int:
        return self.extents[self.labels.index(label)] if label in self.labels else 1


class _Body:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def ints(self, values: list[int]) -> str:
        return self.add("Constant", value=numpy_helper.from_array(np.array(values, np.int64)))

    def diagonal(self, t: Term) -> Term:
        """Each label once: of a repeated one, the elements where its indices agree."""
        for label in dict.fromkeys(t.labels):
            while t.labels.count(label) > 1:
                first, last = t.labels.index(label), t.labels.rindex(label)
                extent = t.extents[first]
                shape = [extent if d in (first, last) else 1 for d in range(len(t.labels))]
                eye = self.add("Constant", value=numpy_helper.from_array(np.eye(extent, dtype=bool).reshape(shape)))
                zero = self.add("CastLike", self.add("Constant", value_float=0.0), t.name)
                t = self.sum(Term(self.add("Where", eye, t.name, zero), t.labels, t.extents), [last])
        return t

    def sum(self, t: Term, dims: list[int]) -> Term:
        if not dims:
            return t
        kept = [d for d in range(len(t.labels)) if d not in dims]
        name = self.add("ReduceSum", t.name, self.ints(dims), keepdims=0)
        return Term(name, "".join(t.labels[d] for d in kept), tuple(t.extents[d] for d in kept))

    def ordered(self, t: Term, labels: str) -> Term:
        """Dimensions in the order of `labels`; labels that it lacks get an extent of 1."""
        own = "".join(label for label in labels if label in t.labels)
        name = t.name
        if own != t.labels:
            name = self.add("Transpose", name, perm=[t.labels.index(label) for label in own])
        extents = tuple(t.extent(label) for label in labels)
        if own != labels:
            name = self.add("Reshape", name, self.ints(list(extents)))
        return Term(name, labels, extents)

    def product(self, a: Term, b: Term, needed: str) -> Term:
        a = self.sum(a, [d for d, x in enumerate(a.labels) if x not in b.labels and x not in needed])
        b = self.sum(b, [d for d, x in enumerate(b.labels) if x not in a.labels and x not in needed])
        both = [x for x in a.labels if x in b.labels]
        batch = "".join(x for x in both if x in needed)
        summed = "".join(x for x in both if x not in needed)
        left = "".join(x for x in a.labels if x not in both)
        right = "".join(x for x in b.labels if x not in both)
        labels = batch + left + right
        extents = tuple(max(a.extent(x), b.extent(x)) if 0 not in (a.extent(x), b.extent(x)) else 0 for x in labels)
        if not summed:
            return Term(self.add("Mul", self.ordered(a, labels).name, self.ordered(b, labels).name), labels, extents)
        a, b = self.ordered(a, batch + left + summed), self.ordered(b, batch + summed + right)
        sizes = {part: prod(max(a.extent(x), b.extent(x)) for x in part) for part in (left, right, summed)}
        rows = self.add(
            "Reshape", a.name, self.ints([*(a.extent(x) for x in batch), sizes[left] if left else 1, sizes[summed]])
        )
        columns = self.add(
            "Reshape", b.name, self.ints([*(b.extent(x) for x in batch), sizes[summed], sizes[right] if right else 1])
        )
        return Term(self.add("Reshape", self.add("MatMul", rows, columns), self.ints(list(extents))), labels, extents)


def parse(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """The labels of each operand and of the result; dimensions under an ellipsis get labels of their own."""
    given, arrow, result = equation.replace(" ", "").partition("->")
    operands = given.split(",")
    if len(operands) != len(ranks):
        raise UnsupportedError(f"Einsum {equation!r} names {len(operands)} operands, but the node has {len(ranks)}")
    hidden, widest = [], 0
    for labels, rank in zip(operands, ranks, strict=True):
        count = rank - len(labels.replace("...", "")) if "..." in labels else 0
        widest = max(widest, count)
        named = labels.replace("...", "".join(chr(ELLIPSIS_LABELS + k) for k in reversed(range(max(count, 0)))))
        if len(named) != rank:
            raise UnsupportedError(f"Einsum {equation!r}: {labels!r} does not fit an operand of rank {rank}")
        hidden.append(named)
    every = "".join(chr(ELLIPSIS_LABELS + k) for k in reversed(range(widest)))
    if arrow:
        return hidden, result.replace("...", every)
    letters = "".join(operands).replace("...", "")
    return hidden, every + "".join(sorted(x for x in set(letters) if letters.count(x) == 1))


def einsum(node: ir.Node, version: int) -> onnx.FunctionProto:
    """The definition of one Einsum; the shapes of its operands must be known.

    Raises UnsupportedError for an equation that does not fit the operands.
    """
    shapes = [shape_of(v) for v in node.inputs if v is not None]
    operands, result = parse(node.attributes["equation"].as_string(), [len(s) for s in shapes])
    b = _Body()
    terms = [
        b.diagonal(Term(f"i{k}", labels, shape)) for k, (labels, shape) in enumerate(zip(operands, shapes, strict=True))
    ]
    total = terms[0]
    for k, term in enumerate(terms[1:], 1):
        total = b.product(total, term, result + "".join(t.labels for t in terms[k + 1 :]))
    total = b.sum(total, [d for d, x in enumerate(total.labels) if x not in result])
    total = b.ordered(total, result)
    b.nodes.append(helper.make_node("Identity", [total.name], ["result"]))
    names = [f"i{k}" for k in range(len(shapes))]
    return helper.make_function(DOMAIN, "Einsum", names, ["result"], b.nodes, [helper.make_opsetid("", version)])
