"""How is an operator of an older opset said in a newer one?

Each row of `STEPS` is one operator whose form changed at one opset: attributes that became inputs, defaults that
moved, names that were replaced. Versions that only added types or optional inputs need no row. The nodes are
changed in place, inside control flow too, and weights are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from fusewright.errors import ModelError
from fusewright.graph.opset import OLDEST_OPSET

Step = Callable[[ir.Node], None]
GraphLike = ir.Graph | ir.Function


def upgrade(graph: GraphLike, since: int, to: int) -> None:
    """Bring the nodes of `graph` and of its subgraphs from opset `since` of the default domain to `to`.

    Types and ranks should have been inferred first: some steps (Softmax, Clip) are shorter when they know them.
    Raises ModelError for what no newer operator can say.
    """
    if since < OLDEST_OPSET:
        changed = sorted({node.op_type for node in graph.all_nodes() if _changed(node, since, OLDEST_OPSET)})
        if changed:
            raise ModelError(
                f"the model is at opset {since}; Fusewright reads opset {OLDEST_OPSET} and later, and "
                f"{', '.join(changed)} had another form before. Export it again with a newer exporter."
            )
        since = OLDEST_OPSET
    for version in range(since + 1, to + 1):
        if version in _VERSIONS:
            _upgrade_graph(graph, version)


def _changed(node: ir.Node, since: int, to: int) -> bool:
    """Whether the operator has another form at opset `to`; unknown ones have."""
    if node.domain != "":
        return False
    try:
        old, new = (onnx.defs.get_schema(node.op_type, version, "") for version in (since, to))
    except onnx.defs.SchemaError:
        return True
    return bool(old.since_version != new.since_version)


def _upgrade_graph(graph: GraphLike, version: int) -> None:
    for node in tuple(graph):
        for attr in node.attributes.values():
            if attr.is_ref():
                continue
            if attr.type == ir.AttributeType.GRAPH:
                _upgrade_graph(attr.as_graph(), version)
            elif attr.type == ir.AttributeType.GRAPHS:
                for subgraph in attr.as_graphs():
                    _upgrade_graph(subgraph, version)
        step = STEPS.get((version, node.op_type)) if node.domain == "" else None
        if step is not None:
            step(node)
        node.version = None


# What steps are made of.


def _take(node: ir.Node, name: str, default: Any = None) -> Any:
    """Remove an attribute and return its value."""
    attr = node.attributes.pop(name, None)
    if attr is None:
        return default
    if attr.is_ref():
        raise ModelError(
            f"{_where(node)}: attribute {name!r} is a parameter of a function of another opset than the model's, "
            "which cannot be upgraded. Export the model with one opset throughout."
        )
    return attr.value


def _where(node: ir.Node) -> str:
    return f"node {node.name!r} ({node.op_type})"


def _before(node: ir.Node, op_type: str, inputs: Sequence[ir.Value | None], **attributes: Any) -> ir.Value:
    """Insert a node in front of `node` and return its value."""
    new = ir.node(op_type, inputs, attributes)
    assert node.graph is not None
    node.graph.insert_before(node, new)
    return new.outputs[0]


def _constant(node: ir.Node, value: Any, dtype: Any) -> ir.Value:
    array = np.asarray(value, dtype)
    result = _before(node, "Constant", [], value=ir.tensor(array))
    result.shape, result.dtype = ir.Shape(array.shape), ir.DataType.from_numpy(array.dtype)
    return result


def _set_input(node: ir.Node, index: int, value: ir.Value | None) -> None:
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, value)


def _after(node: ir.Node, output: ir.Value, op_type: str, extra: Sequence[ir.Value], **attributes: Any) -> None:
    """old = node(..) -> fresh = node(..); old = op_type(fresh, *extra): users and graph outputs keep `old`."""
    fresh = ir.Value(type=output.type)
    new = ir.node(op_type, [fresh, *extra], attributes)
    graph = node.graph
    assert graph is not None
    graph.insert_after(node, new)
    result = new.outputs[0]
    name, result.type, result.shape = output.name, output.type, output.shape
    output.replace_all_uses_with(result, replace_graph_outputs=True)
    output.name, result.name = None, name
    output.name = f"{name}_{node.op_type.lower()}"
    new.replace_input_with(0, output)


def _dtype_of(node: ir.Node, index: int) -> ir.DataType:
    value = node.inputs[index]
    if value is None or value.dtype is None:
        raise ModelError(f"{_where(node)}: the type of input {index} cannot be inferred")
    return value.dtype


def _rank_of(node: ir.Node, index: int) -> int:
    value = node.inputs[index]
    if value is None or value.shape is None:
        raise ModelError(f"{_where(node)}: the rank of input {index}, on which its meaning depends, cannot be inferred")
    return len(value.shape)


def _append_ones(node: ir.Node, index: int, count: int) -> None:
    """Dimensions of 1 behind those of an input."""
    value = node.inputs[index]
    if count > 0 and value is not None:
        rank = _rank_of(node, index)
        _set_input(node, index, _before(node, "Unsqueeze", [value], axes=list(range(rank, rank + count))))


def _unused(node: ir.Node, outputs: Sequence[ir.Value]) -> bool:
    return not any(output.uses() or output.is_graph_output() for output in outputs)


def _attribute_to_input(name: str, index: int, dtype: type = np.int64) -> Step:
    def step(node: ir.Node) -> None:
        value = _take(node, name)
        if value is not None:
            _set_input(node, index, _constant(node, value, dtype))

    return step


# The steps, by the opset at which the form changed.


def _broadcast_7(node: ir.Node) -> None:
    """The second operand lay along the dimensions from `axis` on; without `axis` along the last, as NumPy has it."""
    asked, axis = _take(node, "broadcast", 0), _take(node, "axis")
    if asked and axis is not None:
        rank, own = _rank_of(node, 0), _rank_of(node, 1)
        _append_ones(node, 1, rank - axis % max(rank, 1) - own)


def _prelu_7(node: ir.Node) -> None:
    """A slope of one dimension was one for each channel."""
    if _rank_of(node, 1) == 1:
        _append_ones(node, 1, _rank_of(node, 0) - 2)


def _gemm_7(node: ir.Node) -> None:
    _take(node, "broadcast")


def _batch_norm_7(node: ir.Node) -> None:
    """One output alone meant test mode, as `is_test` does."""
    if not _take(node, "is_test", 0) and not _unused(node, node.outputs[1:]):
        raise ModelError(f"{_where(node)}: its training outputs are used; export the model for inference")
    node.resize_outputs(1)


def _dropout_7(node: ir.Node) -> None:
    if not _take(node, "is_test", 0):
        raise ModelError(f"{_where(node)}: it drops at random (is_test=0); export the model for inference")


def _upsample_7(node: ir.Node) -> None:
    height, width = _take(node, "height_scale"), _take(node, "width_scale")
    node.attributes["scales"] = ir.AttrFloat32s("scales", [1.0, 1.0, height, width])


def _recurrent_7(node: ir.Node) -> None:
    _take(node, "output_sequence")  # whether the first output was wanted; now it is, if it has a name


def _batch_norm_9(node: ir.Node) -> None:
    if not _take(node, "spatial", 1):
        raise ModelError(f"{_where(node)}: normalisation for each element (spatial=0) has no form in newer opsets")


def _batch_norm_14(node: ir.Node) -> None:
    """Outputs beyond the first held training statistics, and with them the node trained."""
    if len(node.outputs) > 1:
        if not _unused(node, node.outputs[1:]):
            raise ModelError(f"{_where(node)}: its training outputs are used; export the model for inference")
        node.resize_outputs(1)


def _upsample_9(node: ir.Node) -> None:
    _set_input(node, 1, _constant(node, _take(node, "scales"), np.float32))


def _upsample_10(node: ir.Node) -> None:
    node.op_type = "Resize"


def _resize_11(node: ir.Node) -> None:
    """Resize(x, scales) -> Resize(x, roi, scales), with the coordinates that it always had."""
    scales = node.inputs[1]
    _set_input(node, 1, None)
    _set_input(node, 2, scales)
    node.attributes["coordinate_transformation_mode"] = ir.AttrString("coordinate_transformation_mode", "asymmetric")
    node.attributes["nearest_mode"] = ir.AttrString("nearest_mode", "floor")


def _resize_13(node: ir.Node) -> None:
    """An empty tensor stood for an input that is not given; now the input is left out."""
    for index in (1, 2):
        value = node.inputs[index]
        if value is not None and value.const_value is not None and value.const_value.size == 0:
            _set_input(node, index, None)


def _scan_9(node: ir.Node) -> None:
    raise ModelError(f"{_where(node)}: Scan of opset 8 cannot be upgraded; export the model with opset 9 or later")


def _dropout_10(node: ir.Node) -> None:
    """The mask had the type of the data; now it is bool."""
    if len(node.outputs) == 2 and not _unused(node, node.outputs[1:]):
        mask = node.outputs[1]
        _after(node, mask, "Cast", (), to=int(_dtype_of(node, 0)))
        mask.type = ir.TensorType(ir.DataType.BOOL)


def _dropout_12(node: ir.Node) -> None:
    _take(node, "ratio")  # without training_mode it has no effect


def _slice_10(node: ir.Node) -> None:
    starts, ends, axes = (_take(node, name) for name in ("starts", "ends", "axes"))
    for index, value in enumerate((starts, ends, axes), 1):
        if value is not None:
            _set_input(node, index, _constant(node, value, np.int64))


def _top_k_10(node: ir.Node) -> None:
    _set_input(node, 1, _constant(node, [_take(node, "k")], np.int64))


def _clip_11(node: ir.Node) -> None:
    for index, name in enumerate(("min", "max"), 1):
        value = _take(node, name)
        if value is not None:
            _set_input(node, index, _constant(node, value, _dtype_of(node, 0).numpy()))


def _pad_11(node: ir.Node) -> None:
    _set_input(node, 1, _constant(node, _take(node, "pads"), np.int64))
    value = _take(node, "value", 0.0)
    if value != 0.0:
        _set_input(node, 2, _constant(node, value, _dtype_of(node, 0).numpy()))


def _scatter_11(node: ir.Node) -> None:
    node.op_type = "ScatterElements"


def _softmax_13(node: ir.Node) -> None:
    """It normalised over all axes from `axis` on, together; now over one, -1 unless said otherwise."""
    axis = _take(node, "axis", 1)
    x = node.inputs[0]
    assert x is not None
    rank = None if x.shape is None else x.shape.rank()
    if axis == -1 or (rank is not None and axis % max(rank, 1) == rank - 1):
        node.attributes["axis"] = ir.AttrInt64("axis", -1)
        return
    output = node.outputs[0]
    shape = _before(node, "Shape", [x])
    shape.dtype = ir.DataType.INT64
    _set_input(node, 0, _before(node, "Flatten", [x], axis=axis))
    node.attributes["axis"] = ir.AttrInt64("axis", -1)
    _after(node, output, "Reshape", [shape])
    output.shape = None


def _split_18(node: ir.Node) -> None:
    if (len(node.inputs) < 2 or node.inputs[1] is None) and "num_outputs" not in node.attributes:
        node.attributes["num_outputs"] = ir.AttrInt64("num_outputs", len(node.outputs))


def _roi_align_16(node: ir.Node) -> None:
    node.attributes["coordinate_transformation_mode"] = ir.AttrString(
        "coordinate_transformation_mode", "output_half_pixel"
    )


def _grid_sample_20(node: ir.Node) -> None:
    mode = _take(node, "mode", "bilinear")
    renamed = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    node.attributes["mode"] = ir.AttrString("mode", renamed)


def _dft_20(node: ir.Node) -> None:
    _set_input(node, 2, _constant(node, _take(node, "axis", 1), np.int64))


def _group_norm_21(node: ir.Node) -> None:
    """Scale and bias were one for each group; now one for each channel."""
    x, groups = node.inputs[0], node.attributes["num_groups"].as_int()
    channels = None if x is None or x.shape is None or x.shape.rank() < 2 else x.shape[1]
    if not isinstance(channels, int):
        raise ModelError(f"{_where(node)}: the number of channels of its input is not known")
    if channels == groups:
        return
    spread = _constant(node, [groups, channels // groups], np.int64)
    column, flat = _constant(node, [-1, 1], np.int64), _constant(node, [-1], np.int64)
    for index in (1, 2):
        wide = _before(node, "Expand", [_before(node, "Reshape", [node.inputs[index], column]), spread])
        _set_input(node, index, _before(node, "Reshape", [wide, flat]))


_AXES_TO_INPUT = _attribute_to_input("axes", 1)

STEPS: dict[tuple[int, str], Step] = {
    (7, "Add"): _broadcast_7,
    (7, "And"): _broadcast_7,
    (7, "BatchNormalization"): _batch_norm_7,
    (7, "Div"): _broadcast_7,
    (7, "Dropout"): _dropout_7,
    (7, "Equal"): _broadcast_7,
    (7, "GRU"): _recurrent_7,
    (7, "Gemm"): _gemm_7,
    (7, "Greater"): _broadcast_7,
    (7, "LSTM"): _recurrent_7,
    (7, "Less"): _broadcast_7,
    (7, "Mul"): _broadcast_7,
    (7, "Or"): _broadcast_7,
    (7, "PRelu"): _prelu_7,
    (7, "Pow"): _broadcast_7,
    (7, "RNN"): _recurrent_7,
    (7, "Sub"): _broadcast_7,
    (7, "Upsample"): _upsample_7,
    (7, "Xor"): _broadcast_7,
    (9, "BatchNormalization"): _batch_norm_9,
    (9, "Scan"): _scan_9,
    (9, "Upsample"): _upsample_9,
    (10, "Dropout"): _dropout_10,
    (10, "Slice"): _slice_10,
    (10, "TopK"): _top_k_10,
    (10, "Upsample"): _upsample_10,
    (11, "Clip"): _clip_11,
    (11, "Pad"): _pad_11,
    (11, "Resize"): _resize_11,
    (11, "Scatter"): _scatter_11,
    (12, "Dropout"): _dropout_12,
    (13, "Hardmax"): _softmax_13,
    (13, "LogSoftmax"): _softmax_13,
    (13, "ReduceSum"): _AXES_TO_INPUT,
    (13, "Resize"): _resize_13,
    (13, "Softmax"): _softmax_13,
    (13, "Split"): _attribute_to_input("split", 1),
    (13, "Squeeze"): _AXES_TO_INPUT,
    (13, "Unsqueeze"): _AXES_TO_INPUT,
    (14, "BatchNormalization"): _batch_norm_14,
    (16, "RoiAlign"): _roi_align_16,
    (18, "ReduceL1"): _AXES_TO_INPUT,
    (18, "ReduceL2"): _AXES_TO_INPUT,
    (18, "ReduceLogSum"): _AXES_TO_INPUT,
    (18, "ReduceLogSumExp"): _AXES_TO_INPUT,
    (18, "ReduceMax"): _AXES_TO_INPUT,
    (18, "ReduceMean"): _AXES_TO_INPUT,
    (18, "ReduceMin"): _AXES_TO_INPUT,
    (18, "ReduceProd"): _AXES_TO_INPUT,
    (18, "ReduceSumSquare"): _AXES_TO_INPUT,
    (18, "Split"): _split_18,
    (20, "DFT"): _dft_20,
    (20, "GridSample"): _grid_sample_20,
    (21, "GroupNormalization"): _group_norm_21,
}
_VERSIONS = frozenset(version for version, _ in STEPS)
