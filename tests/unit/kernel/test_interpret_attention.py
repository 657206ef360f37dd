"""Does attention as one kernel compute what ONNX says, block by block of keys? No C is compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_cases import Case, check, extents, floats, node, targets, widths

from fusewright.schedules import attention
from fusewright.target.target import Target
from fusewright.target.x86 import AVX2

SHAPES = [  # heads, rows, keys, depth, columns
    (2, 5, 7, 8, 8),
    (1, 1, 1, 1, 1),
    (3, 17, 3, 3, 17),
    (2, 1, 33, 5, 20),
    (1, 13, 40, 16, 33),
]
mask = pytest.mark.parametrize("masked", ["", "additive", "boolean"])


def case(heads: int, rows: int, keys: int, depth: int, columns: int, masked: str = "", **more: Any) -> Case:
    feeds = {
        "q": floats(heads, rows, depth, seed=1),
        "k": floats(heads, depth, keys, seed=2),
        "v": floats(heads, keys, columns, seed=3),
    }
    nodes = [node("MatMul", ["q", "k"], ["s"]), node("Mul", ["s", "scale"], ["t"])]
    last = "t"
    if masked == "additive":
        feeds["m"] = floats(1, rows, keys, seed=4)
        nodes.append(node("Add", ["t", "m"], [last := "u"]))
    if masked == "boolean":
        feeds["m"] = np.random.default_rng(5).random((rows, keys)) < 0.7
        nodes.append(node("Where", ["m", "t", "low"], [last := "u"]))
    nodes.append(node("Softmax", [last], ["p"], axis=-1))
    nodes.append(node("MatMul", ["p", "v"], ["y"]))
    constants = {"scale": np.array(0.4, np.float32), "low": np.array(-np.inf, np.float32)}
    return Case(nodes, feeds, constants=constants, anchor=len(nodes) - 1, schedule="attention", **more)


@targets
@extents
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_heads_of_any_size(target: Target, open_extents: bool, shape: tuple[int, int, int, int, int]) -> None:
    check(case(*shape), target, open_extents=open_extents)


@widths
@extents
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_columns_side_by_side(target: Target, open_extents: bool, shape: tuple[int, int, int, int, int]) -> None:
    """All operands lie turned: keys as a projection makes them, rows and values in need of a copy."""
    check(case(*shape, layout="last"), target, open_extents=open_extents)


@widths
@extents
@mask
def test_masks(target: Target, open_extents: bool, masked: str) -> None:
    check(case(2, 9, 21, 4, 10, masked), target, open_extents=open_extents)


@widths
@extents
@mask
def test_several_blocks_of_keys(
    target: Target, open_extents: bool, masked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With little room, few keys pass at a time, and sums are scaled to each new maximum."""
    monkeypatch.setattr(attention, "ROW_BYTES", 64)
    monkeypatch.setattr(attention, "BLOCK_ROWS", 4)
    check(case(2, 9, 150, 6, 20, masked), target, open_extents=open_extents)


@extents
@pytest.mark.parametrize("room", [64, 1 << 14], ids=["several blocks", "one block"])
@pytest.mark.parametrize("guarded", [False, True], ids=["bare", "guarded"])
def test_rows_without_a_score(open_extents: bool, room: int, guarded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are NaN as in Softmax, or what the guard says; a block without a score leaves the others alone."""
    monkeypatch.setattr(attention, "ROW_BYTES", room)
    made = case(1, 6, 150, 6, 5, "boolean")
    visible = np.ones((6, 150), bool)
    visible[2] = False
    visible[3, :100] = False
    visible[4, 60:] = False
    nodes = list(made.nodes)
    if guarded:
        nodes[-1:] = [
            node("IsNaN", ["p"], ["lost"]),
            node("Where", ["lost", "zero", "p"], ["w"]),
            node("MatMul", ["w", "v"], ["y"]),
        ]
    constants = {**made.constants, "zero": np.array(0, np.float32)}
    feeds = {**made.feeds, "m": visible}
    again = Case(nodes, feeds, constants=constants, anchor=len(nodes) - 1, schedule="attention")
    wanted = again.expected()[0]
    assert np.isnan(wanted[0, 2]).all() != guarded
    check(again, AVX2, open_extents=open_extents)


@extents
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers(open_extents: bool, value: float) -> None:
    made = case(1, 4, 9, 3, 5)
    q = made.feeds["q"].copy()
    q[0, 1, 2] = value
    again = Case(made.nodes, {**made.feeds, "q": q}, constants=made.constants, anchor=3, schedule="attention")
    check(again, AVX2, open_extents=open_extents)


@widths
@extents
def test_epilogue_and_shared_heads(target: Target, open_extents: bool) -> None:
    """Keys and values that several heads read, and what follows the product."""
    feeds = {"q": floats(2, 3, 4, 8), "k": floats(2, 1, 8, 5, seed=1), "v": floats(1, 3, 5, 19, seed=2)}
    feeds["r"] = floats(2, 3, 4, 19, seed=3)
    nodes = [
        node("MatMul", ["q", "k"], ["s"]),
        node("Softmax", ["s"], ["p"], axis=-1),
        node("MatMul", ["p", "v"], ["o"]),
        node("Add", ["o", "r"], ["y"]),
    ]
    check(Case(nodes, feeds, anchor=2, schedule="attention"), target, open_extents=open_extents)
