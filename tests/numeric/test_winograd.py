"""Do Winograd's convolutions agree with onnxruntime: odd sizes, pads, batches, threads, open extents, epilogues?"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnxruntime
import pytest
from branches import Graph, check
from paired_cases import adding, winograd_in_pairs

import fusewright as fw
from fusewright.plan.planner import Plan
from fusewright.schedules import winograd_ways
from fusewright.target import host

__all__ = ["winograd_in_pairs"]

# channels in, channels out, input extents, filter, pads, batch
CASES = [
    (32, 64, (56, 56), (3, 3), (1, 1, 1, 1), 1),
    (64, 48, (14, 14), (3, 3), (1, 1, 1, 1), 3),
    (64, 70, (7, 7), (3, 3), (1, 1, 1, 1), 2),
    (48, 96, (17, 3), (3, 3), (0, 2, 1, 0), 1),
    (33, 35, (2, 2), (3, 3), (1, 1, 1, 1), 1),
    (40, 20, (5, 31), (3, 3), (0, 0, 0, 0), 2),
    (32, 40, (13, 24), (5, 5), (2, 2, 2, 2), 1),
    (32, 33, (10, 11), (1, 3), (0, 1, 0, 1), 1),
    (32, 64, (9, 30), (3, 1), (1, 0, 1, 0), 2),
    (64, 64, (50,), (3,), (1, 1), 2),
    (32, 17, (12, 12), (2, 4), (1, 1, 0, 2), 1),
    (160, 130, (23, 19), (3, 3), (1, 1, 1, 1), 1),
]
KINDS = ["none", "bias", "relu", "residual", "silu", "scaled"]


def add_case(graph: Graph, case: tuple[Any, ...], kind: str) -> None:
    ci, co, extents, taps, pads, batch = case
    rank = 2 + len(extents)
    x = graph.channels_last(graph.input(graph.normal(batch, ci, *extents)), ci, rank)
    inputs = [x, graph.weight(graph.normal(co, ci, *taps))]
    if kind != "none":
        inputs.append(graph.weight(graph.normal(co)))
    y = graph.node("Conv", *inputs, pads=pads)[0]
    if kind in ("relu", "residual"):
        if kind == "residual":
            out = [n + a + b - t + 1 for n, t, a, b in zip(extents, taps, pads, pads[len(taps) :], strict=False)]
            y = graph.node("Add", y, graph.channels_last(graph.input(graph.normal(batch, co, *out)), co, rank))[0]
        y = graph.node("Relu", y)[0]
    if kind == "silu":
        y = graph.node("Mul", y, graph.node("Sigmoid", y)[0])[0]
    if kind == "scaled":
        y = graph.node("Add", graph.node("Mul", y, graph.weight(graph.normal(co, *(1,) * (rank - 2))))[0], y)[0]
    graph.output(y, rank)


@pytest.fixture
def outputs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Only this size of tiles, wherever it is possible: neither cost nor error stands against it."""
    monkeypatch.setattr(winograd_ways, "OUTPUTS", (request.param,))
    monkeypatch.setattr(winograd_ways, "direct_cycles", lambda task, c: float("inf"))
    monkeypatch.setattr("fusewright.schedules.conv.direct_cycles", lambda task, c: float("inf"))
    monkeypatch.setattr("fusewright.schedules.conv.pairs", lambda task, c, bias: [])
    monkeypatch.setenv("FUSEWRIGHT_WINOGRAD", "1e-4")
    made: tuple[int, int] = request.param
    return made


def fits(taps: tuple[int, ...], outputs: tuple[int, int]) -> bool:
    """Whether a column of inputs and one of sums stay in the registers of this machine."""
    outputs_of = zip(outputs[-len(taps) :], taps, strict=True)
    return all(r == 1 or 2 * (m + r - 1) < host().vector_registers for m, r in outputs_of)


SIZES = [((2, 2), 2), ((3, 3), 1), ((2, 4), 2), ((4, 4), 1), ((4, 4), 3)]


