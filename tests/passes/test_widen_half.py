"""y = MatMul(half a, half b) -> y = Cast(MatMul(Cast(a), Cast(b))): what is computed is computed in float32."""

from __future__ import annotations

from fusewright.passes.fold_constants import FoldConstants
from fusewright.passes.remove_dead import RemoveDead
from fusewright.passes.widen_half import WidenHalf

from .helpers import Outcome, rewrite


def widen(text: str) -> Outcome:
    return rewrite(text, FoldConstants(static=True), WidenHalf(), RemoveDead(optional_outputs=False))


def test_what_is_computed_stays_wide() -> None:
    outcome = widen("g (float16[2,3] a, float16[3,4] b) => (float16[2,4] y) { m = MatMul(a, b) y = Neg(m) }")
    assert outcome.ops == ["Cast", "Cast", "MatMul", "Neg", "Cast"]
    product, negative = outcome.model.graph[2], outcome.model.graph[3]
    assert all(
        v is not None and v.dtype is not None and v.dtype.name == "FLOAT"
        for v in (*product.inputs, *negative.inputs, *negative.outputs)
    )
    assert [o.name for o in outcome.model.graph.outputs] == ["y"]


def test_graph_output_keeps_its_name_and_type() -> None:
    outcome = widen("g (float16[2,3] a, float16[3,4] b) => (float16[2,4] y) { y = MatMul(a, b) }")
    (y,) = outcome.model.graph.outputs
    producer = y.producer()
    assert y.name == "y" and y.dtype is not None and y.dtype.name == "FLOAT16"
    assert producer is not None and producer.op_type == "Cast"


def test_output_that_is_read_too() -> None:
    outcome = widen("g (float16[2,3] a) => (float16[2,3] y, float16[2,3] z) { y = Exp(a) z = Neg(y) }")
    assert outcome.ops == ["Cast", "Exp", "Cast", "Neg", "Cast"]


def test_an_input_is_widened_once() -> None:
    outcome = widen("g (float16[2,3] a) => (float16[2,3] y) { b = Exp(a) c = Neg(a) y = Add(b, c) }")
    assert outcome.ops == ["Cast", "Exp", "Neg", "Add", "Cast"]


def test_what_the_model_rounds_is_rounded() -> None:
    outcome = widen("g (float[2,3] a) => (float16[2,3] y) { h = Cast<to=10>(a) y = Exp(h) }")
    assert outcome.ops == ["Cast", "Cast", "Exp", "Cast"]


def test_what_is_cast_like_a_half_is_rounded_once() -> None:
    outcome = widen("g (double[2,3] a, float16[1] h) => (float16[2,3] y) { y = CastLike(a, h) }")
    assert outcome.ops == ["CastLike"] and not outcome.changed


def test_what_is_only_moved_stays_narrow_in_memory() -> None:
    outcome = widen("g (int64[5] i) => (float16[5,3] y) <float16[9,3] w> { g = Gather(w, i) y = Exp(g) }")
    assert outcome.ops == ["Gather", "Cast", "Exp", "Cast"]
    outcome = widen("g (float16[2,3] a) => (float16[3,2] y) { b = Exp(a) y = Transpose(b) }")
    assert outcome.ops == ["Cast", "Exp", "Transpose", "Cast"]


def test_float32_stays() -> None:
    assert not widen("g (float[2,3] x, float[3,4] w) => (float[2,4] y) { y = MatMul(x, w) }").changed
