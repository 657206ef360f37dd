"""A profile's numbers sum up, name the right roof, and come out whole as table, JSON, picture and trace."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

import fusewright
from fusewright.bench.roofs import Meter, Roofs, last_cache_bytes, memory_bytes
from fusewright.errors import InputError, UserError
from fusewright.profiling import Profile, profile, rates
from fusewright.report.files import write_text
from fusewright.report.profile import show_profile
from fusewright.report.roofline import roofline
from fusewright.report.trace import trace_text

MODEL = """
<ir_version: 10, opset_import: ["": 21]>
agraph (float[N, 96] x) => (float[N, 160] y, float[160, N] t) {
    p = MatMul(x, w)
    q = Add(p, b)
    r = Relu(q)
    y = Softmax<axis = -1>(r)
    flat = Reshape(y, shape)
    back = Flatten(flat)
    t = Transpose<perm = [1, 0]>(back)
}
"""
ROOFS = Roofs(100.0, 20.0, 10.0, 50.0, 200.0, 3.0)
KERNEL_KEYS = {
    "index", "title", "symbol", "nodes", "ops", "threads", "ms", "low_ms", "high_ms", "share", "flop", "bytes",
    "rates", "busy", "way", "predicted_ms",
}  # fmt: skip
PROFILE_KEYS = {
    "model", "target", "threads", "shapes", "rounds", "runs", "call_ms", "run_ms", "kernels_ms", "cost_ms", "flop",
    "bytes", "rates", "roofs", "kernels", "nodes", "machine",
}  # fmt: skip


@pytest.fixture(scope="module")
def session() -> fusewright.Session:
    proto = onnx.parser.parse_model(MODEL)
    random = np.random.default_rng(3)
    weights = {
        "w": random.standard_normal((96, 160)).astype(np.float32),
        "b": random.standard_normal(160).astype(np.float32),
        "shape": np.array([-1, 16, 10]),
    }
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in weights.items())
    return fusewright.compile(proto, shapes={"x": (64, 96)}, threads=2)


@pytest.fixture(scope="module")
def feed() -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(4).standard_normal((64, 96)).astype(np.float32)}


@pytest.fixture(scope="module")
def measured(session: fusewright.Session, feed: dict[str, np.ndarray]) -> Profile:
    return profile(session, feed, seconds=0.1, model="[m].onnx")


def test_times_sum_up(measured: Profile) -> None:
    assert measured.rounds >= 3 and measured.runs >= 3
    assert sum(k.ms for k in measured.kernels) == pytest.approx(measured.kernels_ms)
    assert sum(k.share for k in measured.kernels) == pytest.approx(1)
    for what in ("ms", "share", "flop", "bytes"):
        whole = sum(getattr(k, what) for k in measured.kernels)
        assert sum(getattr(n, what) for n in measured.nodes) == pytest.approx(whole)
    assert all(0 < k.low_ms <= k.ms <= k.high_ms for k in measured.kernels)
    assert all(k.busy is None or 0 < k.busy <= 1 for k in measured.kernels)


def test_every_node_is_accounted_for(measured: Profile) -> None:
    nodes = {n.op_type: n for n in measured.nodes}
    product = max((k for k in measured.kernels if "MatMul" in k.ops), key=lambda k: k.flop)
    assert product.flop == 2 * 64 * 96 * 160
    assert product.bytes == 4 * (64 * 96 + 96 * 160 + 160 + 64 * 160)
    assert product.index in nodes["MatMul"].kernels and nodes["MatMul"].ms > 0.8 * product.ms
    assert 0 < nodes["Relu"].ms < 0.1 * product.ms
    assert all(n.reason and n.ms == 0 for n in measured.nodes if not n.kernels)
    assert {"Reshape", "Flatten"} <= {n.op_type for n in measured.nodes if not n.kernels}


def test_a_compiled_file_knows_as_much(
    session: fusewright.Session, feed: dict[str, np.ndarray], measured: Profile, tmp_path: Path
) -> None:
    session.save(tmp_path / "m.fw")
    again = profile(fusewright.load(tmp_path / "m.fw", threads=1), feed, seconds=0.1)
    assert [(n.name, n.op_type, n.flop, n.reason) for n in again.nodes] == [
        (n.name, n.op_type, n.flop, n.reason) for n in measured.nodes
    ]
    assert [k.way for k in again.kernels] == [k.way for k in measured.kernels]
    assert all(k.threads == 1 and k.busy is None for k in again.kernels)


def test_wrong_arrays_are_refused_as_by_a_run(session: fusewright.Session) -> None:
    with pytest.raises(InputError, match="missing"):
        profile(session, {}, seconds=0.1)


@pytest.mark.parametrize(
    ("flop", "moved", "limit", "reached"),
    [
        (80e6, 2e6, "compute", 0.8),  # in 1 ms, of 100e6
        (20e6, 16e6, "memory", 0.8),  # of 20e6
        (20e6, 150e6, "cache", 0.75),  # more than memory gives; of 200e6
        (240e6, 2e6, "compute", 2.4),  # work that was avoided
        (5e6, 1e6, "overhead", 0.05),
        (0, 19e6, "memory", 0.95),
    ],
)
def test_the_nearest_roof_is_the_limit(flop: float, moved: float, limit: str, reached: float) -> None:
    found = rates(flop, moved, 1.0, ROOFS)
    assert found.limit == limit and found.reached == pytest.approx(reached)
    assert found.gflops == pytest.approx(flop / 1e6) and found.gbytes == pytest.approx(moved / 1e6)


def test_json_has_the_same_keys_for_ever(measured: Profile) -> None:
    data = json.loads(json.dumps(measured.to_json()))
    assert set(data) == PROFILE_KEYS
    assert all(set(k) == KERNEL_KEYS for k in data["kernels"])
    assert set(data["nodes"][0]) == {
        "name", "op_type", "kernels", "ms", "share", "flop", "bytes", "rates", "reason",
    }  # fmt: skip
    assert set(data["rates"]) == {"gflops", "gbytes", "of_peak", "of_memory", "of_cache", "limit", "reached"}
    assert data["shapes"]["x"] == [64, 96]


def test_the_tables(measured: Profile, capsys: pytest.CaptureFixture[str]) -> None:
    show_profile(measured, 1)
    text = capsys.readouterr().out
    assert "[m].onnx (x=64x96)" in text and "2 threads" in text
    assert f"kernels by time: 1 of {len(measured.kernels)}, --top shows more" in text
    assert "takes no time, because" in text and next(n.reason for n in measured.nodes if not n.kernels) in text
    assert "roofs: " in text and "profiling adds" in text
    show_profile(measured, 100)
    text = capsys.readouterr().out
    assert "more" not in text and all(k.title in text for k in measured.kernels)


def test_the_trace_has_a_track_for_each_thread(measured: Profile) -> None:
    data = json.loads(trace_text(measured))
    events = [e for e in data["traceEvents"] if e["ph"] == "X"]
    assert {e["args"]["kernel"] for e in events} == {k.index for k in measured.kernels}
    assert all({"flop", "bytes", "nodes", "choice", "limit"} <= set(e["args"]) for e in events)
    named = {e["tid"] for e in data["traceEvents"] if e["name"] == "thread_name"}
    for thread in {e["tid"] for e in events}:
        assert thread in named
        track = [e for e in events if e["tid"] == thread]
        assert all(e["ts"] >= 0 and e["dur"] >= 0 for e in track)
        assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-3 for a, b in pairwise(track))


def test_the_picture_is_svg(measured: Profile) -> None:
    root = ElementTree.fromstring(roofline(measured))
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    dots = root.findall(f"{space}circle")
    assert len(dots) == sum(k.flop > 0 for k in measured.kernels)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert all(0 <= float(d.attrib["cx"]) <= width and 0 <= float(d.attrib["cy"]) <= height for d in dots)
    texts = [t.text or "" for t in root.iter(f"{space}text")]
    assert any(t.startswith("[m].onnx") for t in texts) and any("GB/s" in t for t in texts)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    write_text(tmp_path / "a.svg", "one")
    write_text(tmp_path / "a.svg", "two")
    assert (tmp_path / "a.svg").read_text() == "two"
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"--trace .*folder: cannot be written"):
        write_text(tmp_path / "folder", "text", "--trace")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.svg", "folder"]


def test_the_roofs_of_this_machine() -> None:
    with Meter(2) as meter:
        roofs = [meter.measure() for _ in range(2)]
    for r in roofs:
        assert 0.1 < r.clock < 10
        assert 0.5 < r.gflops < 1e5
        assert 0.1 < r.memory < 1e4
        assert r.cache > r.memory / 2  # never slower than memory, were nobody else here


def test_how_much_is_beyond_all_caches(tmp_path: Path) -> None:
    def cache(cpu: int, index: int, level: int, size: str, sharers: str) -> None:
        folder = tmp_path / f"cpu{cpu}" / "cache" / f"index{index}"
        folder.mkdir(parents=True)
        for name, text in (("level", str(level)), ("size", size), ("shared_cpu_list", sharers)):
            (folder / name).write_text(text + "\n")

    for cpu in range(4):
        cache(cpu, 0, 1, "32K", str(cpu))
        cache(cpu, 3, 3, "16384K", "0-1" if cpu < 2 else "2-3")
    assert last_cache_bytes(tmp_path) == 2 * 16384 * 1024
    assert last_cache_bytes(tmp_path / "none") > 0
    assert 0 < memory_bytes() <= 1 << 30
