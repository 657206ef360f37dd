"""How do kernels for AVX-512 run on a machine without it?

Their vectors have 16 elements whatever the instructions: a C compiler held to AVX2 makes two halves of each. Loops,
tiles and scratch are those of AVX-512; what csrc/fw_vec.h and csrc/fw_math.h have for its instructions alone is not.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fusewright.target import runs_here, x86
from fusewright.target.target import Target


def runnable(target: Target) -> Target:
    """The target, or, where this machine has no AVX-512 but all else, its kernels in halves."""
    halves = replace(target, features=x86.AVX2.features, cflags=x86.AVX2.cflags, gcc_flags=x86.AVX2.gcc_flags)
    return halves if target.lanes == 16 and not runs_here(target) and runs_here(halves) else target


RUNNABLE = [target.name for target in x86.TARGETS if runs_here(runnable(target))]


@pytest.fixture
def narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are compiled for "avx512" as this machine can run it."""
    monkeypatch.setattr(x86, "TARGETS", tuple(map(runnable, x86.TARGETS)))
