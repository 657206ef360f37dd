"""y = SwiGLU(a, b) -> y = Mul(Swish(a), b): what no kernel computes as a whole becomes what defines it."""

from __future__ import annotations

from fusewright.passes.expand_functions import ExpandFunctions
from fusewright.passes.fold_constants import FoldConstants

from .helpers import Outcome, rewrite


def expand(text: str) -> Outcome:
    return rewrite(text, FoldConstants(static=True), ExpandFunctions())


def test_operation_becomes_its_definition() -> None:
    outcome = expand("g (float[2,6] x, float[6] s) => (float[2,6] y) { y = LayerNormalization(x, s) }")
    assert "LayerNormalization" in outcome.ops  # a kernel computes it

    outcome = expand("g (float[2,3] x, int64[2] t) => (float y) { y = SoftmaxCrossEntropyLoss(x, t) }")
    assert "SoftmaxCrossEntropyLoss" not in outcome.ops and "NegativeLogLikelihoodLoss" not in outcome.ops
    assert "LogSoftmax" in outcome.ops
    assert all(value.shape is not None and value.dtype is not None for n in outcome.model.graph for value in n.outputs)
    assert not outcome.model.functions


def test_two_uses_do_not_share_names() -> None:
    outcome = expand(
        """g (float[2,3] x, float[2,3] u, int64[2] t) => (float y, float z)
        { y = SoftmaxCrossEntropyLoss<reduction="sum">(x, t) z = SoftmaxCrossEntropyLoss<ignore_index=1>(u, t) }"""
    )
    names = [value.name for n in outcome.model.graph for value in n.outputs]
    assert len(names) == len(set(names))


def test_optional_outputs_come_or_stay_away() -> None:
    one = expand("g (float[2,3] x, int64[2] t) => (float y) { y = SoftmaxCrossEntropyLoss(x, t) }")
    two = expand("g (float[2,3] x, int64[2] t) => (float y, float[2,3] p) { y, p = SoftmaxCrossEntropyLoss(x, t) }")
    assert len(two.model.graph.outputs) == len(one.model.graph.outputs) + 1


def test_einsum_becomes_one_product() -> None:
    outcome = expand(
        """g (float[2,3,4,5] q, float[2,3,7,5] k) => (float[2,3,4,7] y)
        { y = Einsum<equation="bhid,bhjd->bhij">(q, k) }"""
    )
    assert outcome.ops.count("MatMul") == 1
    assert "Einsum" not in outcome.ops
