"""Products for tests of `schedules.paired`, and how to have them computed so, which few so small ones would be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from kernel_cases import Case, floats, node

from fusewright.codegen.c import print_kernel
from fusewright.schedules import winograd_ways
from fusewright.schedules.chain_stage import Stage
from fusewright.schedules.choice import Chooser, Option
from fusewright.schedules.task import Lowered
from fusewright.target.target import Target


@pytest.fixture
def only_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever pairs would cost, they are taken where they are offered: with gathered windows, if there is a choice."""
    plain_cycles = Stage.plain_cycles
    prefer(monkeypatch, lambda name: name.startswith("pairs") and not name.endswith("sliding"))
    prefer(monkeypatch, lambda name: name.startswith("pairs"))
    monkeypatch.setattr(Stage, "plain_cycles", lambda stage, task: 1e3 * plain_cycles(stage, task))


@pytest.fixture
def winograd_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Winograd's convolutions have their products made in pairs, wherever that is possible."""
    prefer(monkeypatch, lambda name: name.endswith("in pairs"))
    monkeypatch.setattr(winograd_ways, "direct_cycles", lambda task, c: float("inf"))


@pytest.fixture
def only_sliding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs are taken where windows that overlap are offered, and only there."""
    prefer(monkeypatch, lambda name: name.endswith("sliding"))
    prefer(monkeypatch, lambda name: name.endswith("sliding") or not name.startswith("pairs"))


def prefer(monkeypatch: pytest.MonkeyPatch, wanted: Callable[[str], bool]) -> None:
    pick = Chooser.pick

    def pick_wanted(self: Chooser, key: str, options: Sequence[Option]) -> Option:
        return pick(self, key, [o for o in options if wanted(o.name)] or options)

    monkeypatch.setattr(Chooser, "pick", pick_wanted)


def adding(target: Target) -> Target:
    """The same target, if it added beside its multiplications."""
    return replace(target, adds_beside=True)


def in_pairs(kernels: Iterable[Lowered]) -> bool:
    return any("fw_balance_" in print_kernel(lowered.kernel).text for lowered in kernels)


def matmul(rows: int, k: int, columns: int) -> Case:
    nodes = [node("MatMul", ["x", "w"], ["t"]), node("Add", ["t", "b"], ["u"]), node("Relu", ["u"], ["y"])]
    constants = {"w": floats(k, columns, seed=1), "b": floats(columns, seed=2)}
    return Case(nodes, {"x": floats(rows, k)}, constants=constants)


def matmul_of_batch(batch: int, rows: int, k: int, columns: int) -> Case:
    """What is added repeats with the batch, so that the rows of the batch are no single loop."""
    nodes = [node("MatMul", ["x", "w"], ["t"]), node("Add", ["t", "r"], ["y"])]
    feeds = {"x": floats(batch, rows, k), "r": floats(rows, columns, seed=2)}
    return Case(nodes, feeds, constants={"w": floats(k, columns, seed=1)})


def gemm_of_transposed(rows: int, k: int, columns: int) -> Case:
    made = node("Gemm", ["x", "w", "b"], ["y"], transA=1, transB=1, alpha=0.5)
    constants = {"w": floats(columns, k, seed=1), "b": floats(columns, seed=2)}
    return Case([made], {"x": floats(k, rows)}, constants=constants)


def conv(x: Sequence[int], w: Sequence[int], layout: str = "last", **attributes: Any) -> Case:
    nodes = [node("Conv", ["x", "w", "b"], ["t"], **attributes), node("Relu", ["t"], ["y"])]
    constants = {"w": floats(*w, seed=1), "b": floats(w[0], seed=2)}
    return Case(nodes, {"x": floats(*x)}, constants=constants, layout=layout, reference="onnxruntime")


def gated(x: Sequence[int], w: Sequence[int], layout: str = "last", **attributes: Any) -> Case:
    """A convolution of x * s + 1: zeros of the border are zeros behind that work."""
    nodes = [
        node("Mul", ["x", "s"], ["m"]),
        node("Add", ["m", "one"], ["t"]),
        node("Conv", ["t", "w"], ["y"], **attributes),
    ]
    feeds = {"x": floats(*x), "s": floats(*x[:2], *(1 for _ in x[2:]), seed=3)}
    constants = {"w": floats(*w, seed=1), "one": floats(1)}
    return Case(nodes, feeds, constants=constants, layout=layout, anchor=2, reference="onnxruntime")


def scaled(x: Sequence[int], w: Sequence[int], layout: str = "last", **attributes: Any) -> Case:
    """A convolution of channels that are multiplied, as squeeze-and-excite does it."""
    nodes = [node("Mul", ["x", "s"], ["t"]), node("Conv", ["t", "w"], ["y"], **attributes)]
    feeds = {"x": floats(*x), "s": floats(1, x[1], *(1 for _ in x[2:]), seed=3)}
    return Case(nodes, feeds, constants={"w": floats(*w, seed=1)}, layout=layout, anchor=1, reference="onnxruntime")


WINOGRAD = {
    "small tiles": conv((1, 17, 9, 10), (35, 17, 3, 3), pads=[1, 1, 1, 1]),
    "a batch": conv((2, 50, 7, 7), (70, 50, 3, 3), pads=[1, 0, 0, 1]),
    "a line": conv((2, 24, 50), (20, 24, 3), pads=[1, 1]),
    "computed": gated((1, 20, 12, 9), (24, 20, 3, 3), pads=[1, 1, 1, 1]),
}
CASES = {
    "matmul": matmul(25, 49, 33),
    "matmul of a batch": matmul_of_batch(3, 8, 13, 17),
    "gemm": gemm_of_transposed(9, 14, 18),
    "1x1": conv((1, 7, 3, 3), (17, 7, 1, 1)),
    "1x1 of a batch": conv((2, 49, 4, 3), (5, 49, 1, 1)),
    "1x1 strided": conv((2, 8, 7, 5), (17, 8, 1, 1), strides=[2, 2]),
    "1x1 padded": conv((1, 6, 3, 2), (4, 6, 1, 1), pads=[1, 0, 1, 1]),
    "3x3": conv((1, 5, 4, 5), (16, 5, 3, 3), pads=[1, 1, 1, 1]),
    "3x3 of a batch": conv((2, 3, 6, 5), (3, 3, 3, 3), pads=[0, 2, 1, 0], strides=[2, 1]),
    "3x3 dilated": conv((1, 2, 8, 7), (5, 2, 3, 3), dilations=[2, 2], pads=[0, 1, 0, 1]),
    "a row": conv((2, 7, 9), (5, 7, 3), pads=[1, 1]),
    "a volume": conv((1, 2, 3, 4, 3), (3, 2, 2, 2, 2), pads=[0, 1, 0, 1, 0, 1]),
    "1x1 gated": gated((1, 7, 4, 3), (17, 7, 1, 1)),
    "1x1 of a batch, gated": gated((2, 9, 2, 5), (3, 9, 1, 1)),
    "1x1 gated, channels first": gated((1, 18, 3, 3), (5, 18, 1, 1), "first"),
    "1x1 scaled": scaled((1, 59, 4, 3), (17, 59, 1, 1)),
    "1x1 of a batch, scaled": scaled((2, 7, 2, 5), (3, 7, 1, 1)),
    "1x1 scaled, channels first": scaled((1, 7, 3, 3), (5, 7, 1, 1), "first"),
    "1x1 scaled and strided": scaled((1, 8, 7, 5), (5, 8, 1, 1), strides=[2, 2]),
    "3x3 scaled": scaled((1, 3, 4, 4), (5, 3, 3, 3), pads=[1, 1, 1, 1]),
    "3x3 gated": gated((2, 3, 4, 4), (5, 3, 3, 3), pads=[1, 1, 1, 1]),
}

# Windows that overlap: columns of fewer, as many and more elements than a vector has, one and several blocks.
SLIDING = {
    "channels first": conv((1, 3, 9, 18), (17, 3, 7, 7), "first", pads=[3, 3, 3, 3], strides=[2, 2]),
    "of a batch": conv((2, 2, 5, 11), (5, 2, 3, 3), "first", pads=[0, 2, 1, 0], strides=[2, 1]),
    "whole vectors": conv((1, 4, 8, 10), (5, 4, 4, 1), "first"),
    "dilated rows": conv((1, 3, 9, 8), (5, 3, 3, 3), "first", pads=[3, 0, 2, 1], dilations=[2, 1]),
    "one plane": conv((2, 1, 5, 9), (4, 1, 3, 5), "first", pads=[1, 2, 1, 2]),
    "one row": conv((1, 3, 1, 9), (5, 3, 3, 3), "first", pads=[1, 1, 1, 1]),
    "one column": conv((1, 3, 9, 1), (5, 3, 3, 3), "first", pads=[1, 4, 1, 4]),
    "more border than picture": conv((1, 2, 2, 3), (3, 2, 2, 2), "first", pads=[4, 5, 3, 6], strides=[2, 1]),
    "steps beyond the filter": conv((1, 3, 17, 29), (5, 3, 2, 2), "first", strides=[3, 3]),
    "a line": conv((2, 7, 15), (5, 7, 3), "first", pads=[1, 1]),
    "channels last": conv((2, 18, 5, 15), (5, 18, 3, 3), pads=[1, 0, 1, 2], strides=[1, 2]),
    "a volume": conv((1, 2, 3, 4, 8), (3, 2, 2, 2, 2), pads=[0, 1, 0, 1, 0, 1]),
    "gated": gated((2, 3, 4, 8), (5, 3, 3, 3), pads=[1, 1, 1, 1]),
    "gated, channels first": gated((1, 3, 5, 9), (5, 3, 3, 3), "first", pads=[1, 1, 1, 1]),
}
