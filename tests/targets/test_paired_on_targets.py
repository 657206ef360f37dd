"""Do products of pairs compute what ONNX says on each instruction set, also where they would not be chosen?"""

from __future__ import annotations

from pathlib import Path

from kernel_cases import extents
from paired_cases import CASES, WINOGRAD, adding, in_pairs, only_pairs, winograd_in_pairs
from test_schedules import Kernels, compare, target

from fusewright.target.target import Target

__all__ = ["only_pairs", "target", "winograd_in_pairs"]


@extents
def test_pairs(only_pairs: None, target: Target, open_extents: bool, tmp_path: Path) -> None:
    kernels = Kernels(CASES, adding(target), open_extents, tmp_path)
    for name, case in CASES.items():
        assert in_pairs(kernels.lowered[name]), name
        compare(kernels.outputs(name), case.expected())


@extents
def test_winograd_in_pairs(winograd_in_pairs: None, target: Target, open_extents: bool, tmp_path: Path) -> None:
    kernels = Kernels(WINOGRAD, adding(target), open_extents, tmp_path)
    for name, case in WINOGRAD.items():
        (lowered,) = kernels.lowered[name]
        assert lowered.kernel.name == "winograd" and in_pairs([lowered]), name
        compare(kernels.outputs(name), case.expected())
