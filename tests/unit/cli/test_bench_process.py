"""Engines in processes of their own: they answer, die, hang and end as they should."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest

from fusewright.bench import process
from fusewright.bench.bench import bench, check_opponents
from fusewright.bench.peak import build_peak, source
from fusewright.bench.process import Engine, EngineError
from fusewright.bench.rounds import MIN_ROUNDS, alternate
from fusewright.errors import UserError
from fusewright.target import all_targets, host

TEXT = """
<ir_version: 10, opset_import: ["": 21]>
agraph (float[N, 64] x) => (float[N, 64] y) { y = Tanh(x) }
"""


@pytest.fixture(scope="module")
def peak_job(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    loop = build_peak(tmp_path_factory.mktemp("peak"))
    return {"threads": 1, "library": str(loop.library), "flop_per_round": loop.flop_per_round}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "tanh.onnx")
    return tmp_path / "tanh.onnx"


def test_the_peak_loop_is_of_a_machine(peak_job: dict[str, Any]) -> None:
    with Engine("peak", peak_job) as engine:
        engine.load()
        rates = [engine.facts["flop"] / ns for ns in engine.turn(5)]
    assert 0.5 < max(rates) < 2000  # GFLOP/s of one core: anything else means that the loop was optimised away


def test_the_peak_loop_fits_the_registers_of_each_target() -> None:
    for target in all_targets():
        text = source(target)
        accumulators = text.split("v b, c, ")[1].split(";")[0].split(", ")
        assert len(accumulators) + 2 <= target.vector_registers
        assert f"vector_size({target.vector_bytes})" in text


def test_alternation_is_fair(peak_job: dict[str, Any]) -> None:
    with Engine("peak", peak_job) as engine:
        engine.load()
        rounds = alternate([engine], 0.0)
        assert len(rounds) == MIN_ROUNDS
        assert all(0 < r["peak"].least <= r["peak"].median for r in rounds)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_opponents_run_a_model_with_open_dimensions(engine: str, model: Path) -> None:
    pytest.importorskip(engine)
    x = np.ones((3, 64), np.float32)
    result = bench(
        model=model, artifact=None, feed={"x": x}, dims={"N": 3}, against=[engine], threads=1, seconds=0.1, flop=1000
    )
    (measured,) = result.engines
    assert measured.name == engine and measured.median_ms > 0 and measured.runs > MIN_ROUNDS
    assert measured.share_of_peak is not None and 0 < measured.share_of_peak.median < 1
    assert result.shapes == {"x": (3, 64)} and result.machine["target"] == host().name


def test_an_engine_that_cannot_run_the_model_is_reported(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a model")
    with pytest.raises(UserError, match="no engine can run this model:\nonnxruntime: "):
        bench(model=bad, artifact=None, feed={}, dims={}, against=["onnxruntime"], threads=1, seconds=0.1, flop=None)


def test_opponents_are_known_and_need_a_model() -> None:
    with pytest.raises(UserError, match="--against tvm: expected some of onnxruntime, openvino"):
        check_opponents(["tvm"], Path("m.onnx"))
    with pytest.raises(UserError, match="compiled file"):
        check_opponents(["openvino"], None)


def test_a_missing_package_is_told(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = tmp_path / "path" / "onnxruntime.py"
    hidden.parent.mkdir()
    hidden.write_text("raise ModuleNotFoundError(\"No module named 'onnxruntime'\", name='onnxruntime')")
    monkeypatch.setenv("PYTHONPATH", str(hidden.parent), prepend=os.pathsep)
    with pytest.raises(UserError, match=r"onnxruntime is not installed: pip install 'fusewright\[bench\]'"):
        bench(
            model=model, artifact=None, feed={"x": np.ones((1, 64), np.float32)}, dims={}, against=["onnxruntime"],
            threads=1, seconds=0.1, flop=None,
        )  # fmt: skip


def test_death_is_noticed(peak_job: dict[str, Any]) -> None:
    with Engine("peak", peak_job) as engine:
        engine.load()
        os.kill(engine.pid, signal.SIGSEGV)
        with pytest.raises(EngineError, match="ended with signal SIGSEGV"):
            engine.turn(1)


def test_hanging_is_noticed(peak_job: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TURN_TIMEOUT", 0.3)
    with Engine("peak", peak_job) as engine:
        engine.load()
        os.kill(engine.pid, signal.SIGSTOP)
        with pytest.raises(EngineError, match="no answer"):
            engine.turn(1)
        pid = engine.pid
    assert not alive(pid)


def test_a_worker_ends_with_its_parent(peak_job: dict[str, Any]) -> None:
    with Engine("peak", peak_job) as engine:
        engine.load()
        engine.hang_up()
        deadline = time.monotonic() + 5
        while alive(engine.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert engine.exit_code() == 0


def test_settling_waits_for_threads_that_spin(peak_job: dict[str, Any]) -> None:
    with Engine("peak", peak_job) as engine:
        engine.load()
        engine.begin(runs=20)  # about 200 ms of work that nobody waits for
        start = time.monotonic()
        engine.settle()
        assert time.monotonic() - start > 0.1


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
