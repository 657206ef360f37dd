"""Conv(Pad(x)) -> Conv(x), and pooling where its own padding means the same."""

from __future__ import annotations

import pytest

from fusewright.passes.fold_pad import FoldPad

from .helpers import Outcome, rewrite

PADS = "int64[8] p = {0,0,1,2,0,0,3,1}"


def fold(text: str, **options: object) -> Outcome:
    return rewrite(text, FoldPad(), **options)  # type: ignore[arg-type] # dims and special


@pytest.mark.parametrize("value", ["", ", zero"])
@pytest.mark.parametrize(
    "own, merged", [("", "1, 2, 3, 1"), ("<pads=[1,0,1,0]>", "2, 2, 4, 1"), ('<auto_pad="VALID">', "1, 2, 3, 1")]
)
def test_conv_takes_the_pads(value: str, own: str, merged: str) -> None:
    outcome = fold(
        f"""g (float[1,2,5,5] x) => (y) <float[3,2,3,3] w, {PADS}, float zero = {{0}}>
        {{ z = Pad(x, p{value})
           y = Conv{own}(z, w) }}"""
    )
    assert outcome.nodes == [f"y = Conv <pads: ints = [{merged}]> (x, w)"]


def test_conv_keeps_its_other_attributes_and_bias() -> None:
    outcome = fold(
        f"""g (float[1,2,5,5] x) => (y) <float[4,1,3,3] w, float[4] c, {PADS}>
        {{ z = Pad(x, p)
           y = Conv<group=2, strides=[2,1], dilations=[1,2]>(z, w, c) }}"""
    )
    assert outcome.ops == ["Conv"]
    assert all(word in outcome.nodes[0] for word in ("group", "strides", "dilations", "c)"))


def test_axes_as_an_input_and_counted_from_the_end() -> None:
    outcome = fold(
        """g (float[1,2,5,5] x) => (y) <float[3,2,3,3] w, int64[4] p = {1,2,3,4}, int64[2] axes = {-1, 2}>
        { z = Pad(x, p, , axes)
          y = Conv(z, w) }"""
    )
    assert outcome.nodes == ["y = Conv <pads: ints = [2, 1, 4, 3]> (x, w)"]


def test_open_dimensions() -> None:
    outcome = fold(
        f"""g (float[N,2,H,W] x) => (float[N,3,A,B] y) <float[3,2,3,3] w, {PADS}>
        {{ z = Pad(x, p)
           y = Conv(z, w) }}""",
        dims={"N": 2, "H": 3, "W": 4},
    )
    assert outcome.ops == ["Conv"]


@pytest.mark.parametrize(
    "pad, conv, why",
    [
        ("Pad(x, p, one)", "Conv(z, w)", "not 0"),
        ('Pad<mode="reflect">(x, p)', "Conv(z, w)", "not a constant number"),
        ("Pad(x, crop)", "Conv(z, w)", "crops"),
        ("Pad(x, batch)", "Conv(z, w)", "batch or channel"),
        ("Pad(x, p)", 'Conv<auto_pad="SAME_UPPER">(z, w)', "auto_pad"),
    ],
)
def test_conv_refuses(pad: str, conv: str, why: str) -> None:
    outcome = fold(
        f"""g (float[1,2,5,5] x) => (y)
        <float[3,2,3,3] w, {PADS}, int64[8] crop = {{0,0,-1,1,0,0,1,1}},
         int64[8] batch = {{1,0,1,1,0,0,1,1}}, float one = {{1}}>
        {{ z = {pad}
           y = {conv} }}"""
    )
    assert not outcome.changed
    assert why in outcome.reasons[0]


def test_pads_that_a_run_computes_stay() -> None:
    outcome = fold(
        """g (float[1,2,5,5] x, int64[8] p) => (float[1,3,A,B] y) <float[3,2,3,3] w>
        { z = Pad(x, p)
          y = Conv(z, w) }"""
    )
    assert not outcome.changed
    assert "not constant" in outcome.reasons[0]


