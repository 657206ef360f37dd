"""Mean over rows and columns -> mean of the means of rows, where a kernel takes these while it computes the rows."""

from __future__ import annotations

import pytest

from fusewright.passes.means_of_rows import MeansOfRows

from .helpers import rewrite

WEIGHTS = "<float[4,1,3,3] w, float[4,4,3,3] v, int64[2] space = {2, 3}, int64[1] rows = {2}, int64[2] last = {-2, -1}>"
CONV = "a = Conv<group=4, pads=[1,1,1,1]>(x, w)"


def graph(body: str, shape: str = "1,4,6,5") -> str:
    return f"g (float[{shape}] x) => (y, z) {WEIGHTS} {{ {body} z = Neg(a) }}"


@pytest.mark.parametrize(
    "mean", ["GlobalAveragePool(a)", "ReduceMean(a, space)", "ReduceMean(a, last)", "ReduceMean<keepdims=0>(a, space)"]
)
def test_mean_of_what_a_depthwise_convolution_computes(mean: str) -> None:
    outcome = rewrite(graph(f"{CONV} y = {mean}"), MeansOfRows())
    assert outcome.changed and outcome.ops.count("ReduceMean") + outcome.ops.count("GlobalAveragePool") == 2


def test_through_elementwise_operations() -> None:
    outcome = rewrite(
        graph("b = Conv<group=4>(x, w) s = Sigmoid(b) a = Mul(b, s) y = GlobalAveragePool(a)"), MeansOfRows()
    )
    assert outcome.ops == ["Conv", "Sigmoid", "Mul", "ReduceMean", "GlobalAveragePool", "Neg"]


@pytest.mark.parametrize(
    "body",
    [
        f"{CONV} y = ReduceMean(a, rows)",
        f"{CONV} y = ReduceSum(a, space)",
        f"{CONV} y = GlobalMaxPool(a)",
        "a = Conv(x, v) y = GlobalAveragePool(a)",
        "a = Relu(x) y = GlobalAveragePool(a)",
        "c = Conv<group=4>(x, w) m = ReduceMean(c, rows) a = Identity(m) y = GlobalAveragePool(a)",
    ],
)
def test_others_stay(body: str) -> None:
    assert not rewrite(graph(body), MeansOfRows()).changed


def test_what_nothing_else_reads_stays() -> None:
    """Then nothing is gained: the kernel would store both."""
    assert not rewrite(
        f"g (float[1,4,6,5] x) => (y) {WEIGHTS} {{ {CONV} y = GlobalAveragePool(a) }}", MeansOfRows()
    ).changed
