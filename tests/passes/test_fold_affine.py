"""Normalisations and constant scales go into the weights of the product before them."""

from __future__ import annotations

import numpy as np
import pytest

from fusewright.graph.decisions import Log
from fusewright.graph.text import parse_model
from fusewright.passes.fold_affine import FoldAffine
from fusewright.passes.remove_dead import RemoveDead

from .helpers import Outcome, rewrite

STATS = "float[6] s, float[6] b, float[6] m, float[6] v = {1, 1, 2, 2, 3, 3}"


def fold(text: str, **options: object) -> Outcome:
    return rewrite(text, FoldAffine(), RemoveDead(), **options)  # type: ignore[arg-type] # dims and special


def test_batch_norm_goes_into_conv() -> None:
    outcome = fold(
        f"""g (float[1,4,8,8] x) => (float[1,6,8,8] y)
        <float[6,4,3,3] w, float[6] c, {STATS}>
        {{ z = Conv<pads=[1,1,1,1]>(x, w, c)
           y = BatchNormalization<epsilon=0.1>(z, s, b, m, v) }}"""
    )
    assert outcome.nodes == ["y = Conv <pads: ints = [1, 1, 1, 1]> (x, w_folded, c_folded)"]
    assert set(outcome.model.graph.initializers) == {"w_folded", "c_folded"}


def test_batch_norm_goes_into_grouped_conv_without_bias_of_any_rank() -> None:
    for spatial in ([9], [5, 4], [3, 4, 5]):
        shape = ",".join(map(str, spatial))
        ones = ",".join("1" for _ in spatial)
        outcome = fold(
            f"""g (float[2,4,{shape}] x) => (float[2,6,{shape}] y) <float[6,2,{ones}] w, {STATS}>
            {{ z = Conv<group=2>(x, w)
               y = BatchNormalization(z, s, b, m, v) }}"""
        )
        assert outcome.nodes == ["y = Conv <group: int = 2> (x, w_folded, w_bias)"]


@pytest.mark.parametrize("groups", [1, 2])
def test_batch_norm_goes_into_transposed_conv(groups: int) -> None:
    outcome = fold(
        f"""g (float[1,4,5,5] x) => (float[1,6,11,11] y) <float[4,{6 // groups},3,3] w, {STATS}>
        {{ z = ConvTranspose<group={groups}, strides=[2,2]>(x, w)
           y = BatchNormalization(z, s, b, m, v) }}"""
    )
    assert outcome.ops == ["ConvTranspose"]


@pytest.mark.parametrize("trans", [0, 1])
@pytest.mark.parametrize("bias", ["", ", c", ", r", ", k"])
def test_batch_norm_goes_into_gemm_with_its_factors(trans: int, bias: str) -> None:
    weight = "float[6,5] w" if trans else "float[5,6] w"
    outcome = fold(
        f"""g (float[3,5] x) => (float[3,6] y)
        <{weight}, float[6] c, float[1,6] r, float k, {STATS}>
        {{ z = Gemm<transB={trans}, alpha=0.5, beta=2.0>(x, w{bias})
           y = BatchNormalization(z, s, b, m, v) }}"""
    )
    assert outcome.ops == ["Gemm"]
    assert "beta" not in outcome.nodes[0] and "alpha" in outcome.nodes[0]


@pytest.mark.parametrize("add", ["", "Add(z0, c)", "Add(c, z0)"])
def test_batch_norm_goes_into_matmul(add: str) -> None:
    middle = f"z = {add}" if add else "z = Identity(z0)"
    text = f"""g (float[3,5] x) => (float[3,6] y) <float[5,6] w, float[6] c, {STATS}>
        {{ z0 = MatMul(x, w)
           {middle}
           y = BatchNormalization(z, s, b, m, v) }}"""
    if not add:
        text = text.replace(middle, "").replace("(z,", "(z0,")
    outcome = fold(text)
    assert outcome.ops == ["MatMul", "Add"]


