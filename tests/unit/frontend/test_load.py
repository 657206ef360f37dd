"""Whatever the source and its habits, `load` gives the one form that passes know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import fusewright as fw
from fusewright.errors import ModelError
from fusewright.frontend.onnx import load
from fusewright.graph.equivalence import run
from fusewright.graph.opset import OPSET
from fusewright.graph.text import parse_model

TEXT = """g (float[N,3] x) => (float[N,3] y) <float[3] w = {1, 2, 3}>
{ c = Constant<value_float=2.0>() a = Mul(x, w) y = Add(a, c) }"""

HEADER = f'<ir_version: 8, opset_import: ["" : {OPSET}, "local" : 1]>\n'

WITH_FUNCTIONS = (
    HEADER
    + """g (float[2] x, bool c) => (float[2] y, float[2] z) {
        y = local.twice<by=3.0>(x)
        z = If(c) <then_branch = t () => (float[2] p) { p = local.twice(x) },
                   else_branch = e () => (float[2] q) { q = Neg(x) }>
    }
    <domain: "local", opset_import: ["" : OPSET]>
    twice<by: float = 2.0>(v) => (r) { f = Constant<value_float: float = @by>() s = local.scale(v, f) r = Identity(s) }
    <domain: "local", opset_import: ["" : OPSET]>
    scale(v, f) => (r) { r = Mul(v, f) }"""
)


def proto_of(text: str = TEXT) -> onnx.ModelProto:
    return ir.to_proto(parse_model(text))


def test_all_sources_give_the_same(tmp_path: Path) -> None:
    proto = proto_of()
    path = tmp_path / "m.onnx"
    onnx.save(proto, path)
    x = np.ones((2, 3), np.float32)
    for source in (path, str(path), proto, proto.SerializeToString(), ir.from_proto(proto)):
        model = load(source)
        assert [node.op_type for node in model.graph] == ["Mul", "Add"]
        np.testing.assert_array_equal(run(model, {"x": x})["y"], [[3, 4, 5]] * 2)


def test_the_callers_objects_are_left_alone() -> None:
    old = '<ir_version: 3, opset_import: ["" : 9]>\ng (float[2,3] x, float[3] w) => (float[2] y) '
    old += "<float[3] w = {1, 2, 3}> { a = Mul(x, w) y = ReduceMean<axes=[1], keepdims=0>(a) }"
    proto = onnx.parser.parse_model(old)
    before = proto.SerializeToString()
    load(proto)
    assert proto.SerializeToString() == before
    model = ir.from_proto(proto)
    before = ir.to_proto(model).SerializeToString()
    load(model)
    assert ir.to_proto(model).SerializeToString() == before


def test_weights_are_shared_not_copied() -> None:
    model = parse_model("g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }")
    assert load(model).graph.initializers["w"].const_value is model.graph.initializers["w"].const_value


def test_weights_as_inputs() -> None:
    text = "g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }"
    assert [value.name for value in load(proto_of(text)).graph.inputs] == ["x"]
    kept = load(proto_of(text), keep_weight_inputs=True)
    assert [value.name for value in kept.graph.inputs] == ["x", "w"]


def test_functions_are_inlined_in_branches_too() -> None:
    model = load(onnx.parser.parse_model(WITH_FUNCTIONS.replace("OPSET", str(OPSET))))
    assert not model.functions
    assert {node.domain for node in model.graph.all_nodes()} == {""}
    x = np.array([1, 2], np.float32)
    results = run(model, {"x": x, "c": np.array(True)})
    np.testing.assert_array_equal(results["y"], 3 * x)
    np.testing.assert_array_equal(results["z"], 2 * x)


def test_functions_of_another_opset_meet_the_models() -> None:
    text = """<ir_version: 8, opset_import: ["" : 18, "local" : 1]>
        g (float[2] x) => (float[2] y) { y = local.root(x) }
        <domain: "local", opset_import: ["" : 13]> root(v) => (r) { r = Sqrt(v) }"""
    model = load(onnx.parser.parse_model(text))
    np.testing.assert_array_equal(run(model, {"x": np.array([4, 9], np.float32)})["y"], [2, 3])


def test_functions_that_call_each_other_are_refused() -> None:
    text = (
        HEADER
        + """g (float[2] x) => (float[2] y) { y = local.a(x) }
        <domain: "local", opset_import: ["" : OPSET]> a(v) => (r) { r = local.b(v) }
        <domain: "local", opset_import: ["" : OPSET]> b(v) => (r) { r = local.a(v) }"""
    )
    with pytest.raises(ModelError, match=r"[Cc]ycl"):
        load(onnx.parser.parse_model(text.replace("OPSET", str(OPSET))))


def test_constants_in_branches_become_weights_of_the_graph() -> None:
    text = """g (float[2] x, bool c) => (float[2] y) { y = If(c) <
        then_branch = t () => (float[2] p) { k = Constant<value_floats=[1.0, 2.0]>() p = Add(x, k) },
        else_branch = e () => (float[2] q) { k = Constant<value_floats=[3.0, 4.0]>() q = Add(x, k) }> }"""
    model = load(proto_of(text))
    assert all(node.op_type != "Constant" for node in model.graph.all_nodes())
    x = np.zeros(2, np.float32)
    np.testing.assert_array_equal(run(model, {"x": x, "c": np.array(True)})["y"], [1, 2])
    np.testing.assert_array_equal(run(model, {"x": x, "c": np.array(False)})["y"], [3, 4])


def test_nodes_out_of_order_are_sorted() -> None:
    proto = proto_of("g (float[2] x) => (float[2] y) { a = Neg(x) y = Abs(a) }")
    proto.graph.node.reverse()
    assert [node.op_type for node in load(proto).graph] == ["Neg", "Abs"]


def test_every_node_has_a_name_of_its_own() -> None:
    names = [node.name for node in load(proto_of()).graph]
    assert all(names) and len(set(names)) == len(names)


def test_names_of_nothing_do_not_make_dimensions_equal() -> None:
    proto = proto_of("g (float[N,3,M,M] x) => (float[N,3,M,M] y) { y = Neg(x) }")
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    dims[0].dim_value = -1
    dims[2].dim_param = dims[3].dim_param = "?"
    (value,) = load(proto).graph.inputs
    assert value.shape is not None
    assert [dim if isinstance(dim, int) else dim.value for dim in value.shape] == [None, 3, None, None]


def test_annotations_that_do_not_hold_are_forgotten() -> None:
    proto = proto_of("g (float[N,3] x) => (float[N,3] y) <float[7,3] a> { a = Neg(x) y = Abs(a) }")
    inner = load(proto).graph[0].outputs[0]
    assert inner.shape is None


def test_newer_opsets_stay() -> None:
    newest = onnx.defs.onnx_opset_version()
    proto = proto_of("g (float[2] x) => (float[2] y) { y = Neg(x) }")
    proto.opset_import[0].version = newest
    proto.ir_version = onnx.IR_VERSION
    assert load(proto).graph.opset_imports[""] == newest


def test_unknown_operators_are_left_to_the_compiler() -> None:
    text = '<ir_version: 8, opset_import: ["" : 18, "com.acme" : 1]>\n'
    text += "g (float[2] x) => (float[2] y) { a = Relux(x) y = com.acme.Magic(a) }"
    assert [node.op_type for node in load(onnx.parser.parse_model(text)).graph] == ["Relux", "Magic"]


def test_external_weights_are_read_lazily(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    proto = proto_of("g (float[2,64] x) => (float[2,64] y) <float[64] w> { y = Add(x, w) }")
    onnx.save(proto, path, save_as_external_data=True, location="m.data", size_threshold=0)
    model = load(path)
    weight = model.graph.initializers["w"].const_value
    assert isinstance(weight, ir.ExternalTensor) and weight.raw is None
    expected = onnx.numpy_helper.to_array(
        proto_of("g (float[2,64] x) => (float[2,64] y) <float[64] w> { y = Add(x, w) }").graph.initializer[0]
    )
    np.testing.assert_array_equal(weight.numpy(), expected)
    from_bytes = load(path.read_bytes(), directory=tmp_path)
    tensor = from_bytes.graph.initializers["w"].const_value
    assert tensor is not None
    np.testing.assert_array_equal(tensor.numpy(), expected)


def without_shapes(name: str) -> onnx.ModelProto:
    """z = Exp(Neg(x)), the way a graph looks that a tool has cut: `name` is declared by its type or its name alone."""
    nodes = [onnx.helper.make_node("Neg", ["x"], ["y"]), onnx.helper.make_node("Exp", ["y"], ["z"])]
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, None if name == "x" else ["n", 3])
    z = onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, None)
    if name == "z":
        z = onnx.helper.make_empty_tensor_value_info("z")
    opset = onnx.helper.make_opsetid("", 18)
    return onnx.helper.make_model(onnx.helper.make_graph(nodes, "cut", [x], [z]), opset_imports=[opset], ir_version=9)


@pytest.mark.parametrize("name", ["z's shape", "z"])
def test_outputs_may_lack_shape_and_type(name: str) -> None:
    session = fw.compile(without_shapes(name))
    assert session.outputs[0].dtype == "float32" and len(session.outputs[0].shape) == 2
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], np.exp(-x), rtol=1e-6)


def test_inputs_need_a_rank() -> None:
    with pytest.raises(ModelError, match="how many dimensions the input 'x' has; expected a declared shape"):
        load(without_shapes("x"))
