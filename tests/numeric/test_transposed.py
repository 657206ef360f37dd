"""Do transposed convolutions agree with onnxruntime: strides, pads, dilations, groups, output sizes, epilogues?"""

from __future__ import annotations

from typing import Any

import pytest
from branches import Graph, check

# channels in and out, input extents, filter, attributes
CASES: list[tuple[int, int, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    (24, 24, (10, 7), (2, 2), {"strides": [2, 2]}),
    (24, 1, (9, 16), (2, 2), {"strides": [2, 2]}),
    (8, 20, (6, 5), (3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    (5, 33, (7, 4), (4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    (4, 6, (5, 6), (3, 2), {"strides": [1, 3], "dilations": [2, 2], "pads": [2, 0, 1, 1]}),
    (4, 6, (5, 6), (1, 2), {"strides": [3, 4]}),
    (6, 8, (4, 4), (3, 3), {"strides": [2, 2], "pads": [3, 3, 2, 2], "group": 2}),
    (12, 12, (4, 5), (4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1], "group": 12}),
    (33, 33, (7, 5), (3, 2), {"strides": [2, 3], "pads": [3, 1, 0, 0], "dilations": [1, 2], "group": 33}),
    (7, 18, (11,), (5,), {"strides": [3], "pads": [2, 1], "output_padding": [2]}),
    (3, 5, (3, 4, 2), (2, 3, 3), {"strides": [2, 1, 2], "pads": [0, 1, 1, 1, 1, 0]}),
    (4, 9, (5, 5), (3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    (4, 9, (5, 5), (3, 3), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    (4, 9, (1, 1), (3, 3), {"strides": [2, 2], "auto_pad": "VALID"}),
]


def add(graph: Graph, case: tuple[int, int, tuple[int, ...], tuple[int, ...], dict[str, Any]], i: int) -> None:
    channels, out, extents, taps, attributes = case
    rank = 2 + len(extents)
    x = graph.input(graph.normal(1 + i % 2, channels, *extents))
    if i % 3:
        x = graph.channels_last(x, channels, rank)
    inputs = [x, graph.weight(graph.normal(channels, out // attributes.get("group", 1), *taps))]
    if i % 2 == 0:
        inputs.append(graph.weight(graph.normal(out)))
    y = graph.node("ConvTranspose", *inputs, **attributes)[0]
    if i % 4 == 1:
        y = graph.node("Sigmoid", y)[0]
    if i % 4 == 2:
        y = graph.node("Add", graph.node("Relu", y)[0], y)[0]
    graph.output(y, rank)


@pytest.mark.parametrize(("threads", "open_extents"), [(1, False), (2, False), (2, True)])
def test_conv_transpose(threads: int, open_extents: bool) -> None:
    graph = Graph(open=open_extents)
    for i, case in enumerate(CASES):
        add(graph, case, i)
    check(graph, threads)


def test_output_shape_decides_the_pads() -> None:
    graph = Graph()
    for auto_pad, shape in (("NOTSET", [10, 8]), ("SAME_UPPER", [9, 11]), ("SAME_LOWER", [9, 11])):
        x, w = graph.input(graph.normal(1, 4, 5, 5)), graph.weight(graph.normal(4, 6, 3, 3))
        y = graph.node("ConvTranspose", x, w, strides=[2, 2], output_shape=shape, auto_pad=auto_pad)[0]
        graph.output(y, 4)
    check(graph, 1)


def test_filters_computed_at_run_time() -> None:
    graph = Graph()
    for strides, pads in (([2, 2], [1, 1, 0, 0]), ([2, 3], [4, 4, 0, 0])):
        x, w = graph.input(graph.normal(2, 4, 6, 5)), graph.input(graph.normal(4, 10, 3, 3))
        graph.output(graph.node("ConvTranspose", x, w, strides=strides, pads=pads, group=2)[0], 4)
        u = graph.input(graph.normal(4, 1, 3, 3))
        graph.output(graph.node("ConvTranspose", x, u, strides=strides, pads=pads, group=4)[0], 4)
        v = graph.input(graph.normal(20, 2, 3, 2))
        graph.output(graph.node("Conv", x, v, strides=strides, pads=[1, 1, 0, 0], group=2)[0], 4)
    check(graph, 2)