def test_batch_norm_over_another_axis_than_the_products_stays_apart() -> None:
    outcome = fold(
        f"""g (float[2,6,5] x) => (float[2,6,6] y) <float[5,6] w, {STATS}>
        {{ z = MatMul(x, w)
           y = BatchNormalization(z, s, b, m, v) }}"""
    )
    assert outcome.ops == ["MatMul", "Mul", "Add"]
    assert any("channel axis" in reason for reason in outcome.reasons)


CONSTANTS = ["Mul(z, k)", "Mul(k, z)", "Add(z, k)", "Add(k, z)", "Sub(z, k)", "Sub(k, z)", "Div(z, k)"]


@pytest.mark.parametrize("consumer", CONSTANTS)
@pytest.mark.parametrize("shape", ["[6,1,1]", "[1,6,1,1]", "", "[1]", "[1,1,1]"])
def test_constant_goes_into_conv(consumer: str, shape: str) -> None:
    outcome = fold(
        f"""g (float[1,4,4,4] x) => (float[1,6,4,4] y) <float[6,4,1,1] w, float[6] c, float{shape} k>
        {{ z = Conv(x, w, c)
           y = {consumer} }}"""
    )
    assert outcome.ops == ["Conv"]


@pytest.mark.parametrize("consumer", CONSTANTS)
@pytest.mark.parametrize("shape", ["[6]", "[1,6]", ""])
def test_constant_goes_into_gemm(consumer: str, shape: str) -> None:
    outcome = fold(
        f"""g (float[3,5] x) => (float[3,6] y) <float[5,6] w, float[6] c, float{shape} k>
        {{ z = Gemm(x, w, c)
           y = {consumer} }}"""
    )
    assert outcome.ops == ["Gemm"]


@pytest.mark.parametrize("consumer", CONSTANTS)
@pytest.mark.parametrize("shape", ["[6]", "[1,1,6]", ""])
def test_constant_goes_into_matmul_and_bias(consumer: str, shape: str) -> None:
    outcome = fold(
        f"""g (float[2,3,5] x) => (float[2,3,6] y) <float[5,6] w, float[6] c, float{shape} k>
        {{ p = MatMul(x, w)
           z = Add(c, p)
           y = {consumer} }}"""
    )
    assert outcome.ops == ["MatMul", "Add"]


def test_shift_of_a_lone_matmul_stays_an_add() -> None:
    outcome = fold("g (float[3,5] x) => (float[3,6] y) <float[5,6] w, float[6] k> { z = MatMul(x, w) y = Add(z, k) }")
    assert not outcome.changed


def test_chain_collapses_in_one_run() -> None:
    outcome = fold(
        f"""g (float[1,4,4,4] x) => (float[1,6,4,4] y) <float[6,4,1,1] w, float[6,1,1] k, float[1] h, {STATS}>
        {{ a = Conv(x, w)
           n = BatchNormalization(a, s, b, m, v)
           p = Mul(k, n)
           q = Sub(p, h)
           y = Div(q, h) }}"""
    )
    assert outcome.ops == ["Conv"]
    assert len(outcome.model.graph.initializers) == 2


@pytest.mark.parametrize(
    "shape, why",
    [
        ("[4]", "more than the channel"),
        ("[6,4,4]", "more than the channel"),
        ("[2,6,1,1]", "more than"),
        ("[1,1,6,1,1]", "rank"),
    ],
)
def test_constant_that_is_not_by_channel_stays(shape: str, why: str) -> None:
    full = {"[2,6,1,1]": "[2,6,4,4]", "[1,1,6,1,1]": "[1,1,6,4,4]"}.get(shape, "[1,6,4,4]")
    outcome = fold(
        f"""g (float[1,4,4,4] x) => (float{full} y) <float[6,4,1,1] w, float{shape} k>
        {{ z = Conv(x, w)
           y = Mul(z, k) }}"""
    )
    assert not outcome.changed
    assert why in outcome.reasons[0]


