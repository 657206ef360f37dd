"""Passes that are right alone must be right together, in the pipeline's order, on graphs that nobody thought of."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from fusewright.graph.decisions import Log
from fusewright.graph.text import format_model, parse_model
from fusewright.passes.pipeline import optimize, specialize

from .helpers import nodes, same_numbers
from .random_graphs import BATCH, random_model


@pytest.mark.parametrize("seed", range(60))
def test_random_graph_computes_the_same(seed: int) -> None:
    model = random_model(seed)
    signature = [[value.name for value in values] for values in (model.graph.inputs, model.graph.outputs)]
    log = Log()
    small = optimize(model, log)
    shapes = {str(v.name): [d if isinstance(d, int) else BATCH for d in v.shape or ()] for v in model.graph.inputs}
    for result in (small, specialize(small, shapes, log)):
        onnx.checker.check_model(ir.to_proto(result), full_check=True)
        assert signature == [[v.name for v in values] for values in (result.graph.inputs, result.graph.outputs)]
        assert len(result.graph) <= len(model.graph) + log.count("batch-norm-to-mul-add")
        same_numbers(model, result, {"N": BATCH}, special=False)


@pytest.mark.parametrize("seed", range(0, 60, 6))
def test_optimizing_twice_changes_nothing_more(seed: int) -> None:
    once = optimize(random_model(seed))
    log = Log()
    optimize(once, log)
    assert [str(decision) for decision in log.decisions if decision.made] == []


def test_output_that_is_also_an_input() -> None:
    model = parse_model("g (float[2] x) => (float[2] x, float[2] y) { a = Dropout(x) y = Relu(a) }")
    small = optimize(model)
    assert nodes(small) == ["y = Relu (x)"]
    assert [value.name for value in small.graph.outputs] == ["x", "y"]


def test_refusals_are_recorded_once() -> None:
    log = Log()
    optimize(
        parse_model(
            """g (float[1,2,4,4] x) => (float[1,2,4,4] y, float[1,2,4,4] z) <float[2,2,1,1] w, float[2,1,1] k>
            { i = Identity(x)
              z = Conv(i, w)
              y = Mul(z, k) }"""
        ),
        log,
    )
    assert [d.what for d in log.decisions if not d.made] == ["fold-mul"]


def test_the_model_that_is_optimized_stays_as_it_was() -> None:
    for seed in range(5):
        model = random_model(seed)
        before = format_model(model)
        optimize(model)
        assert format_model(model) == before
