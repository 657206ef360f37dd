"""Do Winograd's convolutions compute what ONNX says, whatever the blocks, shares and tails? No C is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import onnx_ir as ir
import pytest
from kernel_cases import Case, check, extents, floats, node, widths

from fusewright.codegen.c import print_kernel
from fusewright.schedules import conv
from fusewright.schedules.bilinear import sliding
from fusewright.schedules.choice import Option
from fusewright.schedules.convolution import Convolution
from fusewright.schedules.task import Task, Way
from fusewright.schedules.tile import TileShape
from fusewright.schedules.winograd import lower_winograd
from fusewright.schedules.winograd_tiling import Tiling
from fusewright.target.target import Target
from fusewright.target.x86 import AVX2, AVX512


@dataclass(frozen=True)
class Cut:
    """Outputs of a tile along y and x, the register tile, tiles of a block; whether products are made in pairs."""

    y: int
    x: int
    rows: int = 2
    vectors: int = 1
    block: int = 4
    pairs: bool = False


@pytest.fixture
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every convolution is computed this way."""
    how: Cut = request.param

    def ways(task: Task, c: Convolution, bias: ir.Value | None) -> list[Way]:
        taps = (1, *c.filters.taps)[-2:]
        y, x = (sliding(m if r > 1 else 1, r) for m, r in zip((how.y, how.x), taps, strict=True))
        tiling = Tiling(y, x, TileShape(how.rows, how.vectors), how.block, how.pairs)
        return [Way(Option("winograd", 0.0), partial(lower_winograd, task, c, bias, tiling))]

    monkeypatch.setattr(conv, "ways", ways)


def cuts(*which: Cut) -> pytest.MarkDecorator:
    names = [f"{c.y}x{c.x} by {c.block}{' in pairs' if c.pairs else ''}" for c in which]
    return pytest.mark.parametrize("cut", which, indirect=True, ids=names)


GEOMETRIES: dict[str, tuple[tuple[int, ...], tuple[int, ...], list[int]]] = {
    "padded": ((2, 5, 7, 6), (19, 5, 3, 3), [1, 1, 1, 1]),
    "padded unevenly": ((1, 3, 4, 5), (3, 3, 3, 3), [0, 2, 1, 0]),
    "not padded": ((1, 17, 9, 8), (8, 17, 3, 3), [0, 0, 0, 0]),
    "one pixel": ((3, 3, 1, 1), (5, 3, 3, 3), [1, 1, 1, 1]),
    "a row": ((1, 3, 3, 11), (5, 3, 1, 3), [0, 1, 0, 1]),
    "1-D": ((2, 4, 10), (9, 4, 3), [1, 1]),
}
PAIRED: dict[str, tuple[tuple[int, ...], tuple[int, ...], list[int]]] = {
    "padded": ((2, 13, 7, 6), (19, 13, 3, 3), [1, 1, 1, 1]),
    "panels of several vectors": ((1, 50, 5, 4), (70, 50, 3, 3), [0, 1, 1, 0]),
    "1-D": ((2, 7, 10), (9, 7, 3), [1, 1]),
}


@widths
@extents
@pytest.mark.parametrize("name", GEOMETRIES)
@cuts(Cut(2, 2), Cut(4, 4, rows=3, vectors=2, block=3), Cut(2, 4, block=64))
def test_winograd(cut: None, name: str, open_extents: bool, target: Target) -> None:
    shape, filters, pads = GEOMETRIES[name]
    nodes = [node("Conv", ["x", "w", "b"], ["t"], pads=pads), node("Relu", ["t"], ["y"])]
    constants = {"w": floats(*filters, seed=1), "b": floats(filters[0], seed=2)}
    case = Case(nodes, {"x": floats(*shape)}, constants=constants, layout="last")
    assert [lowered.kernel.name for lowered in case.lower(target, open_extents=open_extents)] == ["winograd"]
    check(case, target, open_extents=open_extents)


@widths
@extents
@pytest.mark.parametrize("name", PAIRED)
@cuts(Cut(2, 2, rows=3, block=6, pairs=True), Cut(4, 4, rows=2, block=2, pairs=True))
def test_winograd_in_pairs(cut: None, name: str, open_extents: bool, target: Target) -> None:
    shape, filters, pads = PAIRED[name]
    constants = {"w": floats(*filters, seed=1) / 8, "b": floats(filters[0], seed=2)}
    nodes = [node("Conv", ["x", "w", "b"], ["y"], pads=pads)]
    case = Case(nodes, {"x": floats(*shape)}, constants=constants, layout="last")
    (lowered,) = case.lower(target, open_extents=open_extents)
    assert "fw_balance_f32" in print_kernel(lowered.kernel).text
    check(case, target, open_extents=open_extents)


@extents
@cuts(Cut(2, 2, block=2), Cut(4, 4, vectors=2, block=8))
def test_threads_share_panels_and_blocks(cut: None, open_extents: bool) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["t"], pads=[1, 1, 1, 1]),
        node("Add", ["t", "residual"], ["u"]),
        node("Relu", ["u"], ["y"]),
    ]
    feeds = {"x": floats(1, 3, 6, 5), "residual": floats(1, 43, 6, 5, seed=3)}
    case = Case(nodes, feeds, constants={"w": floats(43, 3, 3, 3, seed=1)}, layout="last")
    check(case, AVX2, open_extents=open_extents, shares=(1, 2, 4))


@extents
@cuts(Cut(2, 2))
def test_winograd_computes_what_it_reads(cut: None, open_extents: bool) -> None:
    """The border is zero behind the work in front, not before it."""
    nodes = [
        node("Add", ["x", "s"], ["t"]),
        node("Conv", ["t", "w"], ["y"], pads=[1, 1, 1, 1]),
    ]
    constants = {"s": floats(1, 3, 1, 1), "w": floats(5, 3, 3, 3, seed=1)}
    case = Case(nodes, {"x": floats(1, 3, 5, 4)}, constants=constants, layout="last", anchor=1)
    check(case, AVX512, open_extents=open_extents)
