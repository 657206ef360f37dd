"""What a user does wrong on the command line: one clear message, exit code 2, no traceback, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from fusewright import cli, verbs

MODEL = """
<ir_version: 10, opset_import: ["": 21]>
agraph (float[N, 3] x, float[3] b) => (float[N, 3] y, float[N, 3] z) { y = Relu(x)  z = Add(y, b) }
"""

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good model, and every bad file that the tests name."""
    monkeypatch.chdir(tmp_path)
    proto = onnx.parser.parse_model(MODEL)
    onnx.save(proto, "good.onnx")
    data = Path("good.onnx").read_bytes()
    Path("cut.onnx").write_bytes(data[: len(data) // 2])
    Path("empty.onnx").write_bytes(b"")
    Path("text.onnx").write_text("hello, this is no model")
    Path("folder.onnx").mkdir()
    Path("cut.fw").write_bytes(b"\x89FWA\r\n\x1a\n\0\0")
    Path("text.fw").write_text("hello, this is no compiled model")
    unknown = onnx.parser.parse_model(MODEL)
    unknown.graph.node[0].op_type, unknown.graph.node[0].name = "Rulu", "first"
    onnx.save(unknown, "unknown.onnx")
    np.save("x.npy", np.ones((2, 3), np.float32))
    np.save("double.npy", np.ones((2, 3)))
    np.save("wide.npy", np.ones((2, 4), np.float32))
    np.savez("x.npz", x=np.ones((2, 3), np.float32))
    return tmp_path


@pytest.fixture
def call(here: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Runs the command line in this process: exit code, standard output, standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(words))
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run none.onnx", "none.onnx: no such file"),
        ("run folder.onnx", "folder.onnx"),
        ("run empty.onnx", "empty.onnx"),
        ("run text.onnx", "text.onnx"),
        ("compile cut.onnx", "cut.onnx"),
        ("check cut.onnx", "cut.onnx"),
        ("inspect cut.onnx", "cut.onnx"),
        ("profile cut.onnx", "cut.onnx"),
        ("profile none.fw", "none.fw"),
        ("profile good.onnx", "open dimensions are not bound"),
        ("profile good.onnx --input x=wide.npy", "expected shape Nx3, got 2x4"),
        ("profile good.onnx --shape N=2 -o none/r.svg", "--roofline none/r.svg: there is no directory"),
        ("profile good.onnx --shape N=2 --trace good.onnx", "--trace good.onnx: this is the model itself"),
        ("profile good.onnx --shape N=2 --trace a -o a", "name the same file"),
        ("profile good.onnx --shape N=2 --seconds 0", "--seconds"),
        ("bench cut.onnx", "cut.onnx"),
        ("optimize cut.onnx -o o.onnx", "cut.onnx"),
        ("run cut.fw", "cut.fw"),
        ("run text.fw", "text.fw"),
        ("inspect none.fw", "none.fw"),
        ("run unknown.onnx --shape N=1", "Rulu"),
        ("run good.onnx", "--shape x=1x3"),
        ("check good.onnx", "open dimensions are not bound"),
        ("bench good.onnx", "open dimensions are not bound"),
        ("compile good.onnx --fixed", "open dimensions are not bound"),
        ("inspect good.onnx --fixed", "open dimensions are not bound"),
        ("compile good.onnx --shape M=3", "no input and no open dimension of this name"),
        ("compile good.onnx --shape x=2x4", "expected shape Nx3, got 2x4"),
        ("inspect good.onnx --shape x=2", "rank 2 against 1"),
        ("run good.onnx --shape N=many", "got 'many'"),
        ("run good.onnx --input x=none.npy", "none.npy"),
        ("run good.onnx --input x=double.npy", "expected dtype float32, got float64"),
        ("run good.onnx --input x=wide.npy", "expected shape Nx3, got 2x4"),
        ("run good.onnx --input x=x.npz", "expected one array"),
        ("run good.onnx --input w=x.npy", "the inputs are:"),
        ("run good.onnx --input x=x.npy --shape N=5", "expected shape Nx3, got 2x3"),
        ("run good.onnx --shape N=2 --output-dir x.npy", "--output-dir x.npy"),
        ("check good.onnx --inputs none.npz", "none.npz"),
        ("check good.onnx --inputs x.npy", "got one array"),
        ("check good.onnx --seeds 0", "nothing to compare on"),
        ("check good.fw", "compiled file"),
        ("compile good.fw", "compiled file already"),
        ("compile good.onnx -o none/out.fw", "there is no directory"),
        ("compile good.onnx -o folder.onnx", "got a directory"),
        ("compile good.onnx -o good.onnx", "this is the model itself"),
        ("optimize good.onnx -o good.onnx", "this is the model itself"),
        ("run good.onnx --shape N=1 --target pdp11", "pdp11"),
        ("run cut.fw --target generic", "compiled already"),
        ("bench good.onnx --shape N=1 --against tvm", "expected some of onnxruntime, openvino"),
        ("bench cut.fw", "--against none"),
        ("run good.onnx --threads 0", "--threads"),
        ("run good.onnx --threads two", "--threads"),
        ("optimize good.onnx", "-o"),
        ("run", "FILE"),
        ("fly good.onnx", "fly"),
        ("run good.onnx --fast", "--fast"),
    ],
)
def test_the_user_is_told(call: Call, here: Path, words: str, said: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*")}
    code, out, err = call(*words.split())
    assert code == 2, err
    assert out == ""
    assert said in err
    assert "Traceback" not in err and "bug" not in err
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*")} == before


def test_a_setting_is_checked(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSEWRIGHT_THREADS", "lots")
    code, _, err = call("run", "good.onnx", "--shape", "N=1")
    assert code == 2 and "FUSEWRIGHT_THREADS" in err and "Traceback" not in err


def test_our_own_bug_is_called_one(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(verbs, "run_once", fail)
    code, out, err = call("run", "good.onnx")
    assert code == 3 and out == ""
    assert "Traceback" in err and "this is a bug in Fusewright" in err and "KeyError" in err


def test_a_failed_check_is_a_no(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: Path, engine: str | None) -> tuple[str, Callable[..., list[np.ndarray]]]:
        return "elsewhere", lambda feed: [np.abs(feed["x"]), np.abs(feed["x"]) + feed["b"]]

    monkeypatch.setattr(verbs, "reference_for", wrong)
    code, out, _ = call("check", "good.onnx", "--shape", "N=5", "--json")
    answer = json.loads(out)
    assert code == 1
    assert answer["ok"] is False and answer["reference"] == "elsewhere" and len(answer["cases"]) == 3
    assert "outside the tolerance" in answer["cases"][0]["outputs"][0]["fault"]
    code, out, _ = call("check", "good.onnx", "--shape", "N=5")
    assert code == 1 and "WRONG" in out


def test_help_has_examples(call: Call) -> None:
    for verb in ("compile", "run", "check", "bench", "profile", "inspect", "optimize"):
        code, out, _ = call(verb, "--help")
        assert code == 0 and f"fusewright {verb} " in out.split("Example")[1]


# The interruptions need a process of their own, whose signals and children can be watched.

START = [sys.executable, "-m", "fusewright.cli"]
# The folder may be given relative to another working directory.
WHERE = os.pathsep.join([str(Path(cli.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_benchmark_leaves_nothing(here: Path, number: int, expected: int) -> None:
    pytest.importorskip("onnxruntime")
    temporary = here / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": WHERE, "TMPDIR": str(temporary)}
    words = "bench good.onnx --shape N=4 --against onnxruntime --threads 1 --seconds 300"
    process = subprocess.Popen(
        [*START, *words.split()], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 60
        while len(children(process.pid)) < 3 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        workers = children(process.pid)
        assert len(workers) == 3, "fusewright, onnxruntime and the peak loop"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == expected, err
    assert out == "" and "Traceback" not in err
    assert not any(alive(pid) for pid in workers)
    assert list(temporary.iterdir()) == []


def test_an_interrupted_profile_leaves_nothing(here: Path) -> None:
    temporary, cache = here / "tmp", here / "cache"
    temporary.mkdir()
    environment = {
        **os.environ, "PYTHONPATH": WHERE, "TMPDIR": str(temporary), "FUSEWRIGHT_CACHE_DIR": str(cache),
        "FUSEWRIGHT_DEBUG": "1",
    }  # fmt: skip
    words = "profile good.onnx --shape N=4 --threads 2 --seconds 300 -o out.svg --trace out.json"
    process = subprocess.Popen(
        [*START, *words.split()], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline()  # the first pass has run: the measurement is soon under way
        time.sleep(4)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, err
    assert out == "" and "interrupted" in err and "Traceback" not in err
    assert list(temporary.iterdir()) == [] and not list(here.glob("*out*")) and not list(here.glob(".out*"))


def test_a_reader_that_has_seen_enough_is_no_error(here: Path) -> None:
    process = subprocess.Popen(
        [*START, "run", "good.onnx", "--shape", "N=4"],
        env={**os.environ, "PYTHONPATH": WHERE, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    assert err == ""


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid` and that run a worker."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid and b"worker.py" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except (OSError, IndexError):
                continue  # it ended while we looked
    return found


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
