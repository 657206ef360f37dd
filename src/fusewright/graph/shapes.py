"""Which shape and type does every value have, and which values are known before the run?

One walk in order: each node gets the types of its outputs from those of its inputs, and a node whose inputs are
all constant is computed at once and disappears. Shape computations vanish this way as soon as the inputs' shapes
are numbers, because `Shape` of a known shape is a constant like any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from fusewright.errors import InternalError
from fusewright.graph.ahead import not_worth, of_constants
from fusewright.graph.blockers import Blockers
from fusewright.graph.branches import inline_branch
from fusewright.graph.decisions import Log
from fusewright.graph.edit import add_constant, take_over
from fusewright.graph.evaluate import Array, broadcast_view, can_evaluate, evaluate
from fusewright.graph.node_types import (
    Data,
    Dim,
    InferenceError,
    Type,
    has_schema,
    infer_outputs,
)
from fusewright.graph.opset import opset_of
from fusewright.graph.unroll import Unroller

FOLD_LIMIT = 1 << 20
"""Bytes of a folded constant, unless it replaces constants at least as large: folding must not grow a model."""

MAX_DATA_BYTES = 4096
"""Constants up to this size are shown to shape inference: targets of Reshape, Slice, Resize, Expand are small."""

WEIGHTED = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
"""Their kernels are made for constant weights, so weights that a node generates are folded whatever their size."""

REARRANGING = frozenset(("Reshape", "Transpose", "Unsqueeze", "Squeeze", "Flatten", "Identity"))
"""What exporters put between a weight and its use."""

TEXT = "OSU"
"""Kinds of numpy arrays that hold strings: nothing here computes with them."""

CONTROL_FLOW = frozenset(("If", "Loop", "Scan", "SequenceMap"))


def infer(model: ir.Model, log: Log | None = None, *, limit: int = FOLD_LIMIT, partial: bool = False) -> bool:
    """Give every value its type and shape and fold constants, in place; True when a node was folded.

    With `partial`, what is not known yet stays open. Otherwise every value gets a static shape, or this raises
    UnsupportedError with all nodes that stand in the way (ValueDependentError when values of graph inputs would
    help), or ShapeError where shapes contradict each other.
    """
    walk = _Walk(model, log or Log(), limit, partial)
    walk.visit(tuple(model.graph))
    return walk.finish()


class _Walk:
    def __init__(self, model: ir.Model, log: Log, limit: int, partial: bool) -> None:
        self.graph = model.graph
        self.opset = opset_of(model)
        self.log = log
        self.limit = limit
        self.partial = partial
        self.known: dict[ir.Value, Array] = {}
        self.folded: list[ir.Node] = []
        self.on_trial: dict[ir.Node, int] = {}  # the bytes of their results: whether they are worth it shows in the end
        self.of_constants: set[ir.Node] | None = None
        self.inlined = 0
        self.inputs = set(model.graph.inputs)
        self.blockers = Blockers(self.opset, lambda value: self._bytes(value) is not None)

    def visit(self, nodes: Iterable[ir.Node]) -> None:
        for node in nodes:
            if node.op_type in CONTROL_FLOW and node.domain == "":
                self._control_flow(node)
            else:
                self._node(node)

    def finish(self) -> bool:
        if not self.partial:
            self.blockers.raise_all()
        self._settle()
        for node in reversed(self.folded):  # from the end, so that only values that others use become weights
            for output in node.outputs:
                if output.uses() or output.is_graph_output():
                    take_over(output, self._materialize(output))
            self.graph.remove(node, safe=True)
        changed = bool(self.folded or self.inlined)
        if self.folded:
            self.log.made("fold-constants", str(self.graph.name), f"{len(self.folded)} nodes computed ahead")
            for name, value in list(self.graph.initializers.items()):
                if not value.uses() and not value.is_graph_output() and value not in self.inputs:
                    del self.graph.initializers[name]
        return changed

    def _settle(self) -> None:
        refused = not_worth(self.folded, self.on_trial, self._bytes, self.limit)
        for node in refused:
            self._refuse_growth(node, self.on_trial[node])
        self.folded = [node for node in self.folded if node not in refused]

    def _materialize(self, output: ir.Value) -> ir.Value:
        name = str(output.name)
        if output.is_graph_output():
            name += "_constant"
        else:
            output.name = f"{name}_folded"  # its node goes; the constant keeps the name that users of it know
        return add_constant(self.graph, name, self.known[output])

    # One node.

    def _control_flow(self, node: ir.Node) -> None:
        condition = self._constant(node.inputs[0]) if node.op_type == "If" and node.inputs else None
        if condition is not None:
            taken = bool(condition.reshape(-1)[0])
            self.log.made("inline-branch", str(node.name), f"its condition is always {taken}")
            self.inlined += 1
            self.visit(inline_branch(node, taken))
        elif not self.partial and (self.blockers.planned_inputs(node) or not self._unrolled(node)):
            self._set_types(node, (None,) * len(node.outputs))

    def _unrolled(self, node: ir.Node) -> bool:
        if self.blockers:  # what stands in the way before it may be all
            return False
        unroller = Unroller(node, self.visit, self._constant)
        match node.op_type:
            case "Scan":
                reason = unroller.scan()
            case "Loop":
                reason = unroller.loop()
            case _:
                reason = "sequences are not supported"
        if reason is not None:
            self.blockers.refuse(node, reason)
            return False
        self.log.made("unroll", str(node.name), f"{unroller.steps} steps")
        self.inlined += 1
        return True

    def _node(self, node: ir.Node) -> None:
        if self._fold_constant(node) or self._fold_shape(node) or self._fold_presence(node):
            return
        types = tuple(None if value is None else _type_of(value) for value in node.inputs)
        nothing: tuple[Type | None, ...] = (None,) * len(node.outputs)
        if node.domain != "" or not has_schema(node.op_type, self.opset):
            if not self.partial:
                self.blockers.unknown(node)
            self._set_types(node, nothing)
            return
        if any(found is None and value is not None for found, value in zip(types, node.inputs, strict=True)):
            if not self.blockers and not self.partial:  # nothing before it is to blame
                self.blockers.refuse(node, "one of its inputs is not a tensor")
            self._set_types(node, nothing)
            return
        try:
            outputs = infer_outputs(node, self.opset, types, tuple(map(self._data, node.inputs)))
        except InferenceError as error:
            if self._try_fold(node, nothing):  # runtimes take more than the letter: a limit of Range in a list of one
                return
            self.blockers.contradiction(node, str(error))
            self._set_types(node, nothing)
            return
        if self._try_fold(node, outputs):
            return
        self._set_types(node, outputs)
        if not self.partial and all(
            found is None or _is_static(found) for found in types
        ):  # else a node before it is to blame
            vague = [
                output
                for output, found in zip(node.outputs, outputs, strict=True)
                if output.name and (found is None or not _is_static(found))
            ]
            if not self.blockers.planned_inputs(node) and vague:
                self.blockers.vague(node, vague)

    def _set_types(self, node: ir.Node, types: tuple[Type | None, ...]) -> None:
        """What a partial walk cannot tell stays as a pass before may have found it."""
        for output, found in zip(node.outputs, types, strict=True):
            if found is not None:
                output.type = ir.TensorType(ir.DataType(found.dtype))
            if found is not None and found.dims is not None:
                output.shape = ir.Shape(found.dims)
            elif not self.partial:
                output.shape = None

    # Folding.

    def _fold_constant(self, node: ir.Node) -> bool:
        """A constant that is a graph output, out of a branch or a definition: others are initializers already."""
        tensor = node.attributes.get("value")
        if node.domain != "" or node.op_type != "Constant" or tensor is None or tensor.is_ref():
            return False
        array = tensor.as_tensor().numpy()
        if array.dtype.kind in TEXT:
            return False
        self._keep(node, [array])
        return True

    def _fold_presence(self, node: ir.Node) -> bool:
        """OptionalHasElement: a tensor is there, an input that is left out is not."""
        if node.domain != "" or node.op_type != "OptionalHasElement":
            return False
        value = node.inputs[0] if node.inputs else None
        if value is not None and not isinstance(value.type, ir.TensorType):
            return False
        self._keep(node, [np.array(value is not None)])
        return True

    def _fold_shape(self, node: ir.Node) -> bool:
        """Shape and Size need the shape of their input only, which need not be constant itself."""
        if node.domain != "" or node.op_type not in ("Shape", "Size") or not node.inputs or not node.inputs[0]:
            return False
        shape = node.inputs[0].shape
        if shape is None or node.inputs[0].dtype is None:
            return False
        dims: tuple[int | ir.SymbolicDim, ...] = shape.dims
        if node.op_type == "Shape":
            start, end = node.attributes.get("start"), node.attributes.get("end")
            dims = dims[start.as_int() if start else 0 : end.as_int() if end else len(dims)]
        if not all(isinstance(dim, int) for dim in dims):
            return False
        numbers = np.array(dims, np.int64)
        self._keep(node, [numbers if node.op_type == "Shape" else np.array(math.prod(numbers.tolist()), np.int64)])
        return True

    def _try_fold(self, node: ir.Node, types: tuple[Type | None, ...]) -> bool:
        present = [value for value in node.inputs if value is not None]
        if not present or not can_evaluate(node) or not all(self._bytes(value) is not None for value in present):
            return False
        if node.op_type == "Identity" and node.outputs[0].is_graph_output():
            return False  # already the form in which a constant is a graph output
        given = sum(self._bytes(value) or 0 for value in present)
        size = _nbytes(types)
        if size is None:  # only data tells, as for NonZero: at most an int64 index for each axis of each element
            size = given * 64
        replaced = sum(self._bytes(value) or 0 for value in present if all(use.node is node for use in value.uses()))
        large = size > max(self.limit, replaced)
        if large and self._fold_weight(node):
            return True
        if large and not self._may_be_worth(node, present, size):
            self._refuse_growth(node, size)
            return False
        try:
            outputs = evaluate(node, [self._constant(value) for value in node.inputs], self.opset)
        except InternalError as error:
            self.log.refused("fold-constant", str(node.name), str(error))
            return False
        if any(output.dtype.kind in TEXT for output in outputs):
            return False
        self._keep(node, outputs)
        if large or (size > self.limit and any(value.producer() in self.on_trial for value in present)):
            self.on_trial[node] = size
        return True

    def _may_be_worth(self, node: ir.Node, present: list[ir.Value], size: int) -> bool:
        """Whether its results are no larger than what it reads, which in the end nothing may need any more."""
        if self.of_constants is None:
            self.of_constants = of_constants(self.graph, self._bytes)
        steps = {*self.folded, *self.of_constants}
        if node not in steps or size > sum(self._bytes(value) or 0 for value in present):
            return False
        large = [value for value in present if (self._bytes(value) or 0) > self.limit]
        return all(use.node in steps for value in large for use in value.uses())

    def _refuse_growth(self, node: ir.Node, size: int) -> None:
        self.log.refused(
            "fold-constant", str(node.name), f"{node.op_type} would grow to {size} bytes, the limit is {self.limit}"
        )

    def _fold_weight(self, node: ir.Node) -> bool:
        if not _is_weight(node.outputs[0]):
            return False
        view = broadcast_view(node, [self._constant(value) for value in node.inputs])
        if view is not None:
            self._keep(node, [view])
        return view is not None

    def _keep(self, node: ir.Node, arrays: list[Array]) -> None:
        for output, array in zip(node.outputs, arrays, strict=False):
            self.known[output] = array
            output.type = ir.TensorType(ir.DataType.from_numpy(array.dtype))
            output.shape = ir.Shape(array.shape)
        self.folded.append(node)

    def _bytes(self, value: ir.Value | None) -> int | None:
        """The size of a constant; None for what is not one. Reads no weight."""
        if value is None:
            return None
        if value in self.known:
            return self.known[value].nbytes
        tensor = value.const_value
        if tensor is None or not value.is_initializer() or value in self.inputs:
            return None
        return None if tensor.dtype == ir.DataType.STRING else tensor.nbytes

    def _constant(self, value: ir.Value | None) -> Array | None:
        if value is None or self._bytes(value) is None:
            return None
        if value not in self.known:
            assert value.const_value is not None
            self.known[value] = value.const_value.numpy()
        return self.known[value]

    def _data(self, value: ir.Value | None) -> Data | None:
        size = self._bytes(value)
        if size is None or size > MAX_DATA_BYTES:
            return None
        array = self._constant(value)
        assert array is not None
        dtype = ir.DataType.from_numpy(array.dtype)
        if dtype.bitwidth < 8:  # packed in files; no operator takes its shape from such
            return None
        return Data(int(dtype), array.shape, array.tobytes())


def _is_weight(value: ir.Value) -> bool:
    """Whether a node of WEIGHTED reads the value as its weight, at once or turned and reshaped."""
    for use in value.uses():
        if use.idx > 0 and use.node.op_type in WEIGHTED:
            return True
        if use.idx == 0 and use.node.op_type in REARRANGING and _is_weight(use.node.outputs[0]):
            return True
    return False


def _type_of(value: ir.Value) -> Type | None:
    """None when nothing is known, or when the value is not a tensor."""
    dtype = value.dtype
    if dtype is None or not isinstance(value.type, ir.TensorType):
        return None
    if value.shape is None:
        return Type(int(dtype), None)
    dims: tuple[Dim, ...] = tuple(d if isinstance(d, int) else d.value for d in value.shape.dims)
    return Type(int(dtype), dims)


def _is_static(found: Type) -> bool:
    return found.dims is not None and all(isinstance(dim, int) for dim in found.dims)


def _nbytes(types: tuple[Type | None, ...]) -> int | None:
    total = 0
    for found in types:
        if found is None or not _is_static(found):
            return None
        bits = ir.DataType(found.dtype)
        if bits == ir.DataType.STRING:
            return None
        dims = [dim for dim in found.dims or () if isinstance(dim, int)]
        total += -(-math.prod(dims) * bits.bitwidth // 8)
    return total