def test_padded_value_read_twice_stays() -> None:
    outcome = fold(
        f"""g (float[1,2,5,5] x) => (y, u) <float[3,2,3,3] w, {PADS}>
        {{ z = Pad(x, p)
           u = Neg(z)
           y = Conv(z, w) }}"""
    )
    assert not outcome.changed
    assert "read elsewhere" in outcome.reasons[0]


SMALL = "int64[8] p = {0,0,1,0,0,0,1,2}, float zero = {0}, float low = {-inf}, float one = {1}"


@pytest.mark.parametrize("own", ["", ", pads=[1,1,1,0], count_include_pad=1", ", strides=[2,2]"])
def test_average_pool_counts_the_padding(own: str) -> None:
    outcome = fold(
        f"""g (float[1,2,5,5] x) => (y) <{SMALL}>
        {{ z = Pad(x, p)
           y = AveragePool<kernel_shape=[3,3]{own}>(z) }}"""
    )
    assert outcome.ops == ["AveragePool"]
    assert "count_include_pad: int = 1" in outcome.nodes[0]


@pytest.mark.parametrize(
    "own, why",
    [
        (", pads=[1,1,1,0]", "does not count"),
        (", ceil_mode=1", "ceil_mode"),
        (", dilations=[1,2]", "dilated"),
        (", pads=[2,0,0,0], count_include_pad=1", "padding alone"),
    ],
)
def test_average_pool_refuses(own: str, why: str) -> None:
    outcome = fold(
        f"""g (float[1,2,5,5] x) => (y) <{SMALL}>
        {{ z = Pad(x, p)
           y = AveragePool<kernel_shape=[3,3]{own}>(z) }}"""
    )
    assert not outcome.changed
    assert why in outcome.reasons[0]


@pytest.mark.parametrize("before", ["Relu(x)", "Sigmoid(x)", "Clip(x, zero)", "Abs(x)"])
@pytest.mark.parametrize("own", ["", ", pads=[1,0,1,0]", ", strides=[2,2]"])
def test_max_pool_takes_zeros_where_nothing_is_negative(before: str, own: str) -> None:
    outcome = fold(
        f"""g (float[1,2,5,5] x) => (y) <{SMALL}>
        {{ a = {before}
           z = Pad(a, p, zero)
           y = MaxPool<kernel_shape=[3,3]{own}>(z) }}"""
    )
    assert outcome.ops[1:] == ["MaxPool"]


@pytest.mark.parametrize("value, folds", [("low", True), ("one", False)])
def test_max_pool_takes_minus_infinity_from_anything(value: str, folds: bool) -> None:
    outcome = fold(
        f"""g (float[1,2,5,5] x) => (y) <{SMALL}>
        {{ z = Pad(x, p, {value})
           y = MaxPool<kernel_shape=[3,3]>(z) }}"""
    )
    assert outcome.changed is folds


@pytest.mark.parametrize(
    "own, why", [("", "may be negative"), (", pads=[2,0,0,0]", "padding alone"), (", ceil_mode=1", "ceil_mode")]
)
def test_max_pool_refuses(own: str, why: str) -> None:
    outcome = fold(
        f"""g (float[1,2,5,5] x) => (y) <{SMALL}>
        {{ z = Pad(x, p)
           y = MaxPool<kernel_shape=[3,3]{own}>(z) }}"""
    )
    assert not outcome.changed
    assert why in outcome.reasons[0]


def test_max_pool_with_its_indices_used_stays() -> None:
    outcome = fold(
        f"""g (float[1,2,5,5] x) => (y, i) <{SMALL}>
        {{ a = Relu(x)
           z = Pad(a, p)
           y, i = MaxPool<kernel_shape=[3,3]>(z) }}"""
    )
    assert not outcome.changed
    assert "graph output" in outcome.reasons[0]
