"""Transpose after Transpose -> one or none; Transpose before a product -> inside the product."""

from __future__ import annotations

import pytest

from fusewright.passes.merge_transposes import MergeTransposes
from fusewright.passes.remove_dead import RemoveDead
from fusewright.passes.remove_no_ops import RemoveNoOps

from .helpers import Outcome, rewrite


def merge(text: str, **options: object) -> Outcome:
    return rewrite(text, MergeTransposes(), RemoveNoOps(), RemoveDead(), **options)  # type: ignore[arg-type] # dims


def test_pair_merges() -> None:
    outcome = merge(
        """g (float[2,3,4] x) => (y)
        { a = Transpose<perm=[1,2,0]>(x) y = Transpose<perm=[0,2,1]>(a) }"""
    )
    assert outcome.nodes == ["y = Transpose <perm: ints = [1, 0, 2]> (x)"]


@pytest.mark.parametrize("second", ["<perm=[2,0,1]>", ""])
def test_pair_cancels(second: str) -> None:
    first = "<perm=[1,2,0]>" if second else ""
    outcome = merge(f"g (float[2,3,4] x) => (y) {{ a = Transpose{first}(x) b = Transpose{second}(a) y = Neg(b) }}")
    assert outcome.nodes == ["y = Neg (x)"]


def test_reversal_of_unknown_rank() -> None:
    outcome = merge("g (float[2,3,4] x) => (y) { b = Neg(x) a = Transpose<perm=[1,2,0]>(b) y = Transpose(a) }")
    assert outcome.ops == ["Neg", "Transpose"]
    assert "[0, 2, 1]" in outcome.nodes[1]


def test_chain_of_three() -> None:
    outcome = merge(
        """g (float[2,3,4] x) => (y)
        { a = Transpose<perm=[1,2,0]>(x) b = Transpose<perm=[1,2,0]>(a) c = Transpose<perm=[1,2,0]>(b) y = Neg(c) }"""
    )
    assert outcome.nodes == ["y = Neg (x)"]


def test_first_is_read_elsewhere() -> None:
    outcome = merge("g (float[2,3] x) => (y, u) { a = Transpose(x) u = Neg(a) b = Transpose(a) y = Neg(b) }")
    assert sorted(outcome.nodes) == ["a = Transpose (x)", "u = Neg (a)", "y = Neg (x)"]


def test_first_is_a_graph_output() -> None:
    outcome = merge("g (float[2,3] x) => (y, a) { a = Transpose(x) b = Transpose(a) y = Neg(b) }")
    assert sorted(outcome.nodes) == ["a = Transpose (x)", "y = Neg (x)"]


def test_cancelled_pair_from_input_to_output_keeps_the_name() -> None:
    outcome = merge("g (float[2,3] x) => (float[2,3] y) { a = Transpose(x) y = Transpose(a) }")
    assert outcome.nodes == ["y = Identity (x)"]


@pytest.mark.parametrize(
    "inputs, gemm, flags",
    [
        ("float[3,2] x, float[3,4] w", "Gemm(t, w)", "<transA: int = 1>"),
        ("float[2,3] x, float[3,4] w", "Gemm<transA=1>(t, w)", "<transA: int = 0>"),
        ("float[4,3] x, float[2,3] w", "Gemm(w, t)", "<transB: int = 1>"),
        ("float[3,4] x, float[2,3] w", "Gemm<transB=1>(w, t)", "<transB: int = 0>"),
    ],
)
def test_gemm_takes_the_transpose(inputs: str, gemm: str, flags: str) -> None:
    outcome = merge(f"g ({inputs}) => (y) {{ t = Transpose<perm=[1,0]>(x) y = {gemm} }}")
    assert outcome.ops == ["Gemm"]
    assert flags in outcome.nodes[0]


@pytest.mark.parametrize(
    "types, perm, product",
    [
        ("(float[2,3,4] x) => (y) <float[5,4] w>", "1,0", "MatMul(x, t)"),
        ("(float[3,6] x) => (y) <float[3,4] w>", "1,0", "MatMul(t, x)"),
        ("(float[2,3,4] x) => (y) <float[4,2,5] w>", "1,0,2", "MatMul(x, t)"),
    ],
)
def test_matmul_takes_the_transpose_of_a_constant(types: str, perm: str, product: str) -> None:
    outcome = merge(f"g {types} {{ t = Transpose<perm=[{perm}]>(w) y = {product} }}")
    assert outcome.ops == ["MatMul"]


def test_transposed_constant_that_two_products_share_stays() -> None:
    outcome = merge(
        """g (float[2,4] x) => (y, z) <float[5,4] w>
        { t = Transpose<perm=[1,0]>(w) y = MatMul(x, t) u = Neg(x) z = MatMul(u, t) }"""
    )
    assert not outcome.changed


def test_transpose_of_a_run_time_value_before_matmul_stays() -> None:
    outcome = merge("g (float[2,4] x, float[5,4] w) => (y) { t = Transpose(w) y = MatMul(x, t) }")
    assert not outcome.changed
    assert outcome.reasons == []
