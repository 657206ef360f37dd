"""CastLike(x, y) -> Cast(x): only the type of y was asked for."""

from __future__ import annotations

import numpy as np

import fusewright as fw
from fusewright.graph.decisions import Log
from fusewright.graph.text import parse_model
from fusewright.passes.fold_constants import FoldConstants
from fusewright.passes.pipeline import optimize
from fusewright.passes.tell_casts import TellCasts

from .helpers import rewrite


def test_the_type_is_told_and_nothing_waits() -> None:
    text = "g (int32[3] x, float[2] a) => (float[3] y) { b = Exp(a) y = CastLike(x, b) }"
    outcome = rewrite(text, FoldConstants(), TellCasts())
    assert outcome.ops == ["Exp", "Cast"]
    cast = outcome.model.graph[1]
    assert cast.attributes["to"].as_int() == 1 and list(cast.inputs) == [outcome.model.graph.inputs[0]]
    assert [o.name for o in outcome.model.graph.outputs] == ["y"]


def test_constants_fold() -> None:
    model = parse_model("g (float[3] x) => (float[3] y) <int64 two = {2}> { t = CastLike(two, x) y = Mul(x, t) }")
    assert [n.op_type for n in optimize(model).graph] == ["Mul"]


def test_an_unknown_type_waits() -> None:
    model = parse_model("g (float[3] x, float[2] a) => (y) { b = Exp(a) y = CastLike(x, b) }")
    model.graph[0].outputs[0].type = None
    assert not TellCasts().run(model, Log())
    assert [n.op_type for n in model.graph] == ["Exp", "CastLike"]


def test_a_number_like_a_transposed_tensor_stays_a_number() -> None:
    """It was taken for an operand that could be seen the other way round, and the number was transposed."""
    text = """g (float[2,3,4] x) => (float[2,4,3] y)
    { e = Exp(x) t = Transpose<perm=[0,2,1]>(e) i = Constant<value_int=-2>() s = CastLike(i, t) y = Mul(t, s) }"""
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    (y,) = fw.compile(parse_model(text)).run(None, {"x": x})
    np.testing.assert_allclose(y, -2 * np.exp(x).transpose(0, 2, 1), rtol=1e-6)
