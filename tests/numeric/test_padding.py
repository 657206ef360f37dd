"""Do convolutions agree with onnxruntime where whole rows, slices and taps of their filters lie in the padding?"""

from __future__ import annotations

from typing import Any

import pytest
from branches import Graph, check

# channels in and out, input extents, filter, attributes
CONVOLUTIONS: list[tuple[int, int, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    (32, 48, (20, 20), (3, 3), {"pads": [12, 12, 12, 12], "dilations": [12, 12]}),
    (17, 33, (20, 17), (3, 3), {"pads": [24, 6, 24, 6], "dilations": [24, 6]}),  # rows that never meet the picture
    (16, 16, (7, 7), (5, 5), {"pads": [2, 2, 2, 2]}),
    (24, 40, (14, 9), (3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    (12, 20, (9, 11), (3, 3), {"pads": [4, 4, 4, 4], "dilations": [4, 4], "strides": [2, 3]}),
    (8, 16, (3, 4), (3, 3), {"pads": [6, 0, 5, 9]}),  # rows and columns of the result that read padding alone
    (32, 32, (6, 6), (3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2], "group": 2}),
    (6, 8, (1, 5, 7), (3, 3, 3), {"pads": [1, 1, 1, 1, 1, 1]}),
    (6, 8, (2, 5, 7), (3, 3, 3), {"pads": [4, 1, 1, 3, 1, 1], "strides": [1, 2, 1]}),
    (4, 8, (31,), (5,), {"pads": [16, 16], "dilations": [8]}),
]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("open_extents", [False, True])
def test_convolutions(threads: int, open_extents: bool) -> None:
    graph = Graph(open=open_extents)
    for i, (ci, co, extents, taps, attributes) in enumerate(CONVOLUTIONS):
        rank = 2 + len(extents)
        x = graph.channels_last(graph.input(graph.normal(1 + i % 2, ci, *extents)), ci, rank)
        filters = graph.weight(graph.normal(co, ci // attributes.get("group", 1), *taps))
        y = graph.node("Conv", x, filters, graph.weight(graph.normal(co)), **attributes)[0]
        graph.output(graph.node("Relu", y)[0], rank)
    check(graph, threads)
