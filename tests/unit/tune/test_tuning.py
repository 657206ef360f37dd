"""Does `fusewright tune` measure a real model, write what it found, and does a compilation use it?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import pytest

import fusewright
from fusewright import cli
from fusewright.frontend.onnx import load
from fusewright.plan import weights
from fusewright.target import host
from fusewright.tune.database import here, read
from fusewright.tuning import tune_model

ROWS, K, COLUMNS = 30, 40, 100


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of a size, a cache of its own, no setting of the person who runs the tests, and one arithmetic, so
    that tiles are what there is to choose."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FUSEWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("FUSEWRIGHT_TUNING", raising=False)
    monkeypatch.setenv("FUSEWRIGHT_WINOGRAD", "off")
    w = np.random.default_rng(0).standard_normal((K, COLUMNS)).astype(np.float32)
    v = np.random.default_rng(1).standard_normal((COLUMNS, K)).astype(np.float32)
    nodes = [
        oh.make_node("MatMul", ["x", "w"], ["h"]),
        oh.make_node("Relu", ["h"], ["r"]),
        oh.make_node("MatMul", ["r", "v"], ["s"]),
        oh.make_node("MatMul", ["s", "w"], ["y"]),
    ]
    graph = oh.make_graph(
        nodes, "g",
        [oh.make_tensor_value_info("x", 1, ["rows", K])], [oh.make_tensor_value_info("y", 1, ["rows", COLUMNS])],
        [onnx.numpy_helper.from_array(w, "w"), onnx.numpy_helper.from_array(v, "v")],
    )  # fmt: skip
    onnx.save(oh.make_model(graph, opset_imports=[oh.make_opsetid("", 21)], ir_version=10), "model.onnx")
    fixed = onnx.load("model.onnx")
    for port in (*fixed.graph.input, *fixed.graph.output):
        port.type.tensor_type.shape.dim[0].dim_value = ROWS
    onnx.save(fixed, "fixed.onnx")
    return tmp_path / "fixed.onnx"


def call(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(words))
    out, err = capfd.readouterr()
    return int(ended.value.code or 0), out, err


def test_it_measures_and_remembers(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd, "tune", "fixed.onnx", "--threads", "1", "--seconds", "20", "--json")
    found = json.loads(out)
    assert code == 0 and found["database"] == str(model.parent / "cache" / "tuning.json")
    assert found["model_microseconds"]["default"] > 0 and found["ratio"] > 0 and found["variants"] >= 1
    rows = read(Path(found["database"])).machines[here(host(), 1)]
    assert rows.keys() == found["kernels"].keys()
    row = rows[f"tile matmul f32 {ROWS}x{K}x{COLUMNS}"]
    measured = [o for o in found["kernels"][f"tile matmul f32 {ROWS}x{K}x{COLUMNS}"]["options"] if o["measured"]]
    assert len(measured) >= 2 and {o["name"] for o in measured} == row.microseconds.keys()
    assert all(t > 0 for t in row.microseconds.values())


def test_a_compilation_takes_what_is_best(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(2).standard_normal((ROWS, K)).astype(np.float32)
    session = fusewright.compile(model, threads=1)
    before = session(x)
    call(capfd, "tune", "fixed.onnx", "--threads", "1", "--seconds", "5")
    path = model.parent / "cache" / "tuning.json"
    data = json.loads(path.read_text())
    kernels = data["machines"][0]["kernels"]
    key = f"tile matmul f32 {ROWS}x{K}x{COLUMNS}"
    other = next(o for o in kernels[key]["microseconds"] if o != kernels[key]["default"])
    kernels[key]["best"] = other
    path.write_text(json.dumps(data))
    tuned = fusewright.compile(model, threads=1)
    reasons = [d.reason for d in tuned.describe().decisions if d.what == "schedule"]
    assert any(r.startswith(f"{other}") and "measured" in r for r in reasons)
    assert any(d.what == "tuning" and d.made for d in tuned.describe().decisions)
    np.testing.assert_allclose(tuned(x), before, rtol=1e-5, atol=1e-4)
    several = fusewright.compile(model, threads=2)  # was not tuned for
    assert not any("measured" in d.reason for d in several.describe().decisions if d.what == "schedule")


def test_a_compiled_file_goes_on_with_what_it_was_made_with(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its kernels are those of the measured choices: a new size must find them, without a compiler."""
    assert call(capfd, "tune", "model.onnx", "--shape", "rows=30", "--threads", "1", "--seconds", "5")[0] == 0
    path = model.parent / "cache" / "tuning.json"
    data = json.loads(path.read_text())
    changed = 0
    for row in data["machines"][0]["kernels"].values():
        if row["default"] != (other := max(row["microseconds"], key=lambda o: (o != row["default"], o))):
            row["best"], changed = other, changed + 1
    assert changed
    path.write_text(json.dumps(data))
    fusewright.compile("model.onnx", shapes={"x": (ROWS, K)}, threads=1).save("model.fw")
    path.unlink()
    opened = fusewright.load("model.fw")
    x = np.random.default_rng(2).standard_normal((77, K)).astype(np.float32)
    addresses = dict(opened.planner.addresses)  # type: ignore[union-attr]
    y = opened(x)
    assert opened.planner.addresses == addresses  # type: ignore[union-attr]
    np.testing.assert_allclose(y, fusewright.compile("model.onnx", threads=1)(x), rtol=1e-5, atol=1e-4)


