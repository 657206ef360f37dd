"""The runner: what it prints, what it writes, and what it records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

from fusewright.frontend.onnx import load
from fusewright.graph.decisions import Log
from fusewright.graph.equivalence import compare
from fusewright.graph.text import parse_model
from fusewright.passes.base import Pass, Repeat, run_passes


@dataclass(frozen=True)
class DropFirst(Pass):
    """y = Neg(x) .. -> .., until `keep` nodes are left."""

    keep: int = 1

    def run(self, model: ir.Model, log: Log) -> bool:
        if len(model.graph) <= self.keep:
            log.refused("drop", "g", f"only {self.keep} left")
            return False
        node = model.graph[0]
        source = node.inputs[0]
        assert source is not None
        node.outputs[0].replace_all_uses_with(source)
        model.graph.remove(node, safe=True)
        log.made("drop", str(node.name))
        return True


def chain() -> ir.Model:
    return parse_model("g (float[2] x) => (float[2] y) { [n0] a = Neg(x) [n1] b = Neg(a) [n2] y = Abs(b) }")


def test_names_and_decisions() -> None:
    log, model = Log(), chain()
    assert DropFirst().name == "drop-first"
    assert run_passes(model, (DropFirst(2), DropFirst(2)), log)
    assert [str(decision) for decision in log.decisions] == [
        "[drop-first] drop at n0 made",
        "[drop-first] drop at g refused: only 2 left",
    ]
    assert not run_passes(model, (DropFirst(2),), log)
    assert log.count("drop") == 1 and log.count("drop", made=False) == 1


def test_repeat_runs_until_nothing_changes() -> None:
    model = chain()
    assert run_passes(model, (Repeat((DropFirst(),)),), Log())
    assert len(model.graph) == 1
    model = chain()
    run_passes(model, (Repeat((DropFirst(),), limit=1),), Log())
    assert len(model.graph) == 2


def test_a_refusal_is_recorded_once() -> None:
    log, model = Log(), chain()
    run_passes(model, (DropFirst(3), DropFirst(3)), log)
    assert len(log.decisions) == 1


def test_silent_by_default(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FUSEWRIGHT_DEBUG", raising=False)
    run_passes(chain(), (DropFirst(),), Log())
    captured = capsys.readouterr()
    assert not captured.err and not captured.out


@pytest.mark.parametrize(("level", "graph", "decisions"), [(1, False, False), (2, True, False), (3, True, True)])
def test_ladder(
    level: int, graph: bool, decisions: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSEWRIGHT_DEBUG", str(level))
    run_passes(chain(), (DropFirst(),), Log())
    text = capsys.readouterr().err
    assert "drop-first" in text and " ms" in text and "2 nodes  changed" in text
    assert ("y = Abs (b)" in text) == graph
    assert ("drop at n0 made" in text) == decisions


def test_dump_writes_each_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSEWRIGHT_DUMP", str(tmp_path / "dump"))
    log = Log()
    run_passes(chain(), (DropFirst(), DropFirst(2), DropFirst()), log)
    names = sorted(path.name for path in (tmp_path / "dump").iterdir())
    assert names == ["00-drop-first.onnx", "02-drop-first.onnx"]
    assert [len(onnx.load(tmp_path / "dump" / name).graph.node) for name in names] == [2, 1]


def test_dump_of_a_model_with_external_weights_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = ir.to_proto(parse_model("g (float[64] x) => (float[64] y) <float[64] w> { a = Neg(x) y = Add(a, w) }"))
    expected = onnx.numpy_helper.to_array(proto.graph.initializer[0])
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    monkeypatch.setenv("FUSEWRIGHT_DUMP", str(tmp_path / "dump"))
    model = load(tmp_path / "m.onnx")
    run_passes(model, (DropFirst(),), Log())
    assert isinstance(model.graph.initializers["w"].const_value, ir.ExternalTensor)
    dumped = onnx.load(tmp_path / "dump" / "00-drop-first.onnx")
    assert (onnx.numpy_helper.to_array(dumped.graph.initializer[0]) == expected).all()
    assert compare(load(tmp_path / "m.onnx"), model, {"x": expected}) > 0
