"""y = MatMul(half a, half b) -> y = Cast(MatMul(Cast(a), Cast(b))): sums of products run in float32."""

from __future__ import annotations

from fusewright.passes.fold_constants import FoldConstants
from fusewright.passes.widen_half import WidenHalf

from .helpers import Outcome, rewrite


def widen(text: str) -> Outcome:
    return rewrite(text, FoldConstants(static=True), WidenHalf())


def test_product_is_widened() -> None:
    outcome = widen("g (float16[2,3] a, float16[3,4] b) => (float16[2,4] y) { m = MatMul(a, b) y = Neg(m) }")
    assert outcome.ops == ["Cast", "Cast", "MatMul", "Cast", "Neg"]
    product = outcome.model.graph[2]
    assert all(v is not None and v.dtype is not None and v.dtype.name == "FLOAT" for v in product.inputs)
    assert [o.name for o in outcome.model.graph.outputs] == ["y"]


def test_graph_output_keeps_its_name_and_type() -> None:
    outcome = widen("g (float16[2,3] a, float16[3,4] b) => (float16[2,4] y) { y = MatMul(a, b) }")
    (y,) = outcome.model.graph.outputs
    producer = y.producer()
    assert y.name == "y" and y.dtype is not None and y.dtype.name == "FLOAT16"
    assert producer is not None and producer.op_type == "Cast"


def test_elementwise_and_float32_stay() -> None:
    outcome = widen(
        """g (float16[2,3] a, float[2,3] x, float[3,4] w) => (float16[2,3] h, float[2,4] y)
        { h = Exp(a) y = MatMul(x, w) }"""
    )
    assert not outcome.changed
