"""How does an ONNX model become the one form that passes know?

A path, bytes, `onnx.ModelProto` or `onnx_ir.Model` of opset 6 or later -> an `onnx_ir.Model` at OPSET, sorted,
checked, functions inlined, constants and weights as initializers, every node and value named.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TypeAlias

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # it ships no types

from fusewright.errors import ModelError
from fusewright.frontend.weights import check_proto_weights, check_weights
from fusewright.graph.copy import shallow_copy
from fusewright.graph.opset import OPSET, ir_version_for, opset_of
from fusewright.graph.upgrade import upgrade

MAX_PROTO_BYTES = 2**31 - 1
"""What one protobuf message can hold; larger models keep their weights in external files."""

MAX_CHECKED_BYTES = 1024
"""Larger weights are shown to onnx's checker as inputs: it looks at types only, and would copy them."""

FREE_INITIALIZERS = 4
"""The IR version from which an initializer need not be a graph input: constants that were lifted are none."""

Source: TypeAlias = str | Path | bytes | onnx.ModelProto | ir.Model


def load(source: Source, *, keep_weight_inputs: bool = False, directory: Path | None = None) -> ir.Model:
    """Read a model; the caller's object is never modified, weights are shared with it and read lazily.

    keep_weight_inputs: leave initializers that are also graph inputs to the caller instead of taking them as
    constants. directory: where the external weights of bytes or of a ModelProto lie.
    Raises ModelError when the source cannot be read, is no valid ONNX, or names files that it may not.
    """
    model, origin = _read(source, directory)
    check_weights(model, origin)
    model = _normalize(model, origin, keep_weight_inputs)
    return model


