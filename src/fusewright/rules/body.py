"""How is the body of a definition written, node by node?"""

from __future__ import annotations

from typing import Any

import onnx
import onnx_ir as ir
from onnx import helper

DOMAIN = "fusewright.definition"


class Body:
    """The nodes of a definition under construction; an absent input is an empty name."""

    def __init__(self, node: ir.Node) -> None:
        self.node = node
        self.inputs = [f"i{n}" if value is not None else "" for n, value in enumerate(node.inputs)]
        self.nodes: list[onnx.NodeProto] = []

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def input(self, position: int) -> str:
        return self.inputs[position] if position < len(self.inputs) else ""

    def rank(self, position: int) -> int:
        value = self.node.inputs[position]
        return 0 if value is None or value.shape is None else len(value.shape)

    def ints(self, values: list[int]) -> str:
        return self.add("Constant", value_ints=values)

    def along(self, position: int, dim: int, rank: int) -> str:
        """An input of rank 0 or 1 as one that varies along `dim` alone (others are returned as they are)."""
        name = self.input(position)
        if self.rank(position) != 1:
            return name
        return self.add("Reshape", name, self.ints([-1 if d == dim else 1 for d in range(rank)]))

    def shifted(self, position: int, zero: int, dim: int, to: int) -> str:
        """`input - zero point` in the type `to`, the zero point along `dim`."""
        value = self.add("Cast", self.input(position), to=to)
        if not self.input(zero):
            return value
        return self.add("Sub", value, self.add("Cast", self.along(zero, dim, self.rank(position)), to=to))

    def function(self, result: str, version: int) -> onnx.FunctionProto:
        self.nodes.append(helper.make_node("Identity", [result], ["result"]))
        names = [name or f"absent{i}" for i, name in enumerate(self.inputs)]
        opsets = [helper.make_opsetid("", version)]
        return helper.make_function(DOMAIN, self.node.op_type, names, ["result"], self.nodes, opsets)
