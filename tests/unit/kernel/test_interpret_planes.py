"""Do Winograd's convolutions of an image in planes compute what ONNX says, for any tail? No C is compiled.

Scratch starts as NaN, so what is read of a line before it was made shows.
"""

from __future__ import annotations

from typing import Any

import pytest
from kernel_cases import Case, check, floats, layouts, node, targets
from paired_cases import prefer

from fusewright.schedules import epilogue
from fusewright.schedules.convolution import Convolution
from fusewright.schedules.planes_shape import Shape
from fusewright.schedules.task import Task
from fusewright.target.target import Target
from fusewright.target.x86 import AVX2, AVX512

# The input, the filters, the attributes.
GEOMETRIES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "3x3, steps of 2": ((1, 3, 11, 37), (17, 3, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "pads on two sides": ((2, 3, 8, 8), (16, 3, 3, 3), {"strides": [2, 2], "pads": [0, 0, 1, 1]}),
    "no pads": ((1, 1, 9, 12), (5, 1, 3, 3), {"strides": [2, 2]}),
    "steps of 1": ((1, 3, 6, 9), (33, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    "other steps along y": ((1, 4, 7, 10), (9, 4, 3, 3), {"strides": [1, 2], "pads": [1, 0, 1, 0]}),
    "5x3": ((1, 2, 12, 9), (7, 2, 5, 3), {"strides": [2, 2], "pads": [2, 1, 2, 1]}),
    "2x2, steps of 1": ((2, 3, 5, 6), (4, 3, 2, 2), {}),
    "same": ((1, 3, 10, 7), (3, 3, 3, 3), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "one pixel": ((3, 3, 1, 1), (5, 3, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "a border as wide as the image": ((1, 3, 2, 2), (5, 3, 3, 3), {"pads": [2, 2, 2, 2]}),
    "one column": ((1, 3, 9, 1), (5, 3, 3, 3), {"strides": [2, 1], "pads": [1, 1, 1, 1]}),
}


@pytest.fixture(autouse=True)
def only_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    prefer(monkeypatch, lambda name: name.endswith("of planes"))


def case_of(name: str, layout: str = "last", activation: str = "Relu") -> Case:
    shape, filters, attributes = GEOMETRIES[name]
    nodes = [node("Conv", ["x", "w", "b"], ["t"], **attributes), node(activation, ["t"], ["y"])]
    constants = {"w": floats(*filters, seed=1), "b": floats(filters[0], seed=2)}
    return Case(nodes, {"x": floats(*shape)}, constants=constants, layout=layout, planes=["x"])


@targets
@pytest.mark.parametrize("name", GEOMETRIES)
def test_planes(name: str, target: Target) -> None:
    case = case_of(name)
    assert [lowered.kernel.name for lowered in case.lower(target)] == ["winograd"]
    check(case, target, shares=(1, 3))


@layouts
def test_a_long_epilogue_is_spelled_once(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epilogue, "LONG_EPILOGUE", 0)
    for name in ("3x3, steps of 2", "steps of 1"):
        check(case_of(name, layout, "HardSwish"), AVX2)


def test_a_sum_that_others_read_too_has_no_start() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["t"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Sigmoid", ["t"], ["s"]),
        node("Mul", ["t", "s"], ["u"]),
        node("Add", ["u", "r"], ["y"]),
    ]
    feeds = {"x": floats(1, 3, 9, 9), "r": floats(1, 6, 5, 5, seed=3)}
    case = Case(nodes, feeds, constants={"w": floats(6, 3, 3, 3, seed=1)}, layout="last", planes=["x"])
    (lowered,) = case.lower(AVX512)
    assert lowered.in_place == ()  # of five rows, the sixth is written to the place of the fifth
    check(case, AVX512)


def test_arrays_that_positions_share() -> None:
    """Of five positions along x, two read the same sums of neighbours, and two the same elements, a pixel apart."""

    shapes: list[Shape] = []

    def seen(task: Task, c: Convolution, shape: Shape) -> list[Any]:
        shapes.append(shape)
        return []

    case = case_of("3x3, steps of 2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusewright.schedules.winograd_ways.lower_planes", seen)
        case.lower(AVX512)
    (shape,) = shapes
    assert len(shape.reads) == 5 and len(shape.arrays) == 3
    assert [len(shape.pixels(a, b)) for a in (0, 1, 2) for b in (0, 1, 2)] == [1, 1, 2, 1, 1, 2, 2, 2, 4]


@pytest.mark.parametrize("change", ["dilated", "grouped", "channels last", "open"])
def test_other_convolutions_are_left_alone(change: str) -> None:
    filters = floats(6, 1 if change == "grouped" else 3, 3, 3)
    attributes: dict[str, Any] = {"dilations": [2, 2]} if change == "dilated" else {}
    made = node("Conv", ["x", "w"], ["y"], group=3 if change == "grouped" else 1, **attributes)
    planes = [] if change == "channels last" else ["x"]
    case = Case([made], {"x": floats(1, 3, 9, 9)}, constants={"w": filters}, layout="last", planes=planes)
    lowered = case.lower(AVX512, open_extents=change == "open")
    assert "winograd" not in [one.kernel.name for one in lowered]
