"""Rows that are groups of channels -> GroupNormalization -> means and variances of channels."""

from __future__ import annotations

import pytest

from fusewright.passes.expand_functions import ExpandFunctions
from fusewright.passes.find_groups import FindGroups
from fusewright.passes.fold_constants import FoldConstants

from .helpers import Outcome, rewrite

WEIGHTS = "<int64[3] rows = {0, 3, -1}, int64[4] back = {2, 6, 4, 5}, float[3] one = {1,1,1}, float[3] zero = {0,0,0}>"


def exported(rows: str = "x, rows", parameters: str = "one, zero", back: str = "b, back") -> str:
    return f"""g (float[2,6,4,5] x, float[3] s) => (float[2,6,4,5] y) {WEIGHTS}
    {{ a = Reshape({rows}) b = InstanceNormalization<epsilon=0.01>(a, {parameters}) y = Reshape({back}) }}"""


def found(text: str) -> Outcome:
    return rewrite(text, FoldConstants(static=True), FindGroups())


def expanded(text: str) -> Outcome:
    return rewrite(text, FoldConstants(static=True), FindGroups(), ExpandFunctions())


def test_as_exporters_spell_it() -> None:
    outcome = found(exported())
    assert outcome.ops == ["GroupNormalization"]
    assert "num_groups: int = 3" in outcome.nodes[0] and "0.01" in outcome.nodes[0]


def test_scale_of_a_group_is_that_of_its_channels() -> None:
    weights = "float[3] p = {1,-2,3}, float[3] q = {4,5,6}, float[3] one"
    outcome = found(exported(parameters="p, q").replace("float[3] one", weights))
    assert outcome.ops == ["GroupNormalization"]
    assert outcome.weight("y_scale").tolist() == [1, 1, -2, -2, 3, 3]
    assert outcome.weight("y_bias").tolist() == [4, 4, 5, 5, 6, 6]


@pytest.mark.parametrize(
    "text",
    [
        exported(parameters="s, zero"),  # not constant
        exported().replace("{2, 6, 4, 5}", "{2, 6, 5, 4}").replace("[2,6,4,5] y", "[2,6,5,4] y"),  # another shape
        exported().replace("{0, 3, -1}", "{1, 3, -1}"),  # groups of both pictures at once
    ],
)
def test_what_is_none(text: str) -> None:
    assert "InstanceNormalization" in found(text).ops


@pytest.mark.parametrize("shape", ["2,6,4,5", "2,6,7", "2,6,1,1", "1,6,2,3,2"])
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_means_and_variances_of_channels(shape: str, groups: int) -> None:
    outcome = expanded(
        f"""g (float[{shape}] x, float[6] s, float[6] b) => (float[{shape}] y)
        {{ y = GroupNormalization<num_groups={groups}, epsilon=0.1>(x, s, b) }}"""
    )
    assert outcome.ops.count("ReduceMean") == (2 if groups == 6 else 4)


def test_channels_alone() -> None:
    text = """g (float[2,6] x, float[6] s, float[6] b) => (float[2,6] y)
    { y = GroupNormalization<num_groups=2>(x, s, b) }"""
    assert expanded(text).ops.count("ReduceMean") == 2


def test_parameters_that_change_nothing_cost_nothing() -> None:
    outcome = expanded(exported())
    assert outcome.ops.count("Add") == 2  # of the variances of channels and of epsilon; no bias
    assert outcome.ops[-2:] == ["Mul", "Identity"]


def test_each_channel_by_itself() -> None:
    text = "g (float[2,6,9] x, float[6] s, float[6] b) => (float[2,6,9] y) { y = InstanceNormalization(x, s, b) }"
    assert expanded(text).ops.count("ReduceMean") == 2
