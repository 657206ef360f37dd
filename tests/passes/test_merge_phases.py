"""Transposed convolutions of few filters along one dimension become convolutions of as many phases."""

from __future__ import annotations

import pytest

from fusewright.passes.merge_phases import MergePhases
from fusewright.passes.remove_dead import RemoveDead

from .helpers import Outcome, rewrite


def transposed(signal: str, filters: str, attributes: str, bias: str = "", batch_open: bool = False) -> Outcome:
    given = f", float[{bias}] b" if bias else ""
    text = f"""g (float[{signal}] x) => (y) <float[{filters}] w{given}>
    {{ y = ConvTranspose<{attributes}>(x, w{", b" if bias else ""}) }}"""
    return rewrite(text, MergePhases(), RemoveDead(), dims={"N": 3} if batch_open else None)


@pytest.mark.parametrize(
    "signal, filters, attributes, bias",
    [
        ("2,16,33", "16,1,20", "strides=[10]", ""),  # half a filter over each other
        ("1,5,17", "5,1,16", "strides=[4], pads=[6,6]", "1"),  # cut off at both ends, by no whole number of steps
        ("1,5,17", "5,2,7", "strides=[3], pads=[1,2]", "2"),  # unlike phases, two filters
        ("1,3,1", "3,1,9", "strides=[4], pads=[0,5]", ""),  # one input
        ("1,3,8", "3,1,4", "strides=[8], output_padding=[3]", "1"),  # steps wider than the filter
        ("1,3,8", "3,1,8", "strides=[8]", ""),  # side by side
        ("1,3,9", "3,1,24", "strides=[8], pads=[17,11]", ""),  # more than two steps are cut off
    ],
)
def test_phases_become_channels(signal: str, filters: str, attributes: str, bias: str) -> None:
    outcome = transposed(signal, filters, attributes, bias)
    assert outcome.ops == ["Conv", "Reshape", "Transpose", "Reshape", "Slice"], outcome.reasons


@pytest.mark.parametrize(
    "signal, filters, attributes, reason",
    [
        ("1,4,9", "4,16,4", "strides=[2]", "fills its vectors"),
        ("1,4,9", "4,1,16", 'strides=[8], auto_pad="SAME_UPPER"', "its pads follow"),
        ("1,4,9", "4,1,16", "strides=[8], output_shape=[72]", "its pads follow"),
        ("1,4,9", "4,1,16", "strides=[1]", None),
        ("1,4,9", "4,1,16", "strides=[8], group=2", None),
        ("1,4,9", "4,1,16", "strides=[8], dilations=[2]", None),
        ("1,4,9,5", "4,1,16,16", "strides=[8,8]", None),
    ],
)
def test_others_stay(signal: str, filters: str, attributes: str, reason: str | None) -> None:
    outcome = transposed(signal, filters, attributes)
    assert not outcome.changed and (reason is None or any(reason in each for each in outcome.reasons))


def test_open_extents_and_computed_filters_stay() -> None:
    assert not transposed("N,4,9", "4,1,16", "strides=[8]", batch_open=True).changed
    text = "g (float[1,4,9] x, float[4,1,16] w) => (y) { y = ConvTranspose<strides=[8]>(x, w) }"
    outcome = rewrite(text, MergePhases())
    assert not outcome.changed and "the filters are not constant" in outcome.reasons
