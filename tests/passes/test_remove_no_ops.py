"""y = op(x) that computes nothing; use(y) -> use(x)."""

from __future__ import annotations

import pytest

from fusewright.passes.remove_no_ops import RemoveNoOps

from .helpers import Outcome, rewrite

NO_OPS = [
    "Identity(x)",
    "OptionalGetElement(x)",
    "Dropout(x)",
    "Dropout(x, half)",
    "Dropout(x, half, no)",
    "Cast<to=1>(x)",
    "CastLike(x, x)",
    "Pad(x, zeros)",
    "Pad(x, two_zeros, , one_axis)",
    "Reshape(x, same)",
    "Reshape(x, copies)",
    "Reshape(x, inferred)",
    "Transpose<perm=[0,1,2]>(x)",
    "Concat<axis=1>(x)",
    "Sum(x)",
    "Max(x)",
    "Min(x)",
    "Mean(x)",
    "Slice(x, zero, end)",
    "Slice(x, zero, end, one_axis, one)",
    "Slice(x, zero, four, one_axis)",
    "Slice(x, zero, three, two)",
    "Expand(x, ones)",
    "Expand(x, one)",
    "Expand(x, tail)",
    "Tile(x, ones)",
    "Split<axis=1, num_outputs=1>(x)",
    "ReduceSum<noop_with_empty_axes=1>(x)",
    'Resize<mode="linear">(x, , scales)',
    "MaxPool<kernel_shape=[1]>(x)",
    "AveragePool<kernel_shape=[1], strides=[1]>(x)",
    "Mul(x, fone)",
    "Mul(fone, x)",
    "Mul(x, fones)",
    "Div(x, fone)",
    "Pow(x, fone)",
    "Add(x, fnegzero)",
    "Add(fnegzero, x)",
    "Sub(x, fzero)",
]
REAL = [
    "Dropout(x, half, yes)",
    "Cast<to=11>(x)",
    "Pad(x, crop)",
    "Pad(x, border)",
    "Reshape(x, joined)",
    "Transpose(x)",
    "Transpose<perm=[0,2,1]>(x)",
    "Concat<axis=1>(x, x)",
    "Slice(x, one, end)",
    "Slice(x, zero, one, one_axis)",
    "Slice(x, zero, three, one_axis)",
    "Slice(x, minus, before, one_axis, minus)",
    "Expand(x, widens)",
    "Tile(x, twos)",
    "Clip(x)",
    "Clip(x, fzero)",
    "ReduceSum<keepdims=1>(x)",
    'Resize<mode="linear">(x, , doubles)',
    "MaxPool<kernel_shape=[1], strides=[2]>(x)",
    "Mul(x, fzero)",
    "Mul(x, wide)",
    "Div(fone, x)",
    "Add(x, fzero)",
    "Sub(fzero, x)",
    "Sub(x, fnegzero)",
    "Pow(fone, x)",
]
CONSTANTS = """<
    float half = {0.5}, bool yes = {1}, bool no = {0}, int64[6] zeros = {0,0,0,0,0,0},
    int64[2] two_zeros = {0,0}, int64[1] one_axis = {1}, int64[6] crop = {0,-1,0,0,0,0},
    int64[6] border = {0,1,0,0,0,0}, int64[3] same = {2,4,3}, int64[3] copies = {0,0,0},
    int64[3] inferred = {0,-1,3}, int64[2] joined = {8,3}, int64[1] zero = {0}, int64[1] one = {1},
    int64[1] two = {2}, int64[1] three = {3}, int64[1] four = {4},
    int64[1] end = {9223372036854775807}, int64[1] minus = {-1},
    int64[1] before = {-9223372036854775807}, int64[3] ones = {1,1,1}, int64[2] tail = {4,1},
    int64[4] widens = {2,1,1,1}, int64[3] twos = {1,2,1}, float[3] scales = {1,1,1},
    float[3] doubles = {1,1,2}, float fone = {1}, float[4,1] fones = {1,1,1,1},
    float[1,1,1,1] wide = {1}, float fzero = {0}, float fnegzero = {-0.0}>"""


def remove(text: str, **options: object) -> Outcome:
    return rewrite(text, RemoveNoOps(), **options)  # type: ignore[arg-type] # dims and special


@pytest.mark.parametrize("op", NO_OPS)
def test_goes(op: str) -> None:
    outcome = remove(
        f"g (float[2,4,3] x) => (float[2,4,3] y) {CONSTANTS} {{ a = Abs(x) b = {op} y = Neg(b) z = Neg(a) }}",
        special="Pool" not in op,  # onnxruntime loses NaN and the sign of zero in pooling
    )
    assert "y = Neg (x)" in outcome.nodes, outcome.nodes


@pytest.mark.parametrize("op", REAL)
def test_stays(op: str) -> None:
    outcome = remove(f"g (float[2,4,3] x) => (y) {CONSTANTS} {{ y = {op} }}")
    assert not outcome.changed


@pytest.mark.parametrize("op", ["Add(x, zero)", "Add(zero, x)", "Sub(x, zero)", "Mul(x, one)", "Div(x, one)"])
def test_integers_have_no_signed_zero(op: str) -> None:
    outcome = remove(
        f"g (int32[2] x) => (int32[2] y) <int32 zero = {{0}}, int32 one = {{1}}> {{ z = {op} y = Neg(z) }}"
    )
    assert outcome.nodes == ["y = Neg (x)"]


