"""How does a graph look as text, and how does text become a graph again?

The syntax is that of `onnx.parser`. One thing is added so that real layers stay readable: a weight too large
to print appears in the `<...>` list with its type and no value, and reading such text fills it with
reproducible noise drawn from its name. A value in that list that a node makes is, as in ONNX, only annotated.
"""

from __future__ import annotations

import zlib

import numpy as np
import onnx
import onnx_ir as ir

from fusewright.errors import ModelError
from fusewright.graph.copy import shallow_copy
from fusewright.graph.opset import OPSET, ir_version_for

MAX_PRINTED_ELEMENTS = 16
"""Weights with more elements are shown by type only."""


def format_model(model: ir.Model) -> str:
    """The model in ONNX text syntax, with the type of every value and without large weights."""
    light = shallow_copy(model)
    hidden = []
    for name, value in list(light.graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or tensor.size > MAX_PRINTED_ELEMENTS or tensor.dtype == ir.DataType.STRING:
            del light.graph.initializers[name]
            hidden.append(value)
    proto = ir.to_proto(light)
    printed = {tensor.name for tensor in proto.graph.initializer}
    infos = [info for info in proto.graph.value_info if info.name not in printed]
    known = {info.name for info in infos}
    del proto.graph.value_info[:]
    proto.graph.value_info.extend(ir.to_proto(v) for v in hidden if v.name not in known)
    proto.graph.value_info.extend(infos)
    text: str = onnx.printer.to_text(proto)
    return "\n".join(line.rstrip() for line in text.splitlines())


def parse_model(text: str) -> ir.Model:
    """The model that `text` describes; without a `<...>` header, it is at OPSET.

    Raises ModelError with the parser's complaint when the text cannot be read.
    """
    if not text.lstrip().startswith("<"):
        text = f'<ir_version: {ir_version_for(OPSET)}, opset_import: ["" : {OPSET}]>\n{text}'
    try:
        proto = onnx.parser.parse_model(text)
    except onnx.parser.ParseError as error:
        raise ModelError(f"not a model in ONNX text syntax: {error}") from None
    graph = proto.graph
    made = {name for node in graph.node for name in node.output}
    made |= {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    for info in graph.value_info:
        if info.name not in made:
            graph.initializer.append(_noise(info))
    model: ir.Model = ir.from_proto(proto)
    return model


def _noise(info: onnx.ValueInfoProto) -> onnx.TensorProto:
    """Values for a weight that the text names without its data."""
    kind = info.type.tensor_type
    dims = [dim.dim_value for dim in kind.shape.dim]
    if any(not dim.HasField("dim_value") for dim in kind.shape.dim):
        raise ModelError(f"weight {info.name!r} of the text has an open dimension: give each extent")
    rng = np.random.default_rng(zlib.crc32(info.name.encode()))
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    whole = np.issubdtype(dtype, np.integer) or dtype == np.bool_
    array = (rng.integers(0, 2, dims) if whole else rng.uniform(-1.0, 1.0, dims)).astype(dtype)
    return onnx.numpy_helper.from_array(array, info.name)
