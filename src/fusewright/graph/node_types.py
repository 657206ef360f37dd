"""What type and shape do a node's outputs have, given those of its inputs and the inputs that are constant?

onnx answers, operator by operator. The answer depends only on what is in the key, so it is remembered: a model
repeats its layers, and a session asks again for each new size of its inputs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import onnx
import onnx_ir as ir

Dim = int | str | None
"""A number, a name for an open dimension, or nothing known."""


class Type(NamedTuple):
    """A tensor type: ONNX element type, and dimensions (None when not even the rank is known)."""

    dtype: int
    dims: tuple[Dim, ...] | None


class Data(NamedTuple):
    """A small constant: ONNX element type, dimensions and little-endian bytes."""

    dtype: int
    dims: tuple[int, ...]
    raw: bytes


TYPE_OF_FIRST = frozenset(("GroupNormalization", "MeanVarianceNormalization"))
"""Operators for which onnx has no inference; their output is like their first input."""


SPELLED_DEFAULTS = frozenset(("STFT",))
"""Operators whose inference in onnx takes an attribute that is left out for another value than the default."""


class InferenceError(Exception):
    """onnx refuses the node; the message is its reason."""


def infer_outputs(
    node: ir.Node, opset: int, inputs: tuple[Type | None, ...], data: tuple[Data | None, ...]
) -> tuple[Type | None, ...]:
    """The types of the outputs of `node`; None for one that is not a tensor or of which nothing is known.

    `inputs` and `data` run beside `node.inputs`. Raises InferenceError when the inputs do not fit the operator.
    """
    attributes = tuple(_frozen(attr) for attr in node.attributes.values())
    present = tuple(bool(output.name) for output in node.outputs)
    return _infer(node.op_type, opset, attributes, inputs, data, present)


def has_schema(op_type: str, opset: int) -> bool:
    """Whether the installed onnx knows the operator of the default domain at `opset`."""
    return _schema(op_type, opset) is not None


def suggestions(op_type: str, opset: int) -> list[str]:
    """Operators of the default domain whose names look like `op_type`."""
    import difflib

    names = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    lowered = {name.lower(): name for name in names}
    return [lowered[name] for name in difflib.get_close_matches(op_type.lower(), lowered, n=3)]


@lru_cache(maxsize=4096)
def _schema(op_type: str, opset: int) -> onnx.defs.OpSchema | None:
    try:
        schema = onnx.defs.get_schema(op_type, opset, "")
    except onnx.defs.SchemaError:
        return None
    return None if schema.deprecated else schema


def _frozen(attr: ir.Attr) -> tuple[str, int, Any]:
    """An attribute as something that can be a key."""
    value = attr.value
    if attr.type == ir.AttributeType.TENSOR and value.dtype == ir.DataType.STRING:
        value = tuple(value.string_data())
    elif attr.type == ir.AttributeType.TENSOR:
        value = Data(int(value.dtype), tuple(int(d) for d in value.shape), value.tobytes())
    elif isinstance(value, list | tuple):
        value = tuple(value)
    return attr.name, int(attr.type), value


@lru_cache(maxsize=1 << 14)
def _infer(
    op_type: str,
    opset: int,
    attributes: tuple[tuple[str, int, Any], ...],
    inputs: tuple[Type | None, ...],
    data: tuple[Data | None, ...],
    present: tuple[bool, ...],
) -> tuple[Type | None, ...]:
    schema = _schema(op_type, opset)
    if schema is None:
        return (None,) * len(present)
    if op_type in TYPE_OF_FIRST:
        return (inputs[0],) * len(present)
    input_names = ["" if item is None else f"i{index}" for index, item in enumerate(inputs)]
    output_names = [f"o{index}" if there else "" for index, there in enumerate(present)]
    node = onnx.NodeProto(op_type=op_type, input=input_names, output=output_names)
    for name, kind, value in attributes:
        if isinstance(value, Data):
            value = _tensor(value)
        elif kind == onnx.AttributeProto.TENSOR:
            value = onnx.helper.make_tensor(name, onnx.TensorProto.STRING, [len(value)], value)
        node.attribute.append(onnx.helper.make_attribute(name, value, attr_type=kind))
    if op_type in SPELLED_DEFAULTS:
        given = {name for name, _, _ in attributes}
        defaults = [a.default_value for name, a in schema.attributes.items() if name not in given]
        node.attribute.extend(value for value in defaults if value.type != onnx.AttributeProto.UNDEFINED)
    types = {name: _proto(item) for name, item in zip(input_names, inputs, strict=True) if item is not None}
    known = {name: _tensor(item) for name, item in zip(input_names, data, strict=True) if item is not None}
    imports = [onnx.helper.make_opsetid("", opset)]
    try:
        found = onnx.shape_inference.infer_node_outputs(schema, node, types, known, opset_imports=imports)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError) as error:
        raise InferenceError(_reason(error)) from None
    return tuple(_type(found.get(name)) for name in output_names)


def _reason(error: Exception) -> str:
    """onnx prefixes its messages with the node (which the caller names) and C++ names."""
    text = " ".join(str(error).split())
    for mark in ("[ShapeInferenceError] ", "[TypeInferenceError] "):
        if mark in text:
            text = text.rsplit(mark, 1)[1]
    return text


def _proto(item: Type) -> onnx.TypeProto:
    proto: onnx.TypeProto = onnx.helper.make_tensor_type_proto(item.dtype, item.dims)
    return proto


def _tensor(item: Data) -> onnx.TensorProto:
    return onnx.TensorProto(data_type=item.dtype, dims=item.dims, raw_data=item.raw)


def _type(proto: onnx.TypeProto | None) -> Type | None:
    if proto is None or not proto.HasField("tensor_type") or not proto.tensor_type.elem_type:
        return None
    kind = proto.tensor_type
    if not kind.HasField("shape"):
        return Type(kind.elem_type, None)
    return Type(kind.elem_type, tuple(_dim(dim) for dim in kind.shape.dim))


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    return str(dim.dim_param) if dim.HasField("dim_param") and dim.dim_param else None