def test_constant_that_widens_the_other_operand_stays() -> None:
    outcome = remove("g (float[1,3] x) => (float[2,3] y) <float[2,1] k = {1, 1}> { y = Mul(x, k) }")
    assert not outcome.changed


def test_open_dimensions() -> None:
    outcome = remove(
        """g (float[N,C,W] x) => (float[N,C,W] y)
        <int64[3] shape = {0, 0, -1}, int64[1] zero = {0}, int64[1] end = {2147483647},
         int64[2] ones = {1, 1}, float[1,1] k = {1}>
        { a = Reshape(x, shape)
          b = Slice(a, zero, end)
          c = Expand(b, ones)
          d = Mul(c, k)
          y = Relu(d) }""",
        dims={"N": 2, "C": 3, "W": 4},
    )
    assert outcome.nodes == ["y = Relu (x)"]


def test_reshape_of_an_open_dimension_to_a_number_stays() -> None:
    outcome = remove("g (float[N,3] x) => (float[M,3] y) <int64[2] s = {2, 3}> { y = Reshape(x, s) }", dims={"N": 2})
    assert not outcome.changed


def test_zero_in_the_shape_means_none_with_allowzero() -> None:
    outcome = remove("g (float[N,3] x) => (float[0,3] y) <int64[2] s = {0, 3}> { y = Reshape<allowzero=1>(x, s) }")
    assert not outcome.changed


def test_value_read_twice() -> None:
    outcome = remove("g (float[2] x) => (float[2] y) { a = Identity(x) b = Relu(a) y = Add(a, b) }")
    assert outcome.nodes == ["b = Relu (x)", "y = Add (x, b)"]


def test_graph_output_takes_the_name_over() -> None:
    outcome = remove("g (float[2] x) => (float[2] y) { a = Relu(x) y = Identity(a) }")
    assert outcome.nodes == ["y = Relu (x)"]


def test_graph_output_whose_source_is_read_elsewhere() -> None:
    outcome = remove("g (float[2] x) => (float[2] y, float[2] z) { a = Relu(x) y = Dropout(a) z = Neg(a) }")
    assert outcome.nodes == ["y = Relu (x)", "z = Neg (y)"]


def test_graph_input_as_graph_output_keeps_an_identity() -> None:
    outcome = remove("g (float[2] x) => (float[2] y) { y = Cast<to=1>(x) }")
    assert outcome.nodes == ["y = Identity (x)"]
    again = remove("g (float[2] x) => (float[2] y) { y = Identity(x) }")
    assert not again.changed


def test_readers_of_a_kept_identity_read_its_source() -> None:
    outcome = remove("g (float[2] x) => (float[2] y, float[2] z) { y = Identity(x) z = Relu(y) }")
    assert outcome.nodes == ["y = Identity (x)", "z = Relu (x)"]


def test_weight_as_graph_output_keeps_an_identity() -> None:
    outcome = remove("g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { z = Neg(x) y = Dropout(w) }")
    assert "y = Identity (w)" in outcome.nodes


def test_two_outputs_of_one_value() -> None:
    outcome = remove("g (float[2] x) => (float[2] y, float[2] z) { a = Relu(x) y = Identity(a) z = Identity(a) }")
    assert outcome.nodes == ["y = Relu (x)", "z = Identity (y)"]


def test_graph_output_in_mid_chain() -> None:
    outcome = remove(
        "g (float[2] x) => (float[2] y, float[2] z) { a = Relu(x) y = Identity(a) b = Identity(y) z = Neg(b) }"
    )
    assert outcome.nodes == ["y = Relu (x)", "z = Neg (y)"]


def test_dropout_with_its_mask_used_stays() -> None:
    outcome = remove("g (float[2] x) => (float[2] y, bool[2] m) { a, m = Dropout(x) y = Neg(a) }")
    assert not outcome.changed


def test_dropout_with_its_mask_unused_goes() -> None:
    outcome = remove("g (float[2] x) => (float[2] y) { a, m = Dropout(x) y = Neg(a) }")
    assert outcome.nodes == ["y = Neg (x)"]


def test_max_pool_with_its_indices_used_stays() -> None:
    outcome = remove("g (float[1,1,4] x) => (float[1,1,4] y, int64[1,1,4] i) { y, i = MaxPool<kernel_shape=[1]>(x) }")
    assert not outcome.changed


def test_no_elements() -> None:
    outcome = remove(
        """g (float[N,3] x) => (float[N,3] y) <int64[2] s = {0, 3}, int64[2] ones = {1, 1}>
        { a = Reshape(x, s) b = Tile(a, ones) y = Relu(b) }""",
        dims={"N": 0},
    )
    assert outcome.nodes == ["y = Relu (x)"]


def test_branch_that_gives_an_outer_value_keeps_an_identity() -> None:
    outcome = remove(
        """g (bool c, float[2] x) => (float[2] y)
        { r = Relu(x)
          y = If(c) <
            then_branch = t () => (float[2] a) { a = Dropout(r) },
            else_branch = e () => (float[2] b) { i = Identity(r) b = Neg(i) }> }"""
    )
    node = outcome.model.graph.node(1)
    assert [n.op_type for n in node.attributes["then_branch"].as_graph()] == ["Identity"]
    assert [n.op_type for n in node.attributes["else_branch"].as_graph()] == ["Neg"]
