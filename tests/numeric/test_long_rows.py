"""Convolutions along one dimension: a long row is staged part by part, and shared between threads."""

from __future__ import annotations

from typing import Any

import pytest
from branches import Graph, check

import fusewright as fw

# channels in and out, length, taps, attributes
CASES: list[tuple[int, int, int, int, dict[str, Any]]] = [
    (1, 8, 20001, 9, {"strides": [3], "pads": [4, 4]}),
    (16, 16, 3000, 3, {"pads": [1, 1]}),
    (16, 8, 2999, 11, {"dilations": [5], "pads": [25, 25]}),
    (24, 12, 2500, 4, {"group": 2, "pads": [2, 1]}),
    (8, 8, 4001, 3, {"pads": [2, 0]}),
    (8, 8, 4001, 3, {"pads": [0, 2], "strides": [2]}),
    (5, 7, 3001, 5, {}),
    (8, 8, 3000, 3, {"dilations": [512], "pads": [1024, 0]}),
    (8, 8, 3000, 2, {"dilations": [2999], "pads": [2999, 2999]}),  # most of what the filter reaches is padding
    (8, 4, 2500, 3, {"pads": [2600, 2600]}),  # whole parts of it too
]


def add(graph: Graph, case: tuple[int, int, int, int, dict[str, Any]], layout: str) -> None:
    channels, out, length, taps, attributes = case
    x = graph.input(graph.normal(1, channels, length))
    if layout == "last":
        x = graph.channels_last(x, channels, 3)
    if layout == "computed":
        x = graph.node("LeakyRelu", graph.channels_last(x, channels, 3))[0]
        graph.output(x, 3)  # so that the kernel before it does not do it
    w = graph.weight(graph.normal(out, channels // attributes.get("group", 1), taps))
    graph.output(graph.node("Relu", graph.node("Conv", x, w, **attributes)[0])[0], 3)


@pytest.mark.parametrize(("threads", "open_extents"), [(1, False), (2, False), (3, True)])
@pytest.mark.parametrize("layout", ["first", "last", "computed"])
def test_long_rows(threads: int, open_extents: bool, layout: str) -> None:
    graph = Graph(open=open_extents)
    for case in CASES:
        add(graph, case, layout)
    check(graph, threads)


def test_rows_of_one_line_pictures() -> None:
    graph = Graph()
    x = graph.channels_last(graph.input(graph.normal(1, 16, 1, 3000)), 16, 4)
    for taps, pads in (((1, 5), [0, 2, 0, 2]), ((3, 3), [1, 1, 1, 1])):
        y = graph.node("Conv", x, graph.weight(graph.normal(8, 16, *taps)), pads=pads)[0]
        graph.output(y, 4)
    check(graph, 2)


@pytest.mark.parametrize("pads", [[0, 0], [2, 2]])
def test_threads_share_a_row(pads: list[int]) -> None:
    graph = Graph()
    x = graph.input(graph.normal(1, 8, 12288))
    graph.output(graph.node("Conv", x, graph.weight(graph.normal(8, 8, 5)), dilations=[3], pads=pads)[0], 3)
    session = fw.compile(graph.model(), threads=2)
    session.run(None, graph.feeds)
    plans = [ready.plan for ready in session.programs if ready.plan is not None]
    assert [note.shares for plan in plans for note in plan.notes if note.kind == "contraction"] == [2]
