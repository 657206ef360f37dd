"""Do LSTM, GRU and RNN compute what ONNX says where all threads share a step? No C is compiled.

Recurrences of this size walk alone, so the targets here are told to have slow caches. Each share works on a copy of the
memory, so one that needs what another makes in the same turn gives wrong numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernel_cases import Case, check, extents, floats, node, widths

from fusewright.schedules.cells import GATES
from fusewright.target.target import Target
from fusewright.target.x86 import AVX2

STEPS, FEATURES = 4, 6


def slow(target: Target) -> Target:
    return replace(target, l2_rate=1e-3, l3_rate=1e-3, memory_rate=1e-3, l2_bytes=64)


def recurrence(
    op: str,
    hidden: int,
    batch: int,
    direction: str = "forward",
    steps: int = STEPS,
    optional: Sequence[str] = ("b", "h0"),
    **attributes: Any,
) -> Case:
    directions, gates = (2 if direction == "bidirectional" else 1), GATES[op]
    shapes = {
        "w": (directions, gates * hidden, FEATURES),
        "r": (directions, gates * hidden, hidden),
        "b": (directions, 2 * gates * hidden),
        "lengths": (),
        "h0": (directions, batch, hidden),
        "c0": (directions, batch, hidden),
        "p": (directions, 3 * hidden),
    }
    wanted = ["w", "r", *(n for n in ("b", "lengths", "h0", "c0", "p") if n in optional)]
    constants = {n: floats(*shapes[n], seed=i) / 4 for i, n in enumerate(wanted) if n != "lengths"}
    if "lengths" in optional:
        constants["lengths"] = np.array([steps - i % 2 for i in range(batch)], np.int32)
    order = ["x", "w", "r", "b", "lengths", "h0", "c0", "p"][: 8 if op == "LSTM" else 6]
    inputs = [n if n == "x" or n in wanted else "" for n in order]
    outputs = ("y", "h", "c") if op == "LSTM" else ("y", "h")
    made = node(op, inputs, outputs, hidden_size=hidden, direction=direction, **attributes)
    return Case([made], {"x": floats(steps, batch, FEATURES)}, outputs, constants, reference="onnxruntime")


def turns(case: Case, target: Target, threads: int, open_extents: bool = False) -> int:
    return case.lower(target, open_extents=open_extents, threads=threads)[-1].turns


@widths
@extents
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", GATES)
def test_shared_steps(target: Target, open_extents: bool, direction: str, op: str) -> None:
    for hidden, batch in ((16, 1), (19, 1), (5, 3), (9, 9)):
        case = recurrence(op, hidden, batch, direction)
        assert turns(case, slow(target), 3, open_extents) > STEPS
        check(case, slow(target), open_extents=open_extents)


@widths
def test_initial_cells_and_peepholes(target: Target) -> None:
    check(recurrence("LSTM", 19, 2, optional=("b", "h0", "c0", "p")), slow(target))
    check(recurrence("LSTM", 19, 2, optional=(), input_forget=1), slow(target))


def test_a_gru_takes_two_turns_a_step_only_if_it_resets_first() -> None:
    for later in (0, 1):
        case = recurrence("GRU", 19, 1, linear_before_reset=later)
        assert turns(case, slow(AVX2), 2) == 1 + STEPS * (1 if later else 2)
        check(case, slow(AVX2))


@extents
def test_no_steps(open_extents: bool) -> None:
    case = recurrence("LSTM", 19, 1, steps=0, optional=("b", "h0", "c0"))
    got = case.interpret(slow(AVX2), open_extents=open_extents, threads=2, shares=2)
    assert turns(case, slow(AVX2), 2, open_extents) == 1
    for array, first in zip(got[1:], ("h0", "c0"), strict=True):
        np.testing.assert_array_equal(array, case.constants[first])


def test_who_walks_alone() -> None:
    one = recurrence("LSTM", 19, 1)
    assert turns(one, AVX2, 2) == 1  # its steps are short
    assert turns(one, slow(AVX2), 1) == 1  # there is nobody to share them with
    assert turns(recurrence("LSTM", 19, 1, "bidirectional"), slow(AVX2), 2) == 1  # a direction for each thread
    assert turns(recurrence("LSTM", 19, 3, optional=("lengths",)), slow(AVX2), 4) == 1  # rows of different lengths
    assert turns(recurrence("LSTM", 19, 3), slow(AVX2), 1) > STEPS  # rows that share the weights of a step
    assert turns(recurrence("LSTM", 19, 3), replace(slow(AVX2), l2_bytes=1 << 20), 1) == 1
