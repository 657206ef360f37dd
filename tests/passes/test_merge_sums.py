"""Convolutions of one input whose results are added are one."""

from __future__ import annotations

import numpy as np
import pytest

from fusewright.passes.fold_affine import FoldAffine
from fusewright.passes.merge_sums import MergeSums

from .helpers import Outcome, rewrite

WEIGHTS = """<float[4,4,3,3] a, float[4,4,1,1] b, float[4,4,5,5] c, float[4,4,1,3] d, float[4,4,3,1] e,
float[4,1,3,3] g, float[4,1,1,1] h, float[4,2,3,3] l, float[4] u, float[4] v, float[4,1,1] s, float[4,1,1] t,
float[1] one>"""
PAD = "pads=[1,1,1,1]"


def merge(body: str, outputs: str = "y", picture: str = "1,4,7,6", inputs: str = "") -> Outcome:
    return rewrite(f"g (float[{picture}] x{inputs}) => ({outputs}) {WEIGHTS} {{ {body} }}", FoldAffine(), MergeSums())


@pytest.mark.parametrize(
    "body",
    [
        f"p = Conv<{PAD}>(x, a, u) q = Conv(x, b, v) y = Add(p, q)",
        f"p = Conv<{PAD}>(x, a) q = Conv(x, b, v) y = Add(q, p)",
        f"p = Conv<{PAD}>(x, a) q = Conv<{PAD}>(x, a) y = Add(p, q)",
        f"p = Conv<pads=[2,2,2,2]>(x, c) q = Conv<{PAD}>(x, a) y = Add(p, q)",
        f"p = Conv<{PAD}>(x, a) q = Conv<pads=[0,1,0,1]>(x, d) y = Add(p, q)",
        f"p = Conv<{PAD}, strides=[2,2]>(x, a) q = Conv<strides=[2,2]>(x, b) y = Add(p, q)",
        "p = Conv<pads=[2,2,2,2], dilations=[2,2]>(x, a) q = Conv(x, b) y = Add(p, q)",
        f"p = Conv<group=4, {PAD}>(x, g) q = Conv<group=4>(x, h, u) y = Add(p, q)",
        # the single tap stands in the corner of the other
        "p = Conv<pads=[0,0,2,2]>(x, a) q = Conv(x, b) y = Add(p, q)",
        # the input itself: its channels scaled and shifted
        f"p = Conv<{PAD}>(x, a, u) m = Mul(x, s) q = Add(m, t) y = Add(p, q)",
        "p = Conv(x, b) m = Mul(x, s) q = Add(m, t) y = Add(q, p)",
        f"p = Conv<group=4, {PAD}>(x, g) m = Mul(x, s) q = Add(m, t) y = Add(p, q)",
        f"p = Conv<group=2, {PAD}>(x, l) m = Mul(x, one) q = Add(m, t) y = Add(p, q)",
        # all three
        f"p = Conv<{PAD}>(x, a) q = Conv(x, b) r = Add(p, q) m = Mul(x, s) n = Add(m, t) y = Add(r, n)",
        f"p = Conv<{PAD}>(x, a) q = Conv(x, b) m = Mul(x, s) n = Add(m, t) r = Add(n, q) y = Add(r, p)",
    ],
)
def test_one_filter_within_the_other(body: str) -> None:
    assert merge(body).ops == ["Conv"]


def test_normalized_input() -> None:
    outcome = rewrite(
        f"""g (float[1,4,7,6] x) => (y) {WEIGHTS.replace("float[4] u", "float[4] u, float[4] var = {1,2,3,4}")}
        {{ p = Conv<{PAD}>(x, a) n = BatchNormalization(x, u, v, u, var) y = Add(p, n) }}""",
        FoldAffine(),
        MergeSums(),
    )
    assert outcome.ops == ["Conv"]


def test_open_extents() -> None:
    text = f"""g (float[N,4,H,W] x) => (float[N,4,A,B] y) {WEIGHTS}
    {{ p = Conv<{PAD}>(x, a) q = Conv(x, b) y = Add(p, q) }}"""
    assert rewrite(text, MergeSums(), dims={"N": 2, "H": 5, "W": 1}).ops == ["Conv"]


def test_weights_are_sums() -> None:
    outcome = merge(f"p = Conv<{PAD}>(x, a, u) q = Conv(x, b, v) y = Add(p, q)")
    assert outcome.weight("y_weight").shape == (4, 4, 3, 3)
    assert outcome.weight("y_bias").dtype == np.float32


@pytest.mark.parametrize(
    "body, reason",
    [
        ("p = Conv<pads=[0,1,0,1]>(x, d) q = Conv<pads=[1,0,1,0]>(x, e) y = Add(p, q)", "lies within"),
        (f"p = Conv<{PAD}>(x, a) q = Conv<group=4, {PAD}>(x, g) y = Add(p, q)", "steps, groups or channels"),
        ("p = Conv<pads=[2,2,2,2], dilations=[2,2]>(x, a) q = Conv<pads=[1,1,1,1]>(x, a) y = Add(p, q)", "lies within"),
        ('p = Conv<auto_pad="SAME_UPPER">(x, a) q = Conv(x, b) y = Add(p, q)', "auto_pad"),
        (f"p = Conv<{PAD}>(x, a) q = Conv(x, b) y = Add(p, q) z = Relu(p)", "read elsewhere"),
        (f"z = Relu(x) p = Conv<{PAD}>(x, a) q = Conv(z, b) y = Add(p, q)", ""),
    ],
)
def test_what_stays(body: str, reason: str) -> None:
    outcome = merge(body, "y, z" if "z =" in body else "y")
    assert outcome.ops.count("Conv") == 2
    assert not reason or any(reason in each for each in outcome.reasons), outcome.reasons


def test_sum_that_repeats_a_pixel() -> None:
    outcome = merge("p = Conv(x, a) q = Conv(x, b) y = Add(p, q)", picture="1,4,3,3")
    assert not outcome.changed and any("lies within" in each for each in outcome.reasons)


def test_weights_that_a_run_changes() -> None:
    body = f"p = Conv<{PAD}>(x, a) q = Conv(x, w) y = Add(p, q)"
    assert not merge(body, inputs=", float[4,4,1,1] w").changed
