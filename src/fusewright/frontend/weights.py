"""Is every weight as large as the model says, and does every external file lie where it may?

Asked before anything is allocated or mapped: a model file is data from strangers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_ir as ir

from fusewright.errors import ModelError, UnsupportedError

MAX_TENSOR_BYTES = 2**46
"""Larger than the memory of any machine: a larger claim is an error, and the product must not overflow."""


def check_proto_weights(proto: onnx.ModelProto, origin: str) -> None:
    """Raise ModelError for a tensor whose data is not the size that its type and dimensions ask for."""
    graphs = [proto.graph]
    nodes = [node for function in proto.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            if graph.sparse_initializer:
                names = ", ".join(repr(t.values.name) for t in graph.sparse_initializer)
                raise UnsupportedError(f"{origin}: sparse weights are not supported: {names}; make them dense")
            for tensor in graph.initializer:
                _check_tensor(tensor, f"{origin}: weight {tensor.name!r}")
            nodes.extend(graph.node)
        while nodes:
            node = nodes.pop()
            for attr in node.attribute:
                graphs.extend(attr.graphs)
                if attr.HasField("g"):
                    graphs.append(attr.g)
                tensors = [*attr.tensors, *([attr.t] if attr.HasField("t") else [])]
                for tensor in tensors:
                    where = f"{origin}: attribute {attr.name!r} of node {node.name!r} ({node.op_type})"
                    _check_tensor(tensor, where)


def _check_tensor(tensor: onnx.TensorProto, where: str) -> None:
    try:
        dtype = ir.DataType(tensor.data_type)
    except ValueError:
        raise ModelError(f"{where}: unknown data type {tensor.data_type}") from None
    if dtype == ir.DataType.UNDEFINED:
        raise ModelError(f"{where}: has no data type")
    expected = _nbytes(tuple(tensor.dims), dtype, where)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        for entry in tensor.external_data:
            if entry.key in ("offset", "length") and not (entry.value.isascii() and entry.value.isdigit()):
                raise ModelError(f"{where}: the {entry.key} in its external file is {entry.value!r}, not a number")
        return
    count = math.prod(tensor.dims)
    if tensor.HasField("raw_data"):
        got = len(tensor.raw_data)
        if got != expected and dtype != ir.DataType.STRING:
            raise ModelError(f"{where}: {dtype} {list(tensor.dims)} needs {expected} bytes, the file has {got}")
        return
    fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
    numbers = max(len(getattr(tensor, field)) for field in fields)
    if dtype in (ir.DataType.COMPLEX64, ir.DataType.COMPLEX128):
        count *= 2
    if dtype.bitwidth < 8 if dtype != ir.DataType.STRING else False:
        per_number = 8 // dtype.bitwidth
        wanted = {count, -(-count // per_number)}
    else:
        wanted = {count}
    if numbers not in wanted:
        raise ModelError(f"{where}: {dtype} {list(tensor.dims)} needs {count} numbers, the file has {numbers}")


def _nbytes(dims: tuple[int, ...], dtype: ir.DataType, where: str) -> int:
    if any(dim < 0 for dim in dims):
        raise ModelError(f"{where}: negative dimension in {list(dims)}")
    bits = 8 if dtype == ir.DataType.STRING else dtype.bitwidth
    size = -(-math.prod(dims) * bits // 8)
    if size > MAX_TENSOR_BYTES:
        raise ModelError(f"{where}: {dtype} {list(dims)} would take {size} bytes")
    return size


def check_weights(model: ir.Model, origin: str) -> None:
    """Raise ModelError for an external weight that is missing, too short, or outside its directory."""
    for where, tensor in _external(model):
        _check_external(tensor, f"{origin}: {where}")


def _external(model: ir.Model) -> Iterator[tuple[str, ir.ExternalTensor]]:
    graphs = [*model.graphs(), *(graph for f in model.functions.values() for graph in (f.graph, *f.subgraphs()))]
    for graph in graphs:
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                yield f"weight {value.name!r}", value.const_value
        for node in graph:
            for attr in node.attributes.values():
                if attr.is_ref():
                    continue
                tensors = attr.value if attr.type == ir.AttributeType.TENSORS else (attr.value,)
                for tensor in tensors if isinstance(tensors, list | tuple) else ():
                    if isinstance(tensor, ir.ExternalTensor):
                        yield f"attribute {attr.name!r} of node {node.name!r} ({node.op_type})", tensor


def _check_external(tensor: ir.ExternalTensor, where: str) -> None:
    location = os.fspath(tensor.location)
    if not os.fspath(tensor.base_dir):
        raise ModelError(
            f"{where}: its data is in the file {location!r}, but the model was not read from a path. "
            "Give the path of the model, or the directory."
        )
    base = Path(tensor.base_dir).resolve()
    if "\0" in location or not location:
        raise ModelError(f"{where}: {location!r} is not a file name")
    if os.path.isabs(location) or Path(location).drive:
        raise ModelError(f"{where}: external file {location!r}: expected a path relative to the model's directory")
    try:
        path = (base / location).resolve()  # follows symbolic links: they must not lead outside either
        if not path.is_relative_to(base):
            raise ModelError(f"{where}: external file {location!r} leads outside the model's directory {base}")
        if not path.is_file():
            raise ModelError(f"{where}: external file {location!r} is missing from {base}")
        available = path.stat().st_size
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{where}: external file {location!r} cannot be read: {error}") from None
    expected = _nbytes(tensor.shape.numpy(), tensor.dtype, where)
    offset = tensor.offset or 0
    length = expected if tensor.length is None else tensor.length
    if length != expected:
        raise ModelError(f"{where}: needs {expected} bytes, the model claims {length} in {location!r}")
    if offset < 0 or offset + length > available:
        raise ModelError(f"{where}: needs bytes {offset} to {offset + length} of {location!r}, which has {available}")
