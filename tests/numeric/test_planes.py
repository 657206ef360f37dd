"""Do first layers, which read an image in planes, agree with onnxruntime: odd sizes, threads, targets, chains?"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnxruntime
import pytest
from branches import Graph, check
from narrowed import RUNNABLE, narrowed

import fusewright as fw
from fusewright.schedules import winograd_ways
from fusewright.schedules.planes_shape import Shape

__all__ = ["narrowed"]

# channels, filters, height and width, taps, steps, pads, batch
CASES = [
    (3, 32, (224, 224), (3, 3), (2, 2), (1, 1, 1, 1), 1),
    (3, 16, (17, 225), (3, 3), (2, 2), (0, 0, 1, 1), 2),
    (3, 33, (48, 31), (3, 3), (1, 1), (1, 1, 1, 1), 1),
    (1, 8, (28, 28), (5, 3), (2, 2), (2, 1, 2, 1), 3),
    (4, 64, (3, 3), (3, 3), (2, 2), (1, 1, 1, 1), 1),
    (3, 1, (2, 17), (3, 3), (1, 2), (1, 0, 1, 0), 1),
]
KINDS = ["none", "relu", "silu", "hard swish"]


def add_case(graph: Graph, case: tuple[Any, ...], kind: str) -> None:
    channels, filters, extents, taps, steps, pads, batch = case
    x = graph.input(graph.normal(batch, channels, *extents))
    inputs = [x, graph.weight(graph.normal(filters, channels, *taps))]
    if kind != "none":
        inputs.append(graph.weight(graph.normal(filters)))
    y = graph.node("Conv", *inputs, strides=steps, pads=pads)[0]
    if kind == "silu":
        y = graph.node("Mul", y, graph.node("Sigmoid", y)[0])[0]
    elif kind != "none":
        y = graph.node("Relu" if kind == "relu" else "HardSwish", y)[0]
    graph.output(y, 4)


@pytest.fixture
def wherever_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shape, "cycles", 0.0)
    monkeypatch.setattr(winograd_ways, "NEAR", 1 << 20)


def names(session: fw.Session) -> list[str]:
    plan = session.programs[0].plan
    assert plan is not None
    return [choice.chosen.name for note in plan.notes for choice in note.choices]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_planes(kind: int, threads: int, wherever_possible: None) -> None:
    graph = Graph()
    for i, case in enumerate(CASES):
        add_case(graph, case, KINDS[(i + kind) % len(KINDS)])
    assert names(fw.compile(graph.model())).count("winograd 2x2 of planes") == len(CASES)
    check(graph, threads)


@pytest.mark.parametrize("target", RUNNABLE)
def test_vectors_of_every_width(
    target: str, wherever_possible: None, narrowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSEWRIGHT_TARGET", target)
    graph = Graph()
    for case, kind in zip(CASES, KINDS * 2, strict=False):
        add_case(graph, case, kind)
    check(graph, 2)


def mobile(size: int = 224) -> Graph:
    """The first block of a network for phones."""
    graph = Graph()
    x = graph.input(graph.normal(1, 3, size, size))
    x = graph.node("Conv", x, graph.weight(graph.normal(32, 3, 3, 3)), strides=[2, 2], pads=[1] * 4)[0]
    x = graph.node("Relu", x)[0]
    x = graph.node("Conv", x, graph.weight(graph.normal(32, 1, 3, 3)), group=32, pads=[1] * 4)[0]
    x = graph.node("Relu", x)[0]
    x = graph.node("Conv", x, graph.weight(graph.normal(16, 32, 1, 1)))[0]
    graph.output(graph.node("GlobalAveragePool", x)[0], 4)
    return graph


@pytest.mark.parametrize("threads", [1, 2])
def test_the_image_is_read_by_a_chain(threads: int, narrowed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSEWRIGHT_TARGET", "avx512")
    graph = mobile()
    session = fw.compile(graph.model(), threads=threads)
    made = session.describe()
    assert any([n.op_type for n in k.nodes].count("Conv") == 3 for k in made.kernels)
    assert made.memory is not None and made.memory.arena < 1_600_000  # 32 channels of 112x112
    assert any(re.match(r"depth first \(relative error \d\.\de-0[78]\)", d.reason) for d in made.decisions)
    if "avx512" in RUNNABLE:
        check(graph, threads)


def test_off_means_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph()
    add_case(graph, CASES[0], "relu")
    (found,) = [name for name in names(fw.compile(graph.model())) if "planes" in name]
    assert re.fullmatch("winograd 2x2 of planes", found)
    monkeypatch.setenv("FUSEWRIGHT_WINOGRAD", "off")
    assert not any("planes" in name for name in names(fw.compile(graph.model())))
    made = fw.compile(mobile().model()).describe()
    assert not any([n.op_type for n in k.nodes].count("Conv") == 3 for k in made.kernels)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_near_its_tiles(value: float, wherever_possible: None) -> None:
    graph = Graph()
    add_case(graph, (3, 16, (64, 64), (3, 3), (2, 2), (1, 1, 1, 1), 1), "none")
    model, (name,) = graph.model(), graph.feeds
    session = fw.compile(model)
    clean = session.run(None, graph.feeds)[0]
    graph.feeds[name][0, :, 31, 12] = value
    reference = onnxruntime.InferenceSession(model.SerializeToString()).run(None, graph.feeds)[0]
    got = session.run(None, graph.feeds)[0]
    assert not np.isfinite(got[~np.isfinite(reference)]).any()
    far = np.ones((32, 32), bool)
    far[15 - 2 : 15 + 3, 6 - 2 : 6 + 3] = False
    np.testing.assert_array_equal(got[:, :, far], clean[:, :, far])
