"""Do reductions, normalisations and scans compute what ONNX says? No C is compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_cases import Case, check, extents, floats, layouts, node, targets, widths

from fusewright.target.target import Target
from fusewright.target.x86 import AVX512

REDUCTIONS = ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp")


def axes_of(*axes: int) -> dict[str, Any]:
    return {"axes": np.array(axes, np.int64)}


@widths
@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("axis", [0, 1], ids=["across", "along"])
def test_reduction_of_a_matrix(target: Target, kind: str, axis: int) -> None:
    reduce = node(f"Reduce{kind}", ["x", "axes"], ["y"], keepdims=0)
    check(Case([reduce], {"x": np.abs(floats(5, 17))}, constants=axes_of(axis)), target, tolerance=1e-4)


@widths
@extents
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("shape", [(3, 5, 17), (17, 3, 1), (1, 1, 70)])
def test_reduction_over_any_axes(
    target: Target, open_extents: bool, axes: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    nodes = [node("ReduceSum", ["x", "axes"], ["y"], keepdims=1)]
    case = Case(nodes, {"x": floats(*shape)}, constants=axes_of(*axes))
    check(case, target, open_extents=open_extents, tolerance=1e-4)


@targets
@extents
@pytest.mark.parametrize("shape", [(3, 1), (5, 17), (2, 3, 40), (1, 300)])
def test_softmax(target: Target, open_extents: bool, shape: tuple[int, ...]) -> None:
    check(Case([node("Softmax", ["x"], ["y"])], {"x": 3 * floats(*shape)}), target, open_extents=open_extents)


@widths
@layouts
def test_softmax_over_channels(target: Target, layout: str) -> None:
    check(Case([node("Softmax", ["x"], ["y"], axis=1)], {"x": floats(2, 3, 5, 7)}, layout=layout), target)


@targets
@extents
@pytest.mark.parametrize("width", [1, 3, 17, 64, 100])
def test_layer_normalization(target: Target, open_extents: bool, width: int) -> None:
    nodes = [node("LayerNormalization", ["x", "scale", "bias"], ["t"]), node("Relu", ["t"], ["y"])]
    constants = {"scale": floats(width, seed=1), "bias": floats(width, seed=2)}
    case = Case(nodes, {"x": floats(2, 3, width)}, constants=constants)
    check(case, target, open_extents=open_extents, tolerance=1e-4)


@widths
@extents
@layouts
@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pooling(target: Target, open_extents: bool, layout: str, kind: str) -> None:
    nodes = [node(kind, ["x"], ["t"]), node("Sigmoid", ["t"], ["y"])]
    check(Case(nodes, {"x": floats(2, 17, 3, 5)}, layout=layout), target, open_extents=open_extents)


@widths
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("kind", ["ArgMax", "ArgMin"])
def test_where_the_extreme_is(target: Target, axis: int, kind: str) -> None:
    x = np.round(floats(3, 5, 17))  # with equals: the first of them counts
    check(Case([node(kind, ["x"], ["y"], axis=axis)], {"x": x}), target)


@widths
@pytest.mark.parametrize(("exclusive", "reverse"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_running_sum(target: Target, exclusive: int, reverse: int) -> None:
    scan = node("CumSum", ["x", "axis"], ["y"], exclusive=exclusive, reverse=reverse)
    for axis in (0, 1, 2):
        check(Case([scan], {"x": floats(3, 5, 17)}, constants={"axis": np.array(axis, np.int64)}), target)


def test_a_reduction_takes_what_comes_before_and_after() -> None:
    """x / sqrt(mean(x * x) + eps) * g: the row is read, kept and written by one kernel."""
    nodes = [
        node("ReduceMean", ["squares", "axes"], ["mean"], keepdims=1),
        node("Mul", ["x", "x"], ["squares"]),
        node("Add", ["mean", "eps"], ["shifted"]),
        node("Sqrt", ["shifted"], ["root"]),
        node("Div", ["x", "root"], ["scaled"]),
        node("Mul", ["scaled", "g"], ["y"]),
    ]
    nodes = [nodes[1], nodes[0], *nodes[2:]]
    constants = {**axes_of(2), "eps": np.array([1e-5], np.float32), "g": floats(40, seed=1)}
    check(Case(nodes, {"x": floats(2, 5, 40)}, constants=constants, anchor=1), AVX512)
