"""Groups as ONNX functions: the model stays valid, and computes the same in any runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from fusewright.frontend.onnx import load
from fusewright.graph.decisions import Log
from fusewright.graph.group import Group, shape_of
from fusewright.graph.text import format_model, parse_model
from fusewright.passes.fuse import find_groups, fuse
from fusewright.passes.outline import DOMAIN, outline
from fusewright.passes.pipeline import optimize, specialize

from .helpers import nodes, run, same_numbers
from .random_graphs import BATCH, random_model
from .random_work import MORE

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def outlined(model: ir.Model) -> tuple[ir.Model, list[Group]]:
    before = format_model(model)
    groups = find_groups(model.graph)
    made = outline(model, groups)
    assert format_model(model) == before, "the model was changed"
    onnx.checker.check_model(ir.to_proto(made), full_check=True)
    return made, groups


def parsed(text: str) -> ir.Model:
    model: ir.Model = ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(parse_model(text))))
    return model


def calls(model: ir.Model) -> list[str]:
    """The nodes of the graph, without the bodies of the functions."""
    lines = nodes(model)
    return lines[: lines.index("}")] if "}" in lines else lines


CHAIN = """g (float[1,4,8,8] x, float[1,4,8,8] r) => (float[1,4,8,8] y, float[1,4,8,8] z) <float[4,4,1,1] w>
{ a = Conv(x, w) b = Relu(a) z = Add(b, r) p = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(b) y = Neg(p) }"""


def test_each_group_is_one_call_that_says_what_it_does() -> None:
    made, _ = outlined(parsed(CHAIN))
    assert calls(made) == ["b, z = fusewright.Conv_Relu_Add_0 (x, w, r)", "y = fusewright.MaxPool_Neg_1 (b)"]
    assert made.graph.opset_imports[DOMAIN] == 1
    same_numbers(parsed(CHAIN), made, {}, special=False)


def test_bodies_hold_the_original_nodes() -> None:
    made, _ = outlined(parsed(CHAIN))
    first = made.functions["fusewright", "Conv_Relu_Add_0", ""]
    assert [n.op_type for n in first] == ["Conv", "Relu", "Add"]
    assert [v.name for v in first.inputs] == ["x", "w", "r"]
    assert [v.name for v in first.outputs] == ["b", "z"]
    assert first[0].attributes == {} or "kernel_shape" not in first[0].attributes
    pool = made.functions["fusewright", "MaxPool_Neg_1", ""]
    assert list(pool[0].attributes["kernel_shape"].value) == [3, 3]


def test_weights_stay_in_the_graph_and_are_shared() -> None:
    model = parsed(CHAIN)
    made, _ = outlined(model)
    assert list(made.graph.initializers) == ["w"]
    assert made.graph.initializers["w"].const_value is model.graph.initializers["w"].const_value


def test_single_nodes_and_views_stay_nodes() -> None:
    text = """g (float[4,6] x) => (float[24] y) <int64[1] s = {-1}> { a = Softmax(x) y = Reshape(a, s) }"""
    made, _ = outlined(parsed(text))
    assert calls(made) == ["a = Softmax (x)", "y = Reshape (a, s)"] and not made.functions


def test_long_chains_are_cut_short_in_the_name() -> None:
    chain = "a = Neg(x) b = Exp(a) c = Abs(b) d = Sqrt(c) e = Tanh(d) f = Relu(e) y = Neg(f)"
    made, _ = outlined(parsed(f"g (float[3] x) => (float[3] y) {{ {chain} }}"))
    assert calls(made) == ["y = fusewright.Neg_Exp_Abs_Sqrt_Tanh_and_more_0 (x)"]


def test_absent_optional_operands() -> None:
    text = """g (float[3] x) => (float[3] y) <float six = {6.0}> { a = Neg(x) y = Clip(a, , six) }"""
    made, _ = outlined(parsed(text))
    same_numbers(parsed(text), made, {}, special=True)


def test_output_that_is_an_input_or_is_named_twice() -> None:
    text = "g (float[2] x) => (float[2] x, float[2] y, float[2] y) { a = Neg(x) y = Relu(a) }"
    made, _ = outlined(parsed(text))
    assert [v.name for v in made.graph.outputs] == ["x", "y", "y"]


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_compute_the_same(seed: int) -> None:
    model = random_model(seed, steps=30, more=MORE)
    shapes = {str(v.name): [d if isinstance(d, int) else BATCH for d in v.shape or ()] for v in model.graph.inputs}
    ready = specialize(optimize(model), shapes)
    made, groups = outlined(ready)
    assert len(made.graph) == len(groups)
    assert len(made.functions) == sum(len(g.nodes) > 1 for g in groups)
    same_numbers(ready, made, {"N": BATCH}, special=False)


@pytest.mark.parametrize("name", ["light_squeezenet", "light_shufflenet"])
def test_real_models(name: str) -> None:
    model = load(LIGHT / f"{name}.onnx")
    ready = specialize(optimize(model))
    made, groups = outlined(ready)
    assert len(made.graph) == len(groups) and made.functions
    rng = np.random.default_rng(0)
    shapes = {str(v.name): list(shape_of(v)) for v in ready.graph.inputs}
    feeds = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    expected, got = run(ready, feeds), run(made, feeds)
    for key, want in expected.items():
        np.testing.assert_array_equal(got[key], want)


def test_dump_and_ladder_show_the_functions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSEWRIGHT_DUMP", str(tmp_path))
    monkeypatch.setenv("FUSEWRIGHT_DEBUG", "3")
    log = Log(steps=7)
    groups = fuse(parsed(CHAIN), log)
    assert [len(g.nodes) for g in groups] == [3, 2] and log.steps == 8
    assert {d.by for d in log.decisions} == {"fuse"}
    written = onnx.load(tmp_path / "07-fuse.onnx")
    onnx.checker.check_model(written, full_check=True)
    assert [f.name for f in written.functions] == ["Conv_Relu_Add_0", "MaxPool_Neg_1"]
    shown = capsys.readouterr().err
    assert "fuse " in shown and "Conv_Relu_Add_0" in shown and "[fuse] fuse Relu into Conv" in shown
