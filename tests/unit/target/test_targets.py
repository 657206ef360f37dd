"""Does the target data hold together, and is the right one chosen?"""

from __future__ import annotations

import sys

import pytest

from fusewright.errors import UserError
from fusewright.target import Target, all_targets, get, host, host_features, missing_features, runs_here

NAMES = [target.name for target in all_targets()]


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES) and "generic" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_target_is_found_by_its_name(name: str) -> None:
    target = get(name)
    assert target.name == name and target.triple.startswith(target.arch)
    assert target.l1_bytes < target.l2_bytes
    assert target.vector_bytes == 4 * target.lanes


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(UserError, match=r"avx9.*avx512, avx2, sse2, neon, generic"):
        get("avx9")


def test_the_host_runs_its_own_target_and_nothing_wider() -> None:
    mine = host()
    assert runs_here(mine)
    assert all(not runs_here(target) or target.lanes <= mine.lanes for target in all_targets())


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("sse2", "sse2"),
        ("avx avx2 fma f16c bmi1 bmi2 abm movbe", "avx2"),
        ("avx avx2 fma f16c bmi1 bmi2 abm movbe avx512f", "avx2"),
        ("avx avx2 fma f16c bmi1 bmi2 abm movbe avx512f avx512bw avx512cd avx512dq avx512vl", "avx512"),
        ("avx512f avx512bw avx512cd avx512dq avx512vl", "sse2"),
    ],
)
def test_the_flags_decide(flags: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["fusewright.target.host"]  # the package has a function of the same name
    monkeypatch.setattr(module, "host_arch", lambda: "x86_64")
    monkeypatch.setattr(module, "host_features", lambda: frozenset(flags.split()) | {"sse2"})
    assert next(target.name for target in all_targets() if runs_here(target)) == expected


def test_what_is_missing_is_named() -> None:
    target = Target("new", "x86_64", "x86_64-linux-gnu", 16, 32, True, frozenset({"no_such_flag"}))
    assert missing_features(target) == {"no_such_flag"}


def test_lanes_are_a_power_of_two() -> None:
    with pytest.raises(ValueError, match="power of two"):
        Target("odd", "x86_64", "x86_64-linux-gnu", 3, 16, False)


def test_the_flags_of_this_machine_are_known() -> None:
    assert host_features()
