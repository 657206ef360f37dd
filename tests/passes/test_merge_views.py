"""view(view(x)) -> Reshape(x), or nothing; Transpose of extents of 1 -> Reshape."""

from __future__ import annotations

import pytest

from fusewright.passes.merge_views import MergeViews

from .helpers import Outcome, rewrite


def merge(text: str, **options: object) -> Outcome:
    return rewrite(text, MergeViews(), **options)  # type: ignore[arg-type] # dims and special


CONSTANTS = """<int64[2] s = {6, 4}, int64[3] t = {4, 3, 2}, int64[3] copies = {0, 0, -1}, int64[2] first = {0, -1},
  int64[1] one = {1}, int64[1] flat = {-1}, int64[2] two = {0, 3}, int64[1] zero = {0}, int64[1] three = {3}>"""


@pytest.mark.parametrize(
    "chain, result",
    [
        ("a = Reshape(x, s) y = Reshape(a, t)", "Reshape (x, view_4x3x2)"),
        ("a = Flatten<axis=1>(x) y = Reshape(a, t)", "Reshape (x, view_4x3x2)"),
        ("a = Unsqueeze(x, one) y = Reshape(a, t)", "Reshape (x, view_4x3x2)"),
        ("a = Reshape(x, t) b = Reshape(a, s) y = Reshape(b, t)", "Reshape (x, view_4x3x2)"),
        ("a = Reshape(x, t) y = Unsqueeze(a, two)", "Reshape (x, view_1x4x3x1x2)"),
        ("a = Unsqueeze(x, zero) y = Unsqueeze(a, three)", "Reshape (x, view_1x2x3x1x4)"),
        ("a = Unsqueeze(x, zero) y = Flatten<axis=2>(a)", "Reshape (x, view_2x12)"),
        ("a = Unsqueeze(x, zero) y = Reshape(a, flat)", "Reshape (x, view_24)"),
    ],
)
def test_chain_becomes_one_reshape(chain: str, result: str) -> None:
    outcome = merge(f"g (float[2,3,4] x) => (y) {CONSTANTS} {{ {chain} }}")
    assert outcome.nodes == [f"y = {result}"]


@pytest.mark.parametrize(
    "chain",
    [
        "a = Reshape(x, s) b = Reshape(a, back)",
        "a = Unsqueeze(x, one) b = Squeeze(a, one)",
        "a = Unsqueeze(x, one) c = Reshape(a, s) b = Reshape(c, back)",
    ],
)
def test_chain_that_comes_back_goes(chain: str) -> None:
    constants = CONSTANTS.replace(">", ", int64[3] back = {2, 3, 4}>")
    outcome = merge(f"g (float[2,3,4] x) => (float[2,3,4] y) {constants} {{ {chain} y = Neg(b) }}")
    assert outcome.nodes == ["y = Neg (x)"]


def test_middle_is_read_elsewhere() -> None:
    outcome = merge(f"g (float[2,3,4] x) => (y, u) {CONSTANTS} {{ a = Reshape(x, s) u = Neg(a) y = Reshape(a, t) }}")
    assert outcome.nodes == ["a = Reshape (x, s)", "u = Neg (a)", "y = Reshape (x, view_4x3x2)"]


def test_middle_is_a_graph_output() -> None:
    outcome = merge(f"g (float[2,3,4] x) => (y, a) {CONSTANTS} {{ a = Reshape(x, s) y = Reshape(a, t) }}")
    assert outcome.nodes == ["a = Reshape (x, s)", "y = Reshape (x, view_4x3x2)"]


def test_chain_from_input_to_output_that_changes_nothing_keeps_the_name() -> None:
    outcome = merge(
        f"g (float[2,3,4] x) => (float[2,3,4] y) {CONSTANTS} {{ a = Unsqueeze(x, one) y = Squeeze(a, one) }}"
    )
    assert outcome.nodes == ["y = Identity (x)"]


OPEN = "g (float[N,3,W] x) => (y)"


@pytest.mark.parametrize(
    "chain, result",
    [
        ("a = Reshape(x, first) y = Reshape(a, first)", "Reshape (x, view_0xm1)"),
        ("a = Reshape(x, s) y = Reshape(a, t)", "Reshape (x, view_4x3x2)"),
        ("a = Flatten(x) y = Reshape(a, flat)", "Reshape (x, view_m1)"),
        ("a = Reshape(x, copies) y = Reshape(a, first)", "Reshape (x, view_0xm1)"),
    ],
)
def test_open_dimensions(chain: str, result: str) -> None:
    outcome = merge(f"{OPEN} {CONSTANTS} {{ {chain} }}", dims={"N": 2, "W": 4})
    assert outcome.nodes == [f"y = {result}"]


def test_copy_of_an_unknown_extent_stays() -> None:
    outcome = merge(f"{OPEN} {CONSTANTS} {{ a = Squeeze(x) y = Reshape(a, first) }}", dims={"N": 2, "W": 4})
    assert not outcome.changed


def test_target_that_a_run_computes_stays() -> None:
    outcome = merge(
        f"g (float[2,3,4] x, int64[2] r) => (float[A,B] y) {CONSTANTS} {{ a = Flatten(x) y = Reshape(a, r) }}"
    )
    assert not outcome.changed


def test_no_elements() -> None:
    outcome = merge(
        """g (float[0,3,4] x) => (float[4,0,3] y) <int64[2] s = {0, 12}, int64[3] t = {4, 0, 3}>
        { a = Reshape<allowzero=1>(x, s) y = Reshape<allowzero=1>(a, t) }"""
    )
    assert outcome.nodes == ["y = Reshape <allowzero: int = 1> (x, view_4x0x3)"]


@pytest.mark.parametrize(
    "shape, perm, ops",
    [
        ("1,3,4", "1,0,2", ["Reshape"]),
        ("2,1,1,4", "0,3,1,2", ["Reshape"]),
        ("1,1,4", "1,0,2", ["Identity"]),
        ("2,3,1", "1,0,2", ["Transpose"]),
        ("N,1,1", "0,2,1", ["Transpose"]),
        ("0,1,3", "1,0,2", ["Reshape"]),
    ],
)
def test_transpose_of_ones_is_a_view(shape: str, perm: str, ops: list[str]) -> None:
    outcome = merge(f"g (float[{shape}] x) => (y) {{ y = Transpose<perm=[{perm}]>(x) }}", dims={"N": 2})
    assert outcome.ops == ops


def test_equal_targets_share_one_constant() -> None:
    outcome = merge(
        f"""g (float[2,3,4] x, float[2,3,4] z) => (y, u) {CONSTANTS}
        {{ a = Reshape(x, s) y = Reshape(a, t) b = Reshape(z, s) u = Reshape(b, t) }}"""
    )
    assert outcome.nodes == ["y = Reshape (x, view_4x3x2)", "u = Reshape (z, view_4x3x2)"]
