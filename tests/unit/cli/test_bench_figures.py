"""Times of rounds -> medians, ratios and shares; and the work of a model."""

from __future__ import annotations

import json

import onnx_ir as ir
import pytest

from fusewright.bench.flops import count_flop
from fusewright.bench.result import BenchResult, engine_result, ratios, spread
from fusewright.bench.rounds import Turn
from fusewright.report.bench import show_bench

FACTS = {"version": "1", "load_seconds": 0.5, "first_run_ns": 3e6, "memory_bytes": 2**20}


def rounds_of(**times: list[float]) -> list[dict[str, Turn]]:
    count = len(next(iter(times.values())))
    return [{name: Turn(ms[i] * 1e6, ms[i] * 1e6 * 0.9, 5) for name, ms in times.items()} for i in range(count)]


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that becomes ten times slower changes no ratio."""
    rounds = rounds_of(ours=[10, 100, 10], theirs=[12, 120, 12])
    (ratio,) = ratios(["ours", "theirs"], rounds)
    assert (ratio.engine, ratio.opponent) == ("ours", "theirs")
    assert ratio.ratio.median == pytest.approx(1.2)
    assert ratio.ratio.low == pytest.approx(1.2) and ratio.ratio.high == pytest.approx(1.2)


def test_spread_holds_the_middle() -> None:
    values = [float(v) for v in range(101)]
    assert spread(values[::-1]) == spread(values)
    assert (spread(values).low, spread(values).median, spread(values).high) == (10, 50, 90)
    assert spread([3.0]).low == spread([3.0]).high == 3.0


def test_rates_and_shares() -> None:
    rounds = rounds_of(ours=[10, 10, 20])
    result = engine_result("ours", FACTS, rounds, 10**9, [200.0, 200.0, 100.0], 7.0)
    assert result.median_ms == 10 and result.min_ms == pytest.approx(9) and result.runs == 15
    assert result.gflops == pytest.approx(100)
    assert result.share_of_peak is not None and result.share_of_peak.median == pytest.approx(0.5)
    unknown = engine_result("ours", FACTS, rounds, None, [200.0] * 3)
    assert unknown.gflops is None and unknown.share_of_peak is None


def test_the_report_names_who_is_faster(capsys: pytest.CaptureFixture[str]) -> None:
    rounds = rounds_of(fusewright=[10, 10], onnxruntime=[12, 12], openvino=[8, 8])
    names = ["fusewright", "onnxruntime", "openvino"]
    engines = tuple(engine_result(n, FACTS, rounds, 10**9, [200.0, 200.0]) for n in names)
    result = BenchResult(
        "m.onnx", {"x": (1, 3)}, 1, 2, 1.0, 10**9, spread([200.0]), engines, ratios(names, rounds), {}, {"cpus": 2}
    )
    show_bench(result)
    text = capsys.readouterr().out
    assert "fusewright against onnxruntime: 1.200 (1.200 to 1.200)x of its speed (faster)" in text
    assert "fusewright against openvino: 0.800 (0.800 to 0.800)x of its speed (slower)" in text
    assert "1 MiB" in text and "10.000 ms" in text
    assert json.loads(json.dumps(result.to_json()))["ratios"][0]["opponent"] == "onnxruntime"


@pytest.mark.parametrize(
    ("text", "flop"),
    [
        # 2 * outputs * (channels of the group * filter)
        ("(float[1,8,10,10] x, float[16,4,3,3] w) => (float[1,16,8,8] y) { y = Conv<group = 2>(x, w) }", 2 * 1024 * 36),
        ("(float[1,4,5,5] x, float[4,6,2,2] w) => (float[1,6,6,6] y) { y = ConvTranspose(x, w) }", 2 * 100 * 24),
        ("(float[7,3,4] a, float[4,5] b) => (float[7,3,5] y) { y = MatMul(a, b) }", 2 * 105 * 4),
        ("(float[4,3] a, float[4,5] b) => (float[3,5] y) { y = Gemm<transA = 1>(a, b) }", 2 * 15 * 4),
        ("(float[2,3] a) => (float[2,3] y) { y = Relu(a) }", 0),
        ("(float[N,4] a, float[4,5] b) => (float[N,5] y) { y = MatMul(a, b) }", None),
        (
            "(float[9,2,3] x, float[1,20,3] w, float[1,20,5] r) => (float[9,1,2,5] y)"
            "{ y = LSTM<hidden_size = 5>(x, w, r) }",
            2 * 18 * (60 + 100),
        ),
        (
            "(float[1,2,5,8] q, float[1,2,7,8] k, float[1,2,7,4] v) => (float[1,2,5,4] y){ y = Attention(q, k, v) }",
            2 * 10 * 7 * 12,
        ),
    ],
)
def test_work(text: str, flop: int | None) -> None:
    model = ir.from_onnx_text(f'<ir_version: 10, opset_import: ["": 23]> g {text}')
    assert count_flop(model) == flop
