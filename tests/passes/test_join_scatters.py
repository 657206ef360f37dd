"""Assignments to a part of a tensor need no indices."""

from __future__ import annotations

import pytest

from fusewright.passes.fold_constants import FoldConstants
from fusewright.passes.join_scatters import JoinScatters
from fusewright.passes.remove_dead import RemoveDead

from .helpers import Outcome, rewrite


def assign(extents: str, indices: str, updates: str, attributes: str = "") -> Outcome:
    text = f"""g (float[{extents}] x, float[{updates}] u) => (float[{extents}] y) <{indices}>
    {{ y = ScatterND{attributes}(x, i, u) }}"""
    return rewrite(text, JoinScatters(), RemoveDead())


@pytest.mark.parametrize(
    "extents, indices, updates, left",
    [
        ("4,3", "int64[2,1] i = {1,2}", "2,3", ["Identity", "Slice", "Slice", "Concat"]),
        ("4,3", "int64[2,1] i = {0,1}", "2,3", ["Identity", "Slice", "Concat"]),
        ("4,3", "int64[2,1] i = {-2,-1}", "2,3", ["Identity", "Slice", "Concat"]),
        ("4,3", "int64[4,1] i = {0,1,2,3}", "4,3", ["Identity"]),  # all of it
        ("3,2", "int64[1,1] i = {1}", "1,2", ["Identity", "Slice", "Slice", "Concat"]),
        ("3,2", "int64[1] i = {1}", "2", ["Reshape", "Slice", "Slice", "Concat"]),
        # along two dimensions, the first of which is whole; then along both
        ("2,3", "int64[2,2,2] i = {0,1,0,2,1,1,1,2}", "2,2", ["Identity", "Slice", "Concat"]),
        ("3,3", "int64[2,2,2] i = {1,0,1,1,2,0,2,1}", "2,2", None),
    ],
)
def test_boxes(extents: str, indices: str, updates: str, left: list[str] | None) -> None:
    outcome = assign(extents, indices, updates)
    assert "ScatterND" not in outcome.ops
    assert left is None or sorted(outcome.ops) == sorted(left)


def test_indices_as_exporters_spell_them() -> None:
    text = """g (float[2,5,17] x, float[2,3,16] u) => (float[2,5,17] y)
    <int64[2,1,1] a = {0,1}, int64[3,1] b = {1,2,3}, int64[1] n = {2}, int64[1] m = {-1}, int64[1] start = {1},
     int64[3] shape = {2,3,16}, int64[4] with_one = {2,3,16,1}, int64 zero = {0}, int64 top = {17}, int64 one = {1}>
    {
        c = Range(one, top, one)
        i0 = Expand(a, shape)
        i1 = Expand(b, shape)
        i2 = Expand(c, shape)
        j0 = Unsqueeze(i0, m)
        j1 = Reshape(i1, with_one)
        j2 = Unsqueeze(i2, m)
        i = Concat<axis=-1>(j0, j1, j2)
        y = ScatterND(x, i, u)
    }"""
    outcome = rewrite(text, FoldConstants(limit=64, static=True), JoinScatters(), RemoveDead())
    assert set(outcome.ops) == {"Identity", "Slice", "Concat"}, outcome.reasons


def test_a_range_of_one_that_is_repeated_does_not_count() -> None:
    text = """g (float[5] x, float[2] u) => (float[5] y)
    <int64 a = {1}, int64 b = {2}, int64[1] n = {2}, int64[1] m = {-1}>
    { r = Range(a, b, a) e = Expand(r, n) i = Unsqueeze(e, m) y = ScatterND(x, i, u) }"""
    outcome = rewrite(text, FoldConstants(limit=0, static=True), JoinScatters(), special=False)
    assert "ScatterND" in outcome.ops and any("a place twice" in each for each in outcome.reasons), outcome.reasons


@pytest.mark.parametrize(
    "indices, updates, attributes, reason",
    [
        ("int64[2,1] i = {1,1}", "2,3", "", "a place twice"),
        ("int64[2,1] i = {2,1}", "2,3", "", "count in steps"),
        ("int64[2,1] i = {0,2}", "2,3", "", "count in steps"),
        ("int64[3,1] i = {0,2,1}", "3,3", "", "not known to count up"),
        ("int64[2,2] i = {0,0,1,1}", "2", "", "a place twice, or in another order"),  # a diagonal
        ("int64[2,2,2] i = {0,0,1,0,0,1,1,1}", "2,2", "", "a place twice, or in another order"),  # transposed
        ("int64[2,1] i = {1,2}", "2,3", '<reduction="add">', "adds to what is there"),
        ("int64[0,1] i = {}", "0,3", "", "it is empty"),
    ],
)
def test_refusals(indices: str, updates: str, attributes: str, reason: str) -> None:
    outcome = assign("4,3", indices, updates, attributes)
    assert not outcome.changed and any(reason in each for each in outcome.reasons), outcome.reasons


def test_indices_that_lie_outside_stay() -> None:
    text = """g (float[4,3] x, float[2,3] u) => (float[4,3] y) <int64[2,1] i = {3,4}> { y = ScatterND(x, i, u) }"""
    outcome = rewrite(text, JoinScatters())
    assert not outcome.changed and any("outside" in each for each in outcome.reasons)


def test_computed_indices_and_open_extents_stay() -> None:
    text = "g (float[4,3] x, int64[2,1] i, float[2,3] u) => (float[4,3] y) { y = ScatterND(x, i, u) }"
    assert not rewrite(text, JoinScatters()).changed
    text = "g (float[N,3] x, float[2,3] u) => (float[N,3] y) <int64[2,1] i = {1,2}> { y = ScatterND(x, i, u) }"
    assert not rewrite(text, JoinScatters(), dims={"N": 4}).changed