def _read(source: Source, directory: Path | None) -> tuple[ir.Model, str]:
    """The model as it is, sharing its tensors, and how to call it in messages."""
    if isinstance(source, ir.Model):
        return shallow_copy(source), "the model"
    if isinstance(source, onnx.ModelProto):
        return _from_proto(source, "the model", directory), "the model"
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_proto(_parse(bytes(source), "the model"), "the model", directory), "the model"
    if not isinstance(source, str | Path):
        raise ModelError(
            f"a model is a path, bytes, an onnx.ModelProto or an onnx_ir.Model, not {type(source).__name__}"
        )
    path = Path(source)
    origin = str(path)
    proto = _parse(_read_bytes(path), origin)
    return _from_proto(proto, origin, path.parent), origin


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ModelError(f"{path}: expected an ONNX file, got a directory")
        size = path.stat().st_size
        if size > MAX_PROTO_BYTES:
            raise ModelError(
                f"{path}: {size} bytes, more than an ONNX file can hold ({MAX_PROTO_BYTES}). "
                "Save it with its weights as external data."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the name
        raise ModelError(f"{str(path)!r}: {error}") from None


def _parse(data: bytes, origin: str) -> onnx.ModelProto:
    if not data:
        raise ModelError(f"{origin}: empty; expected an ONNX file")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError:
        # A file that starts as every ModelProto does (field 1, the IR version) was one before it was cut.
        if data[0] == 0x08:
            raise ModelError(f"{origin}: truncated or damaged: {len(data)} bytes do not end an ONNX model") from None
        raise ModelError(f"{origin}: not an ONNX file") from None
    if not proto.HasField("graph") or not proto.ir_version:
        raise ModelError(f"{origin}: not an ONNX file, or truncated: it holds no graph")
    return proto


def _from_proto(proto: onnx.ModelProto, origin: str, directory: Path | None) -> ir.Model:
    check_proto_weights(proto, origin)
    try:
        model: ir.Model = ir.from_proto(proto)
    except Exception as error:  # onnx_ir raises many kinds on malformed protos
        raise ModelError(f"{origin}: not a valid ONNX model: {_cause(error)}") from None
    if directory is not None:
        ir.external_data.set_base_dir(model.graph, directory)
        for function in model.functions.values():
            ir.external_data.set_base_dir(function.graph, directory)
    return model


def _normalize(model: ir.Model, origin: str, keep_weight_inputs: bool) -> ir.Model:
    common.ClearMetadataAndDocStringPass()(model)
    _validate(model, origin)
    try:
        if not keep_weight_inputs:
            common.RemoveInitializersFromInputsPass()(model)
        _inline_and_upgrade(model, origin)
        _lift_constants(model)
        common.RemoveUnusedNodesPass()(model)
        common.RemoveUnusedOpsetsPass()(model)
        _name_everything(model)
        _forget_annotations(model)
    except ir.passes.PassError as error:
        raise ModelError(f"{origin}: {_cause(error)}") from None
    return model


def _validate(model: ir.Model, origin: str) -> None:
    """Raise ModelError unless `model` is valid ONNX; it leaves sorted and without Constant nodes."""
    newest = onnx.defs.onnx_opset_version()
    if max({opset_of(model), *_foreign_opsets(model)}) > newest:
        raise ModelError(
            f"{origin}: opset {opset_of(model)} is newer than the installed onnx package knows ({newest}); update onnx"
        )
    _check_names(model, origin)
    try:
        common.TopologicalSortPass()(model)
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        if model.functions and not _foreign_opsets(model):
            common.InlinePass()(model)  # before the check, which knows no functions inside control flow
        _check(model)
    except Exception as error:  # what onnx and onnx_ir raise on malformed models has no common kind
        raise ModelError(f"{origin}: not a valid ONNX model: {_cause(error)}") from None


def _check_names(model: ir.Model, origin: str) -> None:
    """Every value that a node reads must be made somewhere: onnx_ir reads such models, but cannot copy them."""
    for graph in (*model.graphs(), *(function.graph for function in model.functions.values())):
        for node in graph:
            for value in node.inputs:
                if value is None or value.producer() is not None or value.graph is not None:
                    continue
                raise ModelError(
                    f"{origin}: not a valid ONNX model: node {node.name!r} ({node.op_type}) reads {value.name!r}, "
                    "which is no input, no weight, and no output of a node"
                )
        for value in graph.inputs if graph is model.graph else ():
            if isinstance(value.type, ir.TensorType) and value.shape is None:
                raise ModelError(
                    f"{origin}: nothing in the model tells how many dimensions the input {value.name!r} has; "
                    "expected a declared shape, whose extents may be open"
                )
        for value in graph.outputs:
            if value.producer() is None and not value.is_graph_input() and not value.is_initializer():
                raise ModelError(f"{origin}: not a valid ONNX model: no node makes the graph output {value.name!r}")


def _check(model: ir.Model) -> None:
    """onnx's own checker, on a copy without its weights. It stops at operators that it does not know; those are
    left to the compiler, which lists all of them."""
    if unknown_operators(model):
        return
    light = shallow_copy(model)
    light.ir_version = max(light.ir_version, FREE_INITIALIZERS)
    for name, value in list(light.graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or isinstance(tensor, ir.ExternalTensor) or tensor.nbytes > MAX_CHECKED_BYTES:
            del light.graph.initializers[name]
            if not value.is_graph_input():
                light.graph.inputs.append(value)
    proto = ir.to_proto(light)
    _declare(proto.graph)
    onnx.checker.check_model(proto)


def _declare(graph: onnx.GraphProto) -> None:
    """The checker asks for type and rank of every output; tools that cut graphs leave them out."""
    for value in graph.output:
        if not value.HasField("type"):
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()


def unknown_operators(model: ir.Model) -> list[ir.Node]:
    """Nodes of the default domain for which the installed onnx has no operator, nor the model a function."""
    version = opset_of(model)
    return [
        node
        for node in model.graph.all_nodes()
        if node.domain == "" and node.op_identifier() not in model.functions and not _has_schema(node.op_type, version)
    ]


def _has_schema(op_type: str, version: int) -> bool:
    try:
        return not onnx.defs.get_schema(op_type, version, "").deprecated
    except onnx.defs.SchemaError:
        return False


def _inline_and_upgrade(model: ir.Model, origin: str) -> None:
    if _foreign_opsets(model):  # functions of another opset must meet the model's before they merge
        for function in model.functions.values():
            _upgrade(function, function.opset_imports.get("", opset_of(model)), origin)
            function.opset_imports[""] = max(OPSET, function.opset_imports.get("", OPSET))
        _upgrade_model(model, origin)
    if model.functions:
        common.InlinePass()(model)
        common.RemoveUnusedFunctionsPass()(model)  # type: ignore[no-untyped-call] # theirs lacks types
    _upgrade_model(model, origin)


def _foreign_opsets(model: ir.Model) -> set[int]:
    """Opsets that functions import and the model does not."""
    own = opset_of(model)
    return {function.opset_imports.get("", own) for function in model.functions.values()} - {own}


def _upgrade_model(model: ir.Model, origin: str) -> None:
    since = opset_of(model)
    if since < OPSET:
        if since < 13:  # the steps up to 13 ask for types and ranks
            common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
            _infer_types(model)
        _upgrade(model.graph, since, origin)
    version = max(since, OPSET)
    model.graph.opset_imports.pop("ai.onnx", None)
    model.graph.opset_imports[""] = version
    model.ir_version = max(model.ir_version, ir_version_for(version))


def _upgrade(graph: ir.Graph | ir.Function, since: int, origin: str) -> None:
    try:
        upgrade(graph, since, OPSET)
    except ModelError as error:
        raise ModelError(f"{origin}: {error}") from None


def _infer_types(model: ir.Model) -> None:
    """Best effort: what cannot be inferred stays unknown, and steps that need it say so."""
    level = logging.getLogger("onnx_ir").level
    logging.getLogger("onnx_ir").setLevel(logging.CRITICAL)
    try:
        common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model)
    finally:
        logging.getLogger("onnx_ir").setLevel(level)


def _lift_constants(model: ir.Model) -> None:
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    common.LiftSubgraphInitializersToMainGraphPass()(model)
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor is not None:
            value.shape, value.type = ir.Shape(tensor.shape.numpy()), ir.TensorType(tensor.dtype)


def _name_everything(model: ir.Model) -> None:
    """Names for nodes that have none, so that messages and decisions can name them; all names unique."""
    taken = {node.name for node in model.graph.all_nodes()}
    counters: dict[str, int] = {}
    for node in model.graph.all_nodes():
        while not node.name:
            number = counters.get(node.op_type, 0)
            counters[node.op_type] = number + 1
            candidate = f"{node.op_type}_{number}"
            if candidate not in taken:
                taken.add(candidate)
                node.name = candidate
    common.NameFixPass()(model)


NAMES_OF_NOTHING = frozenset(("", "?", "*", "None", "-1"))
"""What exporters write for an open dimension that has no name; two of them need not be equal."""


def _forget_annotations(model: ir.Model) -> None:
    """Exporters annotate values with shapes that do not always hold once an open dimension is bound: types are
    inferred afresh from the inputs, whose open dimensions only keep a name that means something."""
    for node in model.graph.all_nodes():
        for value in node.outputs:
            if not value.is_graph_output():
                value.shape = value.type = None
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.shape is not None:
            dims = [_open(dim) for dim in value.shape.dims]
            value.shape = ir.Shape(dims)


def _open(dim: int | ir.SymbolicDim) -> int | str | None:
    if isinstance(dim, int):
        return dim if dim >= 0 else None
    return None if dim.value in NAMES_OF_NOTHING else dim.value


def _cause(error: BaseException) -> str:
    """The innermost reason, on one line: wrappers only say which step failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
