"""Do products of pairs compute what ONNX says on each instruction set, also where they would not be chosen?"""

from __future__ import annotations

from pathlib import Path

from kernel_cases import Case, extents
from paired_cases import CASES, SLIDING, WINOGRAD, adding, in_pairs, only_pairs, only_sliding, winograd_in_pairs
from test_schedules import Kernels, compare, target

from fusewright.target.target import Target

__all__ = ["only_pairs", "only_sliding", "target", "winograd_in_pairs"]


@extents
def test_pairs(only_pairs: None, target: Target, open_extents: bool, tmp_path: Path) -> None:
    check(CASES, target, open_extents, tmp_path)


@extents
def test_windows_that_overlap(only_sliding: None, target: Target, open_extents: bool, tmp_path: Path) -> None:
    check(SLIDING, target, open_extents, tmp_path)


@extents
def test_winograd_in_pairs(winograd_in_pairs: None, target: Target, open_extents: bool, tmp_path: Path) -> None:
    check(WINOGRAD, target, open_extents, tmp_path)


def check(cases: dict[str, Case], target: Target, open_extents: bool, tmp_path: Path) -> None:
    kernels = Kernels(cases, adding(target), open_extents, tmp_path)
    for name, case in cases.items():
        assert in_pairs(kernels.lowered[name]), name
        compare(kernels.outputs(name), case.expected())
