"""Gather of known neighbouring rows -> Slice."""

from __future__ import annotations

import pytest

from fusewright.passes.slice_gathers import SliceGathers

from .helpers import rewrite


@pytest.mark.parametrize("index, axis", [("int64 i = {2}", 0), ("int64 i = {-1}", 1), ("int32 i = {0}", -1)])
def test_one_row(index: str, axis: int) -> None:
    outcome = rewrite(f"g (float[3,4,5] x) => (y) <{index}> {{ y = Gather<axis={axis}>(x, i) }}", SliceGathers())
    assert outcome.ops == ["Slice", "Squeeze"]


@pytest.mark.parametrize("index", ["[1] i = {2}", "[2] i = {1, 2}", "[2] i = {-2, -1}", "[2] i = {1, -1}"])
def test_rows_side_by_side(index: str) -> None:
    outcome = rewrite(f"g (float[3,4,5] x) => (y) <int64{index}> {{ y = Gather(x, i) }}", SliceGathers())
    assert outcome.ops == ["Slice"]


@pytest.mark.parametrize("index", ["[2] i = {2, 1}", "[2] i = {0, 2}", "[2,1] i = {0, 1}", "[0] i = {}"])
def test_other_rows_stay(index: str) -> None:
    outcome = rewrite(f"g (float[3,4,5] x) => (y) <int64{index}> {{ y = Gather(x, i) }}", SliceGathers())
    assert not outcome.changed


def test_computed_index_and_open_extents_stay() -> None:
    assert not rewrite("g (float[3,4] x, int64 i) => (y) { y = Gather(x, i) }", SliceGathers()).changed
    text = "g (float[N,4] x) => (y) <int64 i = {0}> { y = Gather(x, i) }"
    assert not rewrite(text, SliceGathers(), dims={"N": 3}).changed
