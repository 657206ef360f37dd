"""Pictures that are enlarged to a graph output are enlarged along one axis after the other."""

from __future__ import annotations

import pytest

from fusewright.passes.remove_dead import RemoveDead
from fusewright.passes.split_resize import SplitResize

from .helpers import Outcome, rewrite

SIZES = "int64[4] s = {1,3,17,24}"
SCALES = "float[4] s = {1,1,3.5,4}"


def resize(
    attributes: str, told: str, signature: str = "float[1,3,5,6] x", result: str = "float[1,3,17,24] y"
) -> Outcome:
    inputs = "x, , , s" if told.startswith("int64") else "x, , s"
    text = f"g ({signature}) => ({result}) <{told}> {{ y = Resize<{attributes}>({inputs}) }}"
    return rewrite(text, SplitResize(), RemoveDead(), dims={"N": 1})


@pytest.mark.parametrize("told", [SIZES, SCALES])
@pytest.mark.parametrize("place", ["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"])
@pytest.mark.parametrize("mode", ['"linear"', '"cubic", exclude_outside=1'])
def test_two_axes(told: str, place: str, mode: str) -> None:
    outcome = resize(f'mode={mode}, coordinate_transformation_mode="{place}"', told)
    assert outcome.ops == ["Resize", "Resize"], outcome.reasons


def test_axes_are_named() -> None:
    told = "int64[2] s = {24,17}"
    assert resize('mode="linear", axes=[-1,2]', told).ops == ["Resize", "Resize"]
    assert resize('mode="linear", axes=[3,2]', "float[2] s = {4,3.5}").ops == ["Resize", "Resize"]


@pytest.mark.parametrize(
    "attributes, told, result",
    [
        ('mode="nearest"', SIZES, "1,3,17,24"),
        ('mode="linear"', "int64[4] s = {1,3,5,24}", "1,3,5,24"),  # along one axis alone
        ('mode="linear"', "float[4] s = {1,1.2,3.5,4}", "1,3,17,24"),  # channels, though as many, lie elsewhere
        ('mode="linear"', "int64[4] s = {1,3,7,24}", "1,3,7,24"),  # what is made between would be nearly as large
        ('mode="linear", keep_aspect_ratio_policy="not_larger", axes=[2,3]', "int64[2] s = {17,24}", "1,3,17,20"),
    ],
)
def test_others_stay(attributes: str, told: str, result: str) -> None:
    assert not resize(attributes, told, result=f"float[{result}] y").changed


def test_what_does_not_leave_and_open_extents_stay() -> None:
    text = f"""g (float[1,3,5,6] x) => (float[1,3,17,24] y) <{SIZES}>
    {{ r = Resize<mode="linear">(x, , , s) y = Relu(r) }}"""
    assert not rewrite(text, SplitResize()).changed
    assert not resize('mode="linear"', SIZES, "float[N,3,5,6] x", "float[N,3,17,24] y").changed


@pytest.mark.parametrize("dtype", ["uint8", "float16"])
def test_types_that_would_be_rounded_twice_stay(dtype: str) -> None:
    outcome = resize('mode="linear"', SIZES, f"{dtype}[1,3,5,6] x", f"{dtype}[1,3,17,24] y")
    assert not outcome.changed and "it would be rounded twice" in outcome.reasons
