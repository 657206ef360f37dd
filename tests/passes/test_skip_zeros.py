"""Filters lose the taps that only ever meet padding, transforms the imaginary parts that are zero."""

from __future__ import annotations

import pytest

from fusewright.passes.remove_dead import RemoveDead
from fusewright.passes.skip_zeros import SkipZeros

from .helpers import Outcome, rewrite


def crop(picture: str, filters: str, attributes: str, weights: str = "") -> Outcome:
    text = f"""g (float[{picture}] x) => (y) <float[{filters}] w{weights}, float[4] b>
    {{ y = Conv<{attributes}>(x, w, b) }}"""
    return rewrite(text, SkipZeros())


@pytest.mark.parametrize(
    "picture, filters, attributes, left, pads",
    [
        # steps wider than the picture leave the one tap in the middle
        ("1,2,5,5", "4,2,3,3", "pads=[6,6,6,6], dilations=[6,6]", [4, 2, 1, 1], "0, 0, 0, 0"),
        # along one dimension alone
        ("2,2,5,17", "4,2,3,3", "pads=[5,5,5,5], dilations=[5,5]", [4, 2, 1, 3], "0, 5, 0, 5"),
        # one slice of three in three dimensions, and a filter for each channel
        ("1,4,1,6,7", "4,1,3,3,3", "pads=[1,1,1,1,1,1], group=4", [4, 1, 1, 3, 3], "0, 1, 1, 0, 1, 1"),
        # uneven padding: only what stands in front
        ("1,2,9", "4,2,3", "pads=[20,5], dilations=[10]", [4, 2, 2], "10, 5"),
        # steps from pixel to pixel
        ("1,2,3,3", "4,2,3,3", "pads=[5,5,5,5], strides=[2,2], dilations=[4,4]", [4, 2, 1, 1], "1, 1, 1, 1"),
        ("1,2,1,1", "4,2,3,3", "pads=[1,1,1,1]", [4, 2, 1, 1], "0, 0, 0, 0"),
    ],
)
def test_taps_in_the_padding(picture: str, filters: str, attributes: str, left: list[int], pads: str) -> None:
    outcome = crop(picture, filters, attributes)
    assert outcome.ops == ["Conv"]
    assert list(outcome.weight("w_cropped").shape) == left
    assert f"pads: ints = [{pads}]" in outcome.nodes[0]


@pytest.mark.parametrize(
    "picture, filters, attributes",
    [
        ("1,2,2,2", "4,2,3,3", "pads=[1,1,1,1]"),  # each tap meets a pixel somewhere
        ("1,2,5,5", "4,2,3,3", "pads=[4,4,4,4], dilations=[4,4]"),
        ("1,2,5,5", "4,2,1,1", "pads=[1,1,1,1]"),
        ("1,2,7,7", "4,2,3,3", "dilations=[2,2]"),
        ("1,2,0,5", "4,2,3,3", "pads=[6,6,6,6], dilations=[6,6]"),
        ("1,2,N,5", "4,2,3,3", "pads=[6,6,6,6], dilations=[6,6]"),
    ],
)
def test_filters_that_stay(picture: str, filters: str, attributes: str) -> None:
    text = f"g (float[{picture}] x) => (y) <float[{filters}] w> {{ y = Conv<{attributes}>(x, w) }}"
    assert not rewrite(text, SkipZeros(), dims={"N": 5}).changed


@pytest.mark.parametrize(
    "filters, weights, attributes, reason",
    [
        ("x", "", "pads=[6,6,6,6], dilations=[6,6]", "not constant"),
        ("w", "", 'auto_pad="SAME_UPPER", dilations=[6,6]', "auto_pad is SAME_UPPER"),
        ("w", "", "pads=[30,30,30,30], strides=[40,40], dilations=[9,9]", "no tap meets anything"),
        ("v", ", float[1,1,3,3] v = {nan,0,0,0,0,0,0,0,0}", "pads=[6,6,6,6], dilations=[6,6]", "infinite or NaN"),
    ],
)
def test_refusals(filters: str, weights: str, attributes: str, reason: str) -> None:
    text = f"""g (float[1,1,3,3] x) => (y) <float[1,1,3,3] w{weights}> {{ y = Conv<{attributes}>(x, {filters}) }}"""
    outcome = rewrite(text, SkipZeros())
    assert not outcome.changed and any(reason in each for each in outcome.reasons), outcome.reasons


def transform(parts: str, attributes: str = "", axis: int = 2) -> Outcome:
    text = f"""g (float[2,5,1] x) => (float[2,5,2] y) <float[2,5,1] z = {{{parts}}}, int64 a = {{1}}>
    {{ c = Concat<axis={axis}>(x, z) y = DFT{attributes}(c, , a) }}"""
    return rewrite(text, SkipZeros(), RemoveDead())


@pytest.mark.parametrize("attributes", ["", "<inverse=1>"])
def test_the_transform_of_a_real_signal(attributes: str) -> None:
    assert transform(",".join("0" * 10), attributes).ops == ["DFT"]


def test_signals_that_are_not_real() -> None:
    outcome = transform(",".join("0000000001"))
    assert not outcome.changed and any("not known to be zero" in each for each in outcome.reasons)