@pytest.mark.parametrize("open_extents", [False, True], ids=["fixed", "open"])
@pytest.mark.parametrize(("outputs", "threads"), SIZES, indirect=["outputs"])
def test_winograd(outputs: tuple[int, int], threads: int, open_extents: bool) -> None:
    graph = Graph(open=open_extents)
    for i, case in enumerate(CASES):
        add_case(graph, case, KINDS[(i + sum(outputs) + threads) % len(KINDS)])
    expected = sum(fits(taps, outputs) for _, _, _, taps, _, _ in CASES)
    assert used_kernels(graph, threads).count("winograd") == expected >= len(CASES) - 1
    check(graph, threads)


@pytest.mark.parametrize("open_extents", [False, True], ids=["fixed", "open"])
@pytest.mark.parametrize(("outputs", "threads"), SIZES, indirect=["outputs"])
def test_in_pairs(
    outputs: tuple[int, int],
    winograd_in_pairs: None,
    threads: int,
    open_extents: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fusewright.compiler.host", lambda: adding(host()))
    graph = Graph(open=open_extents)
    for i, case in enumerate(CASES):
        add_case(graph, case, KINDS[(i + sum(outputs) + threads) % len(KINDS)])
    chosen = [c.chosen.name for note in planned(graph, threads).notes for c in note.choices]
    assert sum(name.endswith("in pairs") for name in chosen) >= 4  # the others have too few tiles
    check(graph, threads)


def planned(graph: Graph, threads: int) -> Plan:
    session = fw.compile(graph.model(), threads=threads)
    session.run(None, graph.feeds)
    plan = session.programs[0].plan
    assert plan is not None
    return plan


def used_kernels(graph: Graph, threads: int) -> list[str]:
    return [note.symbol.split("_")[1] for note in planned(graph, threads).notes]


@pytest.mark.parametrize("target", ["avx2", "sse2"])
@pytest.mark.parametrize("outputs", [(4, 4)], indirect=True)
def test_narrow_vectors(target: str, outputs: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSEWRIGHT_TARGET", target)
    graph = Graph()
    for case, kind in zip(CASES[:6], KINDS, strict=True):
        add_case(graph, case, kind)
    assert used_kernels(graph, 2).count("winograd") == 6
    check(graph, 2)


def one_layer() -> Graph:
    graph = Graph()
    x = graph.channels_last(graph.input(graph.normal(1, 64, 28, 28)), 64, 4)
    graph.output(graph.node("Conv", x, graph.weight(graph.normal(64, 64, 3, 3)), pads=[1] * 4)[0], 4)
    return graph


def test_off_means_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "winograd" in used_kernels(one_layer(), 1)
    monkeypatch.setenv("FUSEWRIGHT_WINOGRAD", "off")
    assert "winograd" not in used_kernels(one_layer(), 1)


def test_a_limit_takes_smaller_tiles_and_then_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def choice(limit: str) -> str:
        monkeypatch.setenv("FUSEWRIGHT_WINOGRAD", limit)
        plan = fw.compile(one_layer().model(), threads=1).programs[0].plan
        assert plan is not None
        made = [d.reason for d in plan.log.decisions if d.what == "schedule" and "winograd" in d.reason]
        return made[0].split(":")[0] if made else "direct"

    assert re.match(r"winograd 4x4( in pairs)? \(relative error ", choice("2e-6"))
    assert re.match(r"winograd 2x2( in pairs)? \(relative error ", choice("2e-7"))
    assert choice("1e-8") == "direct"


def test_what_is_not_finite_stays_near_its_tiles() -> None:
    """Pixels that read an infinity or NaN are not finite; others are untouched beyond the tiles that read it."""
    graph = one_layer()
    (name,) = graph.feeds
    model = graph.model()
    session = fw.compile(model, threads=1)
    clean = session.run(None, graph.feeds)[0]
    graph.feeds[name] = graph.feeds[name].copy()
    graph.feeds[name][0, :, 13, 5] = np.inf
    reference = onnxruntime.InferenceSession(model.SerializeToString()).run(None, graph.feeds)[0]
    got = session.run(None, graph.feeds)[0]
    assert not np.isfinite(got[~np.isfinite(reference)]).any()
    far = np.ones((28, 28), bool)
    far[13 - 5 : 13 + 6, 0 : 5 + 6] = False
    np.testing.assert_array_equal(got[:, :, far], clean[:, :, far])