def test_variants_share_what_they_pack_alike(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[int] = []
    seal = weights.WeightStore.seal

    def watched(store: weights.WeightStore) -> None:
        blocks.append(id(store))
        seal(store)

    monkeypatch.setattr(weights.WeightStore, "seal", watched)
    x = np.zeros((ROWS, K), np.float32)
    found = tune_model(load(model), {"x": x}, 1, seconds=10, database=Path("db.json"))
    assert found["variants"] >= 1 and len(set(blocks)) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("tune", "MODEL"),
        ("tune model.onnx", "open dimensions are not bound"),
        ("tune none.onnx", "none.onnx"),
        ("tune fixed.onnx --database text.json", "cannot be read as a tuning database"),
        ("tune --merge none.json --database out.json", "none.json"),
        ("tune --merge none.json", "expected --merge FILE... --database OUT"),
        ("tune fixed.onnx --merge none.json --database out.json", "no MODEL"),
    ],
)
def test_what_a_user_does_wrong(words: str, said: str, model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("text.json").write_text("hello")
    code, out, err = call(capfd, *words.split())
    assert (code, out) == (2, "") and said in err, err
    assert not Path("out.json").exists() and Path("text.json").read_text() == "hello"


def test_off_there_is_nothing_to_write(
    model: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSEWRIGHT_TUNING", "off")
    code, _, err = call(capfd, "tune", "fixed.onnx")
    assert code == 2 and "name one with --database" in err


def test_databases_are_merged(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    call(capfd, "tune", "fixed.onnx", "--threads", "1", "--seconds", "3", "--database", "one.json")
    code, out, _ = call(capfd, "tune", "--merge", "one.json", "--database", "all.json")
    assert code == 0 and "choices for" in out and read(Path("all.json")) == read(Path("one.json"))


def test_equal_keys_are_the_same_work(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions to the same extents: steps, gaps and scaled inputs leave other ways to compute them."""
    monkeypatch.setenv("FUSEWRIGHT_WINOGRAD", "1e-4")
    ranges = np.random.default_rng(2)
    sources = {"x": (1, 32, 28, 28), "z": (1, 32, 14, 14), "s": (1, 32, 1, 1)}
    nodes = [
        oh.make_node("Conv", ["x", "w"], ["stepping"], strides=[2, 2], pads=[1] * 4),
        oh.make_node("Conv", ["z", "w"], ["plain"], pads=[1] * 4),
        oh.make_node("Conv", ["z", "w"], ["gaps"], pads=[2] * 4, dilations=[2, 2]),
        oh.make_node("Mul", ["z", "s"], ["scaled"]),
        oh.make_node("Conv", ["scaled", "w"], ["of_scaled"], pads=[1] * 4),
        oh.make_node("Sin", ["z"], ["computed"]),
        oh.make_node("Conv", ["computed", "w"], ["of_computed"], pads=[1] * 4),
    ]
    w = onnx.numpy_helper.from_array(ranges.standard_normal((32, 32, 3, 3)).astype(np.float32), "w")
    made = ["stepping", "plain", "gaps", "of_scaled", "of_computed"]
    graph = oh.make_graph(
        nodes, "g", [oh.make_tensor_value_info(name, 1, shape) for name, shape in sources.items()],
        [oh.make_tensor_value_info(name, 1, (1, 32, 14, 14)) for name in made], [w],
    )  # fmt: skip
    onnx.save(oh.make_model(graph, opset_imports=[oh.make_opsetid("", 21)], ir_version=10), "convolutions.onnx")
    session = fusewright.compile("convolutions.onnx", threads=1)
    session.run(None, {name: np.ones(shape, np.float32) for name, shape in sources.items()})
    plan = session.programs[0].plan
    assert plan is not None
    choices = [choice for note in plan.notes for choice in note.choices if choice.key.startswith("conv ")]
    offered = {choice.key: {option.name for option in choice.options} for choice in choices}
    assert len(choices) >= 2 and "conv f32 32x3x3x32/2 to 1x14x14" in offered
    assert all(offered[choice.key] == {option.name for option in choice.options} for choice in choices)