def test_constant_that_widens_one_channel_stays() -> None:
    outcome = fold(
        """g (float[1,4,4,4] x) => (float[1,6,4,4] y) <float[1,4,1,1] w, float[6,1,1] k>
        { z = Conv(x, w)
          y = Mul(z, k) }"""
    )
    assert not outcome.changed
    assert "widens" in outcome.reasons[0]


def test_matmul_of_unknown_rank_takes_a_vector_but_no_matrix() -> None:
    def text(shape: str) -> str:
        return f"""g (float[3,5] x, int64[2] to) => (float[3,6] y) <float[5,6] w, float{shape} k>
        {{ r = Reshape(x, to)
           z = MatMul(r, w)
           y = Mul(z, k) }}"""

    for shape, folds in (("[6]", True), ("[1,6]", False)):
        model = parse_model(text(shape))
        assert FoldAffine().run(model, Log()) is folds


def test_value_read_twice_stays() -> None:
    outcome = fold(
        """g (float[1,4,4,4] x) => (float[1,6,4,4] y) <float[6,4,1,1] w, float[6,1,1] k>
        { z = Conv(x, w)
          a = Mul(z, k)
          y = Add(a, z) }"""
    )
    assert not outcome.changed
    assert "read elsewhere" in outcome.reasons[0]


def test_graph_output_in_mid_chain_stays() -> None:
    outcome = fold(
        """g (float[1,4,4,4] x) => (float[1,6,4,4] y, float[1,6,4,4] z) <float[6,4,1,1] w, float[6,1,1] k>
        { z = Conv(x, w)
          y = Mul(z, k) }"""
    )
    assert not outcome.changed
    assert "graph output" in outcome.reasons[0]


def test_weight_shared_by_two_products_stays_for_the_other() -> None:
    outcome = fold(
        """g (float[1,4,4,4] x) => (float[1,6,4,4] y, float[1,6,4,4] q) <float[6,4,1,1] w, float[6,1,1] k>
        { z = Conv(x, w)
          y = Mul(z, k)
          q = Conv(x, w) }"""
    )
    assert outcome.nodes == ["y = Conv (x, w_folded)", "q = Conv (x, w)"]


def test_both_products_of_one_weight_fold_apart() -> None:
    outcome = fold(
        """g (float[1,4,4,4] x) => (float[1,6,4,4] y, float[1,6,4,4] q) <float[6,4,1,1] w, float[6,1,1] k>
        { z = Conv(x, w)
          y = Mul(z, k)
          p = Conv(x, w)
          q = Add(p, k) }"""
    )
    assert outcome.ops == ["Conv", "Conv"]


def test_weight_that_is_a_graph_input_stays() -> None:
    outcome = fold(
        """g (float[1,4,4,4] x, float[6,4,1,1] w) => (float[1,6,4,4] y) <float[6,1,1] k>
        { z = Conv(x, w)
          y = Mul(z, k) }"""
    )
    assert not outcome.changed
    assert "not constant" in outcome.reasons[0]


def test_weight_that_is_a_graph_output_keeps_its_numbers() -> None:
    outcome = fold(
        """g (float[1,2,4,4] x) => (float[1,1,4,4] y, float[1,2,1,1] w) <float[1,2,1,1] w = {1, 2}>
        { k = Constant<value = float {3}>()
          z = Conv(x, w)
          y = Mul(z, k) }"""
    )
    assert outcome.ops == ["Conv"]
    assert outcome.weight("w").tolist() == [[[[1]], [[2]]]]
    assert outcome.weight("w_folded").tolist() == [[[[3]], [[6]]]]


def test_scale_by_zero_folds_but_division_by_zero_stays() -> None:
    text = """g (float[1,2,4,4] x) => (float[1,1,4,4] y) <float[1,2,1,1] w, float k = {0}>
        { z = Conv(x, w)
          y = OP(z, k) }"""
    assert fold(text.replace("OP", "Mul")).ops == ["Conv"]
    outcome = fold(text.replace("OP", "Div"))
    assert not outcome.changed
    assert "not be finite" in outcome.reasons[0]


