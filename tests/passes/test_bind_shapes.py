"""graph (float[N,3] x) -> graph (float[1,3] x), or one message that says what does not fit."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from fusewright.errors import ShapeError
from fusewright.graph.blockers import ValueDependentError
from fusewright.graph.decisions import Log
from fusewright.graph.equivalence import run
from fusewright.graph.text import format_model, parse_model
from fusewright.passes.bind_shapes import BindShapes
from fusewright.passes.pipeline import bound_values, optimize, specialize

TEXT = "g (float[N,3,H,W] x, float[N,K] z, float[2] w) => (float[N,3,H,W] y) { y = Relu(x) }"


def shapes(model: ir.Model) -> list[list[object]]:
    return [[d if isinstance(d, int) else d.value for d in value.shape or ()] for value in model.graph.inputs]


def test_named_dimensions_are_shared() -> None:
    model, log = parse_model(TEXT.replace("K", "W")), Log()
    assert BindShapes({"x": (1, 3, 8, 9)}).run(model, log)
    assert shapes(model) == [[1, 3, 8, 9], [1, 9], [2]]
    assert [decision.where for decision in log.decisions] == ["x", "z"]
    assert not BindShapes({"x": (1, 3, 8, 9)}).run(model, Log())


def test_zero_is_an_extent() -> None:
    model = parse_model("g (float[N] x) => (float[N] y) { y = Relu(x) }")
    BindShapes({"x": (0,)}).run(model, Log())
    assert shapes(model) == [[0]]


def test_what_stays_open_is_listed_with_an_example() -> None:
    with pytest.raises(ShapeError) as caught:
        BindShapes().run(parse_model(TEXT), Log())
    assert str(caught.value).splitlines() == [
        "open dimensions are not bound:",
        "  input 'x': Nx3xHxW",
        "  input 'z': NxK",
        "Give a shape for each: --shape x=1x3x1x1",
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"nope": (1,)}, r"'nope', but the model's inputs are: 'x', 'z', 'w'"),
        ({"x": (1, 3, 8)}, r"input 'x': expected 4 dimensions \(Nx3xHxW\), got 3 \(1x3x8\)"),
        ({"x": (1, 4, 8, 8)}, r"input 'x': dimension 1 is 3 in the model \(Nx3xHxW\), got 4 \(1x4x8x8\)"),
        ({"x": (1, 3, -8, 8)}, r"negative"),
        ({"x": (1, 3, 8, 8), "z": (2, 4)}, r"input 'z': dimension 0, 'N', is 2, but the same is 1 in input 'x'"),
        ({"x": (1, 3, 8, 8), "z": (1, 4), "w": (3,)}, r"input 'w': dimension 0 is 2"),
    ],
)
def test_what_does_not_fit(given: dict[str, tuple[int, ...]], reason: str) -> None:
    with pytest.raises(ShapeError, match=reason):
        BindShapes(given).run(parse_model(TEXT), Log())


def test_the_model_given_is_left_alone() -> None:
    model = parse_model("g (float[N,3] x) => (float[N,3] y) { s = Shape(x) a = Reshape(x, s) y = Relu(a) }")
    before = format_model(model)
    small = specialize(model, {"x": (5, 3)})
    assert format_model(model) == before
    assert [node.op_type for node in small.graph] == ["Relu"]


def test_values_that_decide_shapes_are_bound_and_named() -> None:
    model = optimize(parse_model("g (float[2,6] x, int64[2] t, float[1] k) => (y) { a = Mul(x, k) y = Reshape(a, t) }"))
    with pytest.raises(ValueDependentError, match=r"'t'"):
        specialize(model)
    feeds = {"x": np.ones((2, 6), np.float32), "t": np.array([3, -1]), "k": np.ones(1, np.float32)}
    small = specialize(model, values=feeds)
    assert bound_values(small) == ("t",)
    assert [value.name for value in small.graph.inputs] == ["x", "t", "k"]
    assert run(small, feeds)["y"].shape == (3, 4)
    assert small.graph.outputs[0].shape == (3, 4)
