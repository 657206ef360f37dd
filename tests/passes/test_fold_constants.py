"""y = op(constants) -> a constant y; the walk itself is tested in tests/unit/graph/test_shapes.py."""

from __future__ import annotations

import pytest

from fusewright.errors import UnsupportedError
from fusewright.passes.fold_constants import FoldConstants

from .helpers import rewrite


def test_shape_computation() -> None:
    outcome = rewrite(
        """g (float[2,3,4] x) => (float[2,12] y) <int64[1] z = {0}, int64[1] one = {1}, int64[1] m = {-1}>
        { s = Shape(x) b = Slice(s, z, one) t = Concat<axis=0>(b, m) y = Reshape(x, t) }""",
        FoldConstants(static=True),
    )
    assert outcome.nodes == ["y = Reshape (x, t)"]
    assert outcome.weight("t").tolist() == [2, -1]


def test_open_dimensions_leave_the_computation() -> None:
    outcome = rewrite(
        "g (float[N,3] x) => (float[N,3] y) { s = Shape(x) y = Reshape(x, s) }", FoldConstants(), dims={"N": 5}
    )
    assert outcome.ops == ["Shape", "Reshape"] and not outcome.changed


@pytest.mark.parametrize(
    "op",
    ["Add(a, b)", "MatMul(a, b)", "Where(c, a, b)", "Concat<axis=1>(a, b)", "Softmax(a)", "Cast<to=7>(a)", "Erf(a)"],
)
def test_computed_as_it_would_run(op: str) -> None:
    outcome = rewrite(
        f"""g (float[2,2] x) => (float[N,M] y, float[K,L] z)
        <float[2,2] a = {{1, -2, 3.5, 0}}, float[2,2] b = {{0.5, 2, 1, 9}}, bool[2,2] c = {{1, 0, 0, 1}}>
        {{ y = Neg(x) r = {op} q = Cast<to=1>(r) z = Abs(q) }}""",
        FoldConstants(),
    )
    assert sorted(outcome.ops) == ["Identity", "Neg"]


def test_several_outputs_one_unused() -> None:
    outcome = rewrite(
        """g (float[2] x) => (float[2] y) <float[4] w = {1, 2, 3, 4}>
        { a, b = Split<axis=0, num_outputs=2>(w) y = Mul(x, b) }""",
        FoldConstants(),
    )
    assert outcome.nodes == ["y = Mul (x, b)"]


def test_limit() -> None:
    text = """g (float[64,64] x) => (float[64,64] y) <float w = {2}, int64[2] s = {64, 64}>
    { a = Expand(w, s) y = Add(x, a) }"""
    assert rewrite(text, FoldConstants(limit=16383)).ops == ["Expand", "Add"]
    assert rewrite(text, FoldConstants(limit=16384)).ops == ["Add"]


def test_branch() -> None:
    outcome = rewrite(
        """g (float[2,3] x) => (float[2,3] y) <int64 n = {6}> { s = Size(x) c = Equal(s, n) y = If(c) <
        then_branch = t () => (float[2,3] p) { p = Neg(x) }, else_branch = e () => (float[2,3] q) { q = Abs(x) }> }""",
        FoldConstants(),
    )
    assert outcome.ops == ["Neg", "Identity"]


def test_data_dependent_shape() -> None:
    text = "g (float[300] x) => (int64[1,N] y) { y = NonZero(x) }"
    assert rewrite(text, FoldConstants()).ops == ["NonZero"]
    with pytest.raises(UnsupportedError, match=r"NonZero"):
        rewrite(text, FoldConstants(static=True))
