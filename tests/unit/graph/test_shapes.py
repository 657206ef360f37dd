"""Shapes are inferred, constants folded, branches taken, and what stands in the way is listed."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from fusewright.errors import ShapeError, UnsupportedError
from fusewright.graph.blockers import PLANNED_INPUTS, ValueDependentError
from fusewright.graph.decisions import Log
from fusewright.graph.node_types import has_schema
from fusewright.graph.opset import OPSET
from fusewright.graph.shapes import infer
from fusewright.graph.text import parse_model


def shape_of(model: ir.Model, name: str) -> tuple[object, ...]:
    for node in model.graph:
        for value in node.outputs:
            if value.name == name:
                assert value.shape is not None
                return tuple(d if isinstance(d, int) else d.value for d in value.shape)
    raise AssertionError(f"no value {name}")


def test_every_value_gets_a_type_and_a_static_shape() -> None:
    model = parse_model("g (float[2,3,8,8] x) => (y) <float[4,3,3,3] w> { a = Conv(x, w) b = Relu(a) y = Flatten(b) }")
    infer(model)
    assert [shape_of(model, name) for name in ("a", "b", "y")] == [(2, 4, 6, 6), (2, 4, 6, 6), (2, 144)]
    assert all(value.dtype == ir.DataType.FLOAT for node in model.graph for value in node.outputs)


def test_operators_without_inference_in_onnx() -> None:
    model = parse_model(
        """g (float[1,4,2,2] x) => (y) <float[4] s, float[4] b>
        { a = GroupNormalization<num_groups=2>(x, s, b) y = MeanVarianceNormalization(a) }"""
    )
    infer(model)
    assert shape_of(model, "y") == (1, 4, 2, 2)


def test_open_dimensions_keep_their_names_in_a_partial_walk() -> None:
    model = parse_model("g (float[N,3] x) => (y) <float[3,5] w> { a = MatMul(x, w) y = Relu(a) }")
    assert not infer(model, partial=True)
    assert shape_of(model, "y") == ("N", 5)


SHAPE_COMPUTATION = """g (float[2,3,4,5] x) => (y)
<int64[1] two = {2}, int64[1] huge = {9999}, int64[1] minus = {-1}, int64[1] z = {0}>
{ s = Shape(x) a = Slice(s, z, two) t = Concat<axis=0>(a, minus) y = Reshape(x, t) }"""


def test_a_shape_computation_vanishes() -> None:
    model = parse_model(SHAPE_COMPUTATION)
    log = Log()
    assert infer(model, log)
    assert [node.op_type for node in model.graph] == ["Reshape"]
    assert shape_of(model, "y") == (2, 3, 20)
    target = model.graph[0].inputs[1]
    assert target is not None and target.name == "t" and target.const_value is not None
    assert target.const_value.numpy().tolist() == [2, 3, -1]
    assert set(model.graph.initializers) == {"t"}, "constants that nothing reads are gone"
    assert log.count("fold-constants") == 1


def test_shape_of_known_dimensions_folds_even_if_others_are_open() -> None:
    model = parse_model("g (float[N,3] x) => (int64[1] y, int64[2] z) { y = Shape<start=1>(x) z = Shape(x) }")
    infer(model, partial=True)
    assert sorted(node.op_type for node in model.graph) == ["Identity", "Shape"]


def test_a_folded_graph_output_keeps_its_name_and_a_node() -> None:
    model = parse_model("g (float[2,3] x) => (int64[2] y) { y = Shape(x) }")
    assert infer(model)
    (node,) = model.graph
    assert node.op_type == "Identity" and node.outputs[0] is model.graph.outputs[0]
    assert model.graph.outputs[0].name == "y"
    assert not infer(model), "folded again without end"


def test_a_folded_value_that_is_output_and_read() -> None:
    model = parse_model("g (float[2,3] x) => (int64[2] s, float[2,3] y) { s = Shape(x) y = Reshape(x, s) }")
    infer(model)
    assert [value.name for value in model.graph.outputs] == ["s", "y"]
    assert sorted(node.op_type for node in model.graph) == ["Identity", "Reshape"]


def test_folding_never_grows_a_model() -> None:
    text = """g (float[1024,1024] x) => (y) <int64[2] s = {1024, 1024}, float one = {1}>
    { a = Expand(one, s) y = Add(x, a) }"""
    model, log = parse_model(text), Log()
    infer(model, log)
    assert [node.op_type for node in model.graph] == ["Expand", "Add"]
    (refusal,) = [decision for decision in log.decisions if not decision.made]
    assert "4194304 bytes" in refusal.reason
    model = parse_model(text)
    infer(model, limit=1 << 23)
    assert [node.op_type for node in model.graph] == ["Add"]


NORMALIZED = """m = ReduceMean<keepdims=1>(w) d = Sub(w, m) q = Mul(d, d) v = ReduceMean<keepdims=1>(q)
    s = Sqrt(v) n = Div(d, s)"""


def normalized(body: str, outputs: str = "y") -> tuple[list[str], set[str]]:
    """The operations and the weights that are left of steps of 1.4 MB, where a constant may add 1 MiB."""
    model = parse_model(f"g (float[1,600] x) => ({outputs}) <float[600,600] w> {{ {NORMALIZED} {body} }}")
    infer(model, partial=True)
    return [node.op_type for node in model.graph], set(model.graph.initializers)


def test_steps_between_a_weight_and_its_use_may_be_large() -> None:
    assert normalized("y = MatMul(x, n)") == (["MatMul"], {"n"})
    assert normalized("t = Transpose(n) y = MatMul(x, t)") == (["MatMul"], {"t"})


def test_large_steps_of_a_weight_that_stays() -> None:
    operations, weights = normalized("y = MatMul(x, n) z = MatMul(x, w)", "y, z")
    assert operations == ["Sub", "Mul", "ReduceMean", "Sqrt", "Div", "MatMul", "MatMul"]
    assert weights == {"w", "m"}  # the first step is small


def test_two_results_of_one_weight_do_not_both_take_its_place() -> None:
    operations, weights = normalized("e = Exp(n) y = MatMul(x, n) z = MatMul(x, e)", "y, z")
    assert operations == ["Exp", "MatMul", "MatMul"]
    assert weights == {"n"}


def test_large_step_that_is_an_output() -> None:
    operations, weights = normalized("y = MatMul(x, n)", "y, d")
    assert "Sub" in operations and "w" in weights


def test_a_fold_that_replaces_its_input_is_never_too_large() -> None:
    model = parse_model("g (float[1,600] x) => (y) <float[600,600] w> { t = Transpose(w) y = MatMul(x, t) }")
    infer(model)
    assert [node.op_type for node in model.graph] == ["MatMul"]
    assert set(model.graph.initializers) == {"t"}
    model = parse_model(
        "g (float[1,600] x) => (y, z) <float[600,600] w> { t = Transpose(w) y = MatMul(x, t) z = MatMul(x, w) }"
    )
    infer(model)
    assert [node.op_type for node in model.graph] == ["Transpose", "MatMul", "MatMul"], "w would be kept twice"


@pytest.mark.parametrize("between", ["w = Identity(v)", "w = Transpose(v)", "u = Flatten(v) w = Identity(u)"])
def test_generated_weights_become_weights(between: str) -> None:
    model = parse_model(
        f"""g (float[1,1024] x) => (y) <int64[2] s = {{1024, 1024}}>
        {{ v = ConstantOfShape<value=float[1] {{0.5}}>(s) {between} y = MatMul(x, w) }}"""
    )
    infer(model)
    assert [node.op_type for node in model.graph] == ["MatMul"]
    tensor = model.graph.initializers["w"].const_value
    assert tensor is not None and tensor.numpy()[1023, 1023] == 0.5


def test_random_operators_are_not_folded() -> None:
    model = parse_model("g (float[2] x) => (y) <float[2] c = {0.5, 0.5}> { r = RandomNormalLike(c) y = Add(x, r) }")
    infer(model)
    assert [node.op_type for node in model.graph] == ["RandomNormalLike", "Add"]


def test_inputs_with_a_default_are_not_constants() -> None:
    model = parse_model("g (float[2] x, float[2] w) => (y) <float[2] w = {1, 2}> { a = Neg(w) y = Add(x, a) }")
    infer(model)
    assert [node.op_type for node in model.graph] == ["Neg", "Add"]


def test_division_by_zero_and_overflow_fold_as_they_would_run() -> None:
    model = parse_model(
        "g (float[2] x) => (y) <float[2] a = {1, 0}, float[2] b = {0, 0}> { c = Div(a, b) y = Add(x, c) }"
    )
    infer(model)
    tensor = model.graph.initializers["c"].const_value
    assert tensor is not None
    np.testing.assert_array_equal(tensor.numpy(), np.array([np.inf, np.nan], np.float32))


BRANCHES = """g (float[2,3] x) => (float[2,3] y, float[2,3] z) <int64 two = {2}> {
    s = Size(x) c = Greater(s, two)
    y = If(c) <then_branch = t () => (float[2,3] p) { m = Neg(x) p = Abs(m) },
               else_branch = e () => (float[2,3] q) { q = Relu(x) }>
    d = Not(c)
    w = If(d) <then_branch = t2 () => (float[2,3] p2) { m = Neg(x) p2 = Abs(m) },
               else_branch = e2 () => (float[2,3] q2) { m = Exp(x) q2 = Sqrt(m) }>
    z = Neg(w)
}"""


def test_a_constant_condition_takes_its_branch() -> None:
    model, log = parse_model(BRANCHES), Log()
    infer(model, log)
    assert [node.op_type for node in model.graph] == ["Neg", "Abs", "Identity", "Exp", "Sqrt", "Neg"]
    names = [value.name for node in model.graph for value in node.outputs]
    assert len(set(names)) == len(names), "branches used the same names"
    assert [value.name for value in model.graph.outputs] == ["y", "z"]
    assert shape_of(model, "z") == (2, 3)
    assert log.count("inline-branch") == 2


def test_a_constant_condition_inside_a_branch() -> None:
    model = parse_model(
        """g (float[2] x) => (float[2] y) <bool c = {1}> { y = If(c) <
            then_branch = t () => (float[2] p) { p = If(c) <
                then_branch = tt () => (float[2] pp) { pp = Neg(x) },
                else_branch = te () => (float[2] pe) { pe = Abs(x) }>
            }, else_branch = e () => (float[2] q) { q = Relu(x) }> }"""
    )
    infer(model)
    assert [node.op_type for node in model.graph if node.op_type != "Identity"] == ["Neg"]


def test_everything_that_stands_in_the_way_is_listed() -> None:
    model = parse_model(
        """g (float[2,300] x) => (a, b, c) {
        [first] a = NonZero(x)
        [after] b = Neg(a)
        [second] m, i = Unique(x)
        [third] c = Reluu(x) }"""
    )
    with pytest.raises(UnsupportedError) as caught:
        infer(model)
    text = str(caught.value)
    assert "node 'first' (NonZero): the shape of 'a' depends on the values of 'x'" in text
    assert "node 'second' (Unique)" in text
    assert "node 'third' (Reluu): no such operator" in text and "Relu" in text.split("did you mean")[1]
    assert "'after'" not in text, "a consequence is not a cause"
    assert not isinstance(caught.value, ValueDependentError)


def test_other_domains_are_refused_by_name() -> None:
    model = parse_model("g (float[2] x) => (float[2] y) { [odd] y = com.acme.Magic(x) }")
    with pytest.raises(UnsupportedError, match=r"'odd' \(Magic\): no operator of the domain 'com.acme'"):
        infer(model)


def test_sequences_are_refused() -> None:
    model = parse_model(
        "g (float[2] x) => (float[2] y) <int64 i = {0}> { s = SequenceConstruct(x) y = SequenceAt(s, i) }"
    )
    with pytest.raises(UnsupportedError, match=r"SequenceConstruct"):
        infer(model)


def test_shapes_that_contradict() -> None:
    model = parse_model("g (float[2,3] x, float[2,4] z) => (y) { [sum] y = Add(x, z) }")
    with pytest.raises(ShapeError, match=r"node 'sum' \(Add\) with 'x': FLOAT\[2,3\], 'z': FLOAT\[2,4\]: Incompatible"):
        infer(model)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("g (float[2,3] x, int64[1] t) => (y) { y = Reshape(x, t) }", ("t",)),
        ("g (float[2,3] x, int64[2] t) => (y) <int64 k = {2}> { d = Mul(t, k) y = Expand(x, d) }", ("t",)),
        ("g (float[8] x, int64[1] a, int64[1] b) => (y) { y = Slice(x, a, b) }", ("a", "b")),
        ("g (float[8] x, int64 a) => (y) { y = CumSum(x, a) }", ("a",)),
        ("g (float[8,8] x, float[1] scale) => (y) { s = Concat<axis=0>(scale, scale) y = Resize(x, , s) }", ("scale",)),
    ],
)
def test_shapes_that_follow_from_values_of_inputs(text: str, needed: tuple[str, ...]) -> None:
    with pytest.raises(ValueDependentError) as caught:
        infer(parse_model(text))
    assert set(caught.value.inputs) == set(needed)


def test_data_is_never_asked_for_as_a_value() -> None:
    model = parse_model(
        """g (float[2,300] x, float[4] z) => (y) <int64[1] a = {0}> {
        i = Cast<to=7>(x) m = ReduceMax<keepdims=0>(i) q = Unsqueeze(m, a) [t] y = Reshape(z, q) }"""
    )
    with pytest.raises(UnsupportedError, match=r"'t' \(Reshape\): its input 'q' is known only at run time") as caught:
        infer(model)
    assert not isinstance(caught.value, ValueDependentError)


def test_the_table_of_planned_inputs_names_real_inputs() -> None:
    for op_type, indices in PLANNED_INPUTS.items():
        assert has_schema(op_type, OPSET)
        inputs = onnx.defs.get_schema(op_type, OPSET, "").inputs
        assert max(indices) < len(inputs), op_type


def test_a_constant_that_is_an_output_becomes_an_initializer() -> None:
    """As one out of a branch or of a definition: no kernel computes Constant."""
    model = parse_model("g () => (y) { y = Constant<value = float[2] {1, 2}>() }")
    assert infer(model)
    assert [node.op_type for node in model.graph] == ["Identity"]
    assert model.graph.outputs[0].name == "y"
    (value,) = model.graph.initializers.values()
    assert value.const_value is not None and value.const_value.numpy().tolist() == [1, 2]


@pytest.mark.parametrize(("call", "expected"), [("OptionalHasElement(x)", True), ("OptionalHasElement()", False)])
def test_a_tensor_is_present_and_nothing_is_not(call: str, expected: bool) -> None:
    model = parse_model(f"g (float[2] x) => (bool y) {{ y = {call} }}")
    assert infer(model)
    (value,) = model.graph.initializers.values()
    assert value.const_value is not None and value.const_value.numpy().item() is expected


def test_what_inference_refuses_and_every_runtime_computes_is_folded() -> None:
    """Definitions of the standard itself give Range a list of one number."""
    model = parse_model(
        """g () => (int64[3] y) <int64 start = {0}, int64[1] limit = {3}, int64 step = {1}>
        { y = Range(start, limit, step) }"""
    )
    assert infer(model)
    assert shape_of(model, "y") == (3,)
