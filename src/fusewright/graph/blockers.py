"""What keeps a graph from having static shapes, and how is all of it said in one error?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import onnx_ir as ir

from fusewright.errors import ShapeError, UnsupportedError
from fusewright.graph.node_types import suggestions

Constant = Callable[[ir.Value], bool]

REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare",
)  # fmt: skip

PLANNED_INPUTS: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "CumProd": (1,),
    "CumSum": (1,),
    "DFT": (1, 2),
    "Dropout": (1, 2),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "If": (0,),
    "Loop": (0, 1),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
    **{name: (1,) for name in REDUCTIONS},
}
"""Inputs whose values decide a shape, an axis or an index map: a plan is made for one value of them."""

MAX_VALUE_ELEMENTS = 256
"""A graph input that is taken as a constant is a shape, axes or scales, never data."""


class ValueDependentError(UnsupportedError):
    """Shapes depend on the values of the graph inputs `inputs`: once these are given, the graph may be planned."""

    def __init__(self, message: str, inputs: tuple[str, ...]) -> None:
        super().__init__(message)
        self.inputs = inputs


class Blockers:
    """Collected while a graph is walked; one error at the end names all of them."""

    def __init__(self, opset: int, is_constant: Constant) -> None:
        self.opset = opset
        self.is_constant = is_constant
        self.unsupported: list[str] = []
        self.contradictions: list[str] = []
        self.values: list[str] = []
        self.final = False  # something stands in the way whatever the values of the inputs are

    def __bool__(self) -> bool:
        return bool(self.unsupported or self.contradictions)

    def refuse(self, node: ir.Node, why: str) -> None:
        """`node` cannot be planned at all."""
        self.unsupported.append(f"  {where(node)}: {why}")
        self.final = True

    def unknown(self, node: ir.Node) -> None:
        """onnx has no such operator."""
        if node.domain != "":
            self.refuse(node, f"no operator of the domain {node.domain!r} is known")
            return
        near = suggestions(node.op_type, self.opset)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        self.refuse(node, f"no such operator at opset {self.opset}{hint}")

    def contradiction(self, node: ir.Node, reason: str) -> None:
        """The inputs of `node` do not fit together."""
        shown = ", ".join(f"{v.name!r}: {v.dtype}{v.shape}" for v in node.inputs if v is not None)
        self.contradictions.append(f"  {where(node)} with {shown}: {reason}")

    def planned_inputs(self, node: ir.Node) -> bool:
        """Whether an input of `node` that a plan must know is computed at run time; notes it."""
        indices = PLANNED_INPUTS.get(node.op_type, ())
        picked = [node.inputs[index] for index in indices if index < len(node.inputs)]
        open_values = [value for value in picked if value is not None and not self.is_constant(value)]
        if open_values:
            self._depends(node, open_values)
        return bool(open_values)

    def vague(self, node: ir.Node, outputs: Sequence[ir.Value]) -> None:
        """The shapes of `outputs` cannot be told from those of the inputs."""
        if not all(isinstance(output.type, ir.TensorType | None) for output in outputs):
            self.refuse(node, "it makes a sequence, a map or an optional, not a tensor")
            return
        names = ", ".join(repr(output.name) for output in outputs)
        open_inputs = [repr(v.name) for v in node.inputs if v is not None and not self.is_constant(v)]
        if open_inputs:
            self.refuse(node, f"the shape of {names} depends on the values of {', '.join(open_inputs)}")
        else:
            self.refuse(node, f"the shape of {names} cannot be inferred")

    def raise_all(self) -> None:
        """Raise the error that says everything collected, if anything was."""
        if self.unsupported:
            message = "cannot plan these nodes:\n" + "\n".join(self.unsupported)
            if self.final:
                raise UnsupportedError(message)
            raise ValueDependentError(message, tuple(dict.fromkeys(self.values)))
        if self.contradictions:
            raise ShapeError("shapes do not fit together:\n" + "\n".join(self.contradictions))

    def _depends(self, node: ir.Node, open_values: Sequence[ir.Value]) -> None:
        names = ", ".join(repr(value.name) for value in open_values)
        line = f"  {where(node)}: its input {names} is known only at run time"
        sources = _sources(open_values, self.is_constant)
        if sources is None:
            self.final = True
        else:
            self.values.extend(str(value.name) for value in sources)
            line += f"; it follows from the graph inputs {', '.join(repr(value.name) for value in sources)}"
        self.unsupported.append(line)


def where(node: ir.Node) -> str:
    """How messages name a node."""
    return f"node {node.name!r} ({node.op_type})"


def _sources(values: Sequence[ir.Value], is_constant: Constant) -> list[ir.Value] | None:
    """The graph inputs from which `values` are computed; None when one of them is data, or there are none."""
    stack, seen, found = list(values), set(values), []
    while stack:
        value = stack.pop()
        node = value.producer()
        if node is None:
            if value.shape is None or not value.shape.is_static():
                return None
            if math.prod(value.shape.numpy()) > MAX_VALUE_ELEMENTS:
                return None
            found.append(value)
            continue
        for source in node.inputs:
            if source is not None and source not in seen and not is_constant(source):
                seen.add(source)
                stack.append(source)
    return found or None