def test_half_precision_that_would_be_lost_stays() -> None:
    def bits(number: float) -> int:  # the text syntax takes a float16 as its bits
        return int(np.float16(number).view(np.uint16))

    def text(k: float) -> str:
        return f"""g (float16[1,2,4,4] x) => (float16[1,1,4,4] y)
        <float16[1,2,1,1] w = {{{bits(0.001)}, {bits(0.002)}}}, float16 k = {{{bits(k)}}}>
        {{ z = Conv(x, w)
           y = Mul(z, k) }}"""

    assert fold(text(0.5)).ops == ["Conv"]
    outcome = fold(text(0.0001))
    assert not outcome.changed
    assert "precision" in outcome.reasons[0]


def test_integer_products_stay() -> None:
    outcome = fold(
        """g (int32[2,3] x) => (int32[2,2] y) <int32[3,2] w, int32 k = {3}>
        { z = MatMul(x, w)
          y = Mul(z, k) }"""
    )
    assert not outcome.changed


def test_training_batch_norm_stays() -> None:
    outcome = fold(
        f"""g (float[1,4,4,4] x) => (float[1,6,4,4] y) <float[6,4,1,1] w, {STATS}>
        {{ z = Conv(x, w)
           y, rm, rv = BatchNormalization<training_mode=1>(z, s, b, m, v) }}"""
    )
    assert outcome.ops == ["Conv", "BatchNormalization"]
    assert "training" in outcome.reasons[0]


def test_batch_norm_with_computed_statistics_stays() -> None:
    outcome = fold(
        """g (float[1,6,4,4] x, float[6] s) => (float[1,6,4,4] y) <float[6] b, float[6] m, float[6] v = {1,1,2,2,3,3}>
        { y = BatchNormalization(x, s, b, m, v) }"""
    )
    assert not outcome.changed


@pytest.mark.parametrize("shape", ["3,6", "3,6,2", "3,6,2,2", "N,6,H,2"])
def test_lone_batch_norm_becomes_mul_add(shape: str) -> None:
    outcome = fold(
        f"""g (float[{shape}] x) => (float[{shape}] y) <{STATS}>
        {{ y = BatchNormalization(x, s, b, m, v) }}""",
        dims={"N": 2, "H": 3},
    )
    assert outcome.nodes == ["y_inner = Mul (x, y_scale)", "y = Add (y_inner, y_shift)"]
    assert outcome.weight("y_scale").ndim == shape.count(",")


def test_zero_batch() -> None:
    outcome = fold(
        f"""g (float[N,4,4,4] x) => (float[N,6,4,4] y) <float[6,4,1,1] w, {STATS}>
        {{ z = Conv(x, w)
           y = BatchNormalization(z, s, b, m, v) }}""",
        dims={"N": 0},
    )
    assert outcome.ops == ["Conv"]


def test_inside_a_branch() -> None:
    outcome = fold(
        """g (bool c, float[1,2,4,4] x) => (float[1,3,4,4] y) <float[3,2,1,1] w, float[3,1,1] k>
        { y = If(c) <
            then_branch = t () => (float[1,3,4,4] a) { p = Conv(x, w) a = Mul(p, k) },
            else_branch = e () => (float[1,3,4,4] b) { b = Conv(x, w) }> }"""
    )
    branch = outcome.model.graph.node(0).attributes["then_branch"].as_graph()
    assert [node.op_type for node in branch] == ["Conv"]


def test_values_are_exact_products_rounded_once() -> None:
    outcome = fold(
        """g (float[1,1,2,2] x) => (float[1,1,2,2] y) <float[1,1,1,1] w = {0.1}, float[1] c = {0.3}, float k = {0.7}>
        { z = Conv(x, w, c)
          y = Mul(z, k) }"""
    )
    exact = np.float64(np.float32(0.1)) * np.float64(np.float32(0.7))
    assert outcome.weight("w_folded").reshape(-1)[0] == np.float32(exact)
