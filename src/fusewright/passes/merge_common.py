"""y = op(x); z = op(x); use(y, z) -> y = op(x); use(y, y): a computation is done once.

Small constants with equal contents count as the same value, so that exporters which write a constant per use do not
hide equal computations. A subgraph sees the computations of the graphs around it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass
from fusewright.passes.replace import stand_in
from fusewright.rules.known import constant, constant_size

RANDOM = frozenset(
    {"RandomUniform", "RandomNormal", "RandomUniformLike", "RandomNormalLike", "Multinomial", "Bernoulli"}
)
COMMUTATIVE = frozenset({"Add", "Mul", "And", "Or", "Xor", "Equal", "BitwiseAnd", "BitwiseOr", "BitwiseXor"})
"""Operations whose two operands may be told in either order with the same bits as result."""

_SUBGRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
Key = tuple[Hashable, ...]


@dataclass(frozen=True)
class MergeCommon(Pass):
    """Equal operations on equal inputs -> one of them."""

    max_compared_elements: int = 64
    """Constants up to this size are compared by content, larger ones by identity."""

    def run(self, model: ir.Model, log: Log) -> bool:
        return self._graph(model.graph, {}, log)

    def _graph(self, graph: ir.Graph, seen: dict[Key, ir.Node], log: Log) -> bool:
        changed = False
        for node in graph:
            for attr in node.attributes.values():
                if attr.type in _SUBGRAPHS:
                    inner = [attr.as_graph()] if attr.type == ir.AttributeType.GRAPH else attr.as_graphs()
                    for subgraph in inner:
                        changed |= self._graph(subgraph, dict(seen), log)
            key = self._key(node)
            if key is None:
                continue
            first = seen.setdefault(key, node)
            if first is not node:
                where = str(node.outputs[0].name)
                pairs = list(zip(node.outputs, first.outputs, strict=True))
                if any([stand_in(mine, theirs) for mine, theirs in pairs]):
                    log.made("merge-common", where, f"same as {first.outputs[0].name}")
                    changed = True
        return changed

    def _key(self, node: ir.Node) -> Key | None:
        if node.op_type in RANDOM or (node.domain == "" and node.op_type in ("Dropout", "Identity", "Constant")):
            return None
        attributes: list[tuple[str, Hashable]] = []
        for name, attr in sorted(node.attributes.items()):
            if attr.is_ref() or attr.type in _SUBGRAPHS:
                return None
            content = _content(attr)
            if content is None:
                return None
            attributes.append((name, content))
        inputs = [self._value(value) for value in node.inputs]
        if node.domain == "" and node.op_type in COMMUTATIVE:
            inputs.sort(key=repr)
        outputs = tuple(output.name != "" for output in node.outputs)
        return (*node.op_identifier(), outputs, tuple(inputs), tuple(attributes))

    def _value(self, value: ir.Value | None) -> Hashable:
        if value is None:
            return None
        size = constant_size(value)
        if size is not None and size <= self.max_compared_elements:
            array = constant(value)
            if array is not None:
                return (value.dtype, str(array.dtype), array.shape, array.tobytes())
        return id(value)


def _content(attr: ir.Attr) -> Hashable | None:
    """Something equal for equal attributes; None when the kind of attribute is not compared."""
    kind = attr.type
    if kind in (ir.AttributeType.INT, ir.AttributeType.FLOAT, ir.AttributeType.STRING):
        return (kind, repr(attr.value))
    if kind in (ir.AttributeType.INTS, ir.AttributeType.FLOATS, ir.AttributeType.STRINGS):
        return (kind, repr(tuple(attr.value)))
    if kind == ir.AttributeType.TENSOR:
        tensor = attr.as_tensor()
        if tensor.dtype == ir.DataType.STRING:
            return None
        return (kind, tensor.dtype, tuple(tensor.shape), tensor.tobytes())
    return None
