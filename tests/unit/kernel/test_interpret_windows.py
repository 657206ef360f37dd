"""Do convolutions, transposed ones and pooling compute what ONNX says? No C is compiled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernel_cases import TARGETS, Case, check, extents, floats, layouts, node, widths
from schedule_cases import with_means

from fusewright.target.target import Target
from fusewright.target.x86 import AVX2, AVX512

Geometry = tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]  # the input, the filters, the attributes

CONVOLUTIONS: dict[str, Geometry] = {
    "1x1": ((1, 5, 3, 7), (17, 5, 1, 1), {}),
    "1x1 of a batch": ((3, 3, 2, 5), (3, 3, 1, 1), {}),
    "1x1 strided": ((1, 3, 5, 7), (17, 3, 1, 1), {"strides": [2, 2]}),
    "1x1 strided to narrow rows": ((1, 3, 13, 14), (33, 3, 1, 1), {"strides": [2, 2]}),
    "3x3 strided to narrow rows": (
        (2, 3, 13, 14), (33, 3, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1]},
    ),
    "3x3 of narrow rows": ((1, 3, 8, 7), (17, 3, 3, 3), {"pads": [2, 1, 0, 1]}),
    "narrow rows, dilated": ((1, 3, 9, 7), (17, 3, 3, 3), {"pads": [3, 2, 3, 2], "dilations": [3, 2]}),
    "narrow rows, grouped": ((1, 32, 7, 7), (32, 16, 3, 3), {"pads": [1] * 4, "group": 2}),
    "3x3": ((1, 3, 5, 9), (17, 3, 3, 3), {}),
    "3x3 padded": ((2, 3, 4, 5), (17, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    "3x3 padded unevenly": ((1, 3, 4, 5), (3, 3, 3, 3), {"pads": [0, 2, 1, 0]}),
    "same": ((1, 3, 5, 6), (3, 3, 3, 2), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "strided": ((1, 3, 7, 9), (17, 3, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "dilated": ((1, 3, 7, 9), (3, 3, 3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
    "grouped": ((1, 6, 4, 5), (34, 3, 3, 3), {"pads": [1, 1, 1, 1], "group": 2}),
    "narrow groups": ((1, 12, 4, 5), (18, 2, 3, 3), {"pads": [1, 1, 1, 1], "group": 6}),
    "grouped 1x1": ((2, 6, 3, 5), (6, 2, 1, 1), {"group": 3}),
    "one channel": ((1, 1, 5, 5), (3, 1, 3, 3), {"pads": [1, 1, 1, 1]}),
    "one pixel": ((1, 17, 1, 1), (3, 17, 1, 1), {}),
    "one column": ((1, 3, 9, 1), (5, 3, 3, 1), {"pads": [1, 0, 1, 0]}),
    "many columns": ((1, 2, 2, 37), (3, 2, 1, 3), {"pads": [0, 1, 0, 1]}),
    "border beyond the input": ((1, 2, 1, 1), (3, 2, 5, 5), {"pads": [2, 2, 2, 2]}),
    "taps far apart": ((1, 3, 5, 13), (17, 3, 3, 3), {"pads": [4, 4, 4, 4], "dilations": [4, 4]}),
    "taps far apart, strided": ((1, 3, 9, 11), (5, 3, 3, 3), {"pads": [4] * 4, "dilations": [4, 4], "strides": [2, 3]}),
    "rows of padding alone": ((2, 3, 4, 5), (5, 3, 3, 3), {"pads": [5, 0, 7, 3]}),
    "3-D, slices of padding alone": ((1, 2, 2, 4, 5), (3, 2, 3, 3, 2), {"pads": [4, 1, 0, 3, 1, 0]}),
    "1-D": ((2, 3, 9), (17, 3, 3), {"pads": [1, 1], "strides": [2]}),
    "1-D of one position": ((1, 5, 3), (3, 5, 3), {}),
    "3-D": ((1, 2, 3, 4, 5), (3, 2, 2, 3, 3), {"pads": [0, 1, 1, 1, 1, 1]}),
    "3-D strided": ((1, 2, 5, 4, 5), (3, 2, 3, 1, 2), {"strides": [2, 1, 2], "pads": [1, 0, 0, 1, 0, 1]}),
}


ON_EVERY_WIDTH = {
    "1x1", "1x1 strided to narrow rows", "3x3 padded", "3x3 strided to narrow rows", "grouped", "narrow groups",
    "many columns",
}  # fmt: skip


@pytest.mark.parametrize(
    ("target", "name"),
    [(t, name) for name in CONVOLUTIONS for t in (TARGETS if name in ON_EVERY_WIDTH else (AVX2,))],
    ids=lambda x: x if isinstance(x, str) else x.name,
)
@extents
@layouts
def test_convolution(target: Target, open_extents: bool, layout: str, name: str) -> None:
    shape, filters, attributes = CONVOLUTIONS[name]
    nodes = [node("Conv", ["x", "w", "b"], ["t"], **attributes), node("Relu", ["t"], ["y"])]
    constants = {"w": floats(*filters, seed=1), "b": floats(filters[0], seed=2)}
    check(Case(nodes, {"x": floats(*shape)}, constants=constants, layout=layout), target, open_extents=open_extents)


UPSCALES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {  # the input, the filters
    "one channel": ((1, 24, 5, 37), (24, 1, 2, 2)),
    "of a batch": ((2, 24, 3, 5), (24, 1, 2, 2)),
    "windows that are not square": ((2, 7, 4, 9), (7, 1, 2, 3)),
    "two vectors of columns": ((1, 7, 3, 17), (7, 1, 4, 2)),
    "one pixel": ((1, 3, 1, 1), (3, 1, 2, 2)),
}


@pytest.mark.parametrize("name", UPSCALES)
@pytest.mark.parametrize("target", [*TARGETS, replace(AVX512, half_rate=True)], ids=lambda t: f"{t.name} {t.half_rate}")
@extents
def test_upscaling_to_few_channels_is_one_product(target: Target, open_extents: bool, name: str) -> None:
    shape, filters = UPSCALES[name]
    made = node("ConvTranspose", ["x", "w", "b"], ["t"], strides=filters[2:])
    constants = {"w": floats(*filters, seed=1), "b": floats(filters[1], seed=2)}
    case = Case([made, node("Sigmoid", ["t"], ["y"])], {"x": floats(*shape)}, constants=constants, layout="last")
    assert [lowered.kernel.name for lowered in case.lower(target, open_extents=open_extents)] == ["upscale"]
    check(case, target, open_extents=open_extents)


@extents
@layouts
@pytest.mark.parametrize("filters", [8, 24, 36])
def test_convolution_in_halves_of_vectors(open_extents: bool, layout: str, filters: int) -> None:
    nodes = [node("Conv", ["x", "w", "b"], ["t"], pads=[1, 1, 1, 1]), node("Sigmoid", ["t"], ["y"])]
    constants = {"w": floats(filters, 3, 3, 3, seed=1), "b": floats(filters, seed=2)}
    case = Case(nodes, {"x": floats(2, 3, 4, 21)}, constants=constants, layout=layout)
    target = replace(AVX512, half_rate=True)
    assert [lowered.kernel.lanes for lowered in case.lower(target, open_extents=open_extents)] == [8]
    check(case, target, open_extents=open_extents)


@extents
@layouts
def test_convolution_adds_a_residual(open_extents: bool, layout: str) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["t"], pads=[1, 1, 1, 1]),
        node("Add", ["t", "residual"], ["u"]),
        node("Relu", ["u"], ["y"]),
    ]
    feeds = {"x": floats(1, 3, 4, 5), "residual": floats(1, 17, 4, 5, seed=3)}
    case = Case(nodes, feeds, constants={"w": floats(17, 3, 3, 3, seed=1)}, layout=layout)
    check(case, AVX512, open_extents=open_extents, shares=(1, 2, 4))


@widths
@extents
@layouts
@pytest.mark.parametrize("size", [1, 3])
def test_convolution_computes_what_it_reads(target: Target, open_extents: bool, layout: str, size: int) -> None:
    """The work in front is done as the input is staged; the border is zero after it, not before."""
    nodes = [
        node("Add", ["x", "shift"], ["s"]),
        node("Mul", ["s", "scale"], ["t"]),
        node("Conv", ["t", "w"], ["y"], pads=[size // 2] * 4),
    ]
    feeds = {"x": floats(2, 3, 4, 5), "scale": floats(2, 3, 1, 1, seed=3)}
    constants = {"w": floats(17, 3, size, size, seed=1), "shift": floats(1, seed=2)}
    case = Case(nodes, feeds, constants=constants, layout=layout, anchor=2)
    check(case, target, open_extents=open_extents)


def test_every_unit_by_itself() -> None:
    """The finest shares that a plan could ever make."""
    nodes = [node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]
    case = Case(nodes, {"x": floats(2, 3, 5, 4)}, constants={"w": floats(40, 3, 3, 3, seed=1)}, layout="last")
    for threads in (1, 2, 4, 16):
        units = max(lowered.units for lowered in case.lower(AVX2, threads=threads))
        got = case.interpret(AVX2, threads=threads, shares=units)[0]
        np.testing.assert_allclose(got, case.expected()[0], rtol=2e-5, atol=2e-5)
    assert units > 1


# -- depthwise ------------------------------------------------------------------------------------------------

DEPTHWISE: dict[str, Geometry] = {
    "3x3": ((1, 17, 5, 9), (17, 1, 3, 3), {"pads": [1, 1, 1, 1]}),
    "5x5 strided": ((2, 3, 7, 8), (3, 1, 5, 5), {"pads": [2, 2, 2, 2], "strides": [2, 2]}),
    "dilated": ((1, 3, 6, 7), (3, 1, 3, 3), {"pads": [2, 1, 0, 2], "dilations": [2, 2]}),
    "two filters a channel": ((1, 3, 4, 5), (6, 1, 3, 3), {"pads": [1, 1, 1, 1]}),
    "wide": ((1, 2, 2, 40), (2, 1, 1, 3), {"pads": [0, 1, 0, 1]}),
    "1-D": ((1, 17, 9), (17, 1, 3), {"pads": [1, 1]}),
    "3-D": ((1, 3, 3, 4, 5), (3, 1, 2, 3, 3), {"pads": [0, 1, 1, 1, 1, 1]}),
    "one pixel": ((1, 33, 1, 1), (33, 1, 3, 3), {"pads": [1, 1, 1, 1]}),
}


@widths
@extents
@layouts
@pytest.mark.parametrize("name", DEPTHWISE)
def test_depthwise_convolution(target: Target, open_extents: bool, layout: str, name: str) -> None:
    shape, filters, attributes = DEPTHWISE[name]
    nodes = [node("Conv", ["x", "w", "b"], ["t"], group=shape[1], **attributes), node("Relu", ["t"], ["y"])]
    constants = {"w": floats(*filters, seed=1), "b": floats(filters[0], seed=2)}
    check(Case(nodes, {"x": floats(*shape)}, constants=constants, layout=layout), target, open_extents=open_extents)


# -- pooling --------------------------------------------------------------------------------------------------

POOLS = {
    "max": ((1, 17, 5, 9), node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])),
    "max 2x2": ((2, 3, 4, 6), node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])),
    "max, rounded up": (
        (1, 3, 5, 6), node("MaxPool", ["x"], ["y"], kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1)
    ),
    "max, dilated": ((1, 3, 7, 8), node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], dilations=[2, 3])),
    "max 1-D": ((1, 3, 17), node("MaxPool", ["x"], ["y"], kernel_shape=[4])),
    "max 3-D": ((1, 2, 3, 4, 5), node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2, 3], pads=[1, 0, 1, 0, 1, 1])),
    "mean": ((1, 17, 5, 9), node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])),
    "mean with padding": (
        (1, 3, 5, 6),
        node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    ),
    "mean, rounded up": (
        (1, 3, 6, 5), node("AveragePool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)
    ),
}  # fmt: skip


@widths
@extents
@layouts
@pytest.mark.parametrize("name", POOLS)
def test_pooling(target: Target, open_extents: bool, layout: str, name: str) -> None:
    shape, pool = POOLS[name]
    case = Case([pool], {"x": floats(*shape)}, layout=layout, reference="onnxruntime")
    check(case, target, open_extents=open_extents)


@widths
@layouts
def test_pooling_tells_where_the_largest_was(target: Target, layout: str) -> None:
    pool = node("MaxPool", ["x"], ["y", "at"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    case = Case([pool], {"x": floats(1, 3, 5, 6)}, outputs=("y", "at"), layout=layout, reference="onnxruntime")
    check(case, target)


# -- transposed convolution -----------------------------------------------------------------------------------

TRANSPOSED: dict[str, Geometry] = {
    "2x2 strided": ((1, 3, 4, 5), (3, 17, 2, 2), {"strides": [2, 2]}),
    "overlapping": ((1, 3, 4, 5), (3, 5, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "output padding": ((2, 3, 3, 4), (3, 5, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    "grouped": ((1, 6, 3, 4), (6, 2, 3, 3), {"group": 3}),
    "1-D": ((1, 3, 7), (3, 5, 4), {"strides": [3]}),
}


@widths
@extents
@layouts
@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolution(target: Target, open_extents: bool, layout: str, name: str) -> None:
    shape, filters, attributes = TRANSPOSED[name]
    nodes = [node("ConvTranspose", ["x", "w"], ["t"], **attributes), node("Relu", ["t"], ["y"])]
    constants = {"w": floats(*filters, seed=1)}
    case = Case(nodes, {"x": floats(*shape)}, constants=constants, layout=layout, reference="onnxruntime")
    check(case, target, open_extents=open_extents)


@widths
@extents
@layouts
@pytest.mark.parametrize(
    "channels, size, filter_size, stride", [(17, 5, 3, 1), (3, 1, 3, 1), (16, 9, 5, 2), (5, 19, 3, 1)]
)
def test_means_of_rows(
    channels: int, size: int, filter_size: int, stride: int, layout: str, open_extents: bool, target: Target
) -> None:
    """Added up tile by tile, beside the rows."""
    check(with_means(channels, size, filter_size, stride, layout), target, open_extents=open_extents)
