"""Which target is this machine, and which target has this name?"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from fusewright.errors import UserError
from fusewright.target import arm, x86
from fusewright.target.generic import generic
from fusewright.target.target import Target

_CPU = Path("/sys/devices/system/cpu/cpu0/cache")
_ARCHES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
# What macOS calls a feature, where it differs from Linux beyond upper case.
_MACOS_FLAGS = {"avx1.0": "avx", "lzcnt": "abm", "advsimd": "asimd"}


def host_arch() -> str:
    """The architecture of this process as compilers name it."""
    machine = platform.machine().lower()
    return _ARCHES.get(machine, machine)


@lru_cache(maxsize=1)
def host_features() -> frozenset[str]:
    """The processor's flags as Linux spells them, common to all processors of this machine."""
    found = _macos_features() if sys.platform == "darwin" else _linux_features()
    # Both are part of the base architecture, and not every kernel or emulator lists them.
    base = {"x86_64": {"sse2"}, "aarch64": {"asimd"}}.get(host_arch(), set())
    return found | base


@lru_cache(maxsize=1)
def processor() -> str:
    """What this processor calls itself; processors of one name should take the same time."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _linux_features() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    sets = []
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features", "isa"):
            sets.append(frozenset(value.split()))
    return frozenset.intersection(*sets) if sets else frozenset()


def _macos_features() -> frozenset[str]:
    names = ("machdep.cpu.features", "machdep.cpu.leaf7_features", "machdep.cpu.extfeatures")
    try:
        done = subprocess.run(
            ["/usr/sbin/sysctl", "-n", *names], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return frozenset()
    words = done.stdout.lower().split()
    return frozenset(_MACOS_FLAGS.get(word, word) for word in words)


def _cache_bytes(level: int, default: int) -> int:
    """The data (or unified) cache of this level, from sysfs where there is one."""
    for folder in sorted(_CPU.glob("index*")):
        try:
            if int((folder / "level").read_text()) != level:
                continue
            if (folder / "type").read_text().strip() == "Instruction":
                continue
            size = (folder / "size").read_text().strip()
            unit = {"K": 1024, "M": 1024 * 1024}.get(size[-1:], 1)
            return int(size.rstrip("KM")) * unit or default
        except (OSError, ValueError):
            continue
    return default


def _is_zen4(target: Target) -> bool:
    """Zen 4 (AMD family 25 with AVX-512) computes 512 bits in two steps, its successors and Intel's servers in one; it
    adds beside its multiplications, and loads enough for both."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return target.lanes == 16 and "AuthenticAMD" in text and re.search(r"^cpu family\s*: 25$", text, re.M) is not None


def _on_this_machine(target: Target) -> Target:
    """The same target with this machine's caches and operating system."""
    triple = f"{target.arch}-macos" if sys.platform == "darwin" else target.triple
    zen4 = _is_zen4(target)
    return replace(
        target,
        triple=triple,
        l1_bytes=_cache_bytes(1, target.l1_bytes),
        l2_bytes=_cache_bytes(2, target.l2_bytes),
        l3_bytes=_cache_bytes(3, target.l3_bytes),
        half_rate=zen4,
        adds_beside=zen4,
        fma_rate=target.fma_rate / 2 if zen4 else target.fma_rate,
    )


def all_targets() -> tuple[Target, ...]:
    """Every known target, the widest of each architecture first, `generic` last."""
    return (*x86.TARGETS, *arm.TARGETS, generic(host_arch()))


def missing_features(target: Target) -> frozenset[str]:
    """What this machine lacks to run the code of a target of its own architecture."""
    return target.features - host_features()


def runs_here(target: Target) -> bool:
    """Whether this machine can run code made for the target."""
    return target.arch == host_arch() and not missing_features(target)


@lru_cache(maxsize=1)
def host() -> Target:
    """The widest target that this machine can run."""
    best = next(target for target in all_targets() if runs_here(target))
    return _on_this_machine(best)


def get(name: str) -> Target:
    """The target of this name; with this machine's cache sizes if it can run here.

    Raises UserError, which lists the names, for any other.
    """
    for target in all_targets():
        if target.name == name:
            return _on_this_machine(target) if target.arch == host_arch() else target
    names = ", ".join(target.name for target in all_targets())
    raise UserError(f"unknown target {name!r}: expected one of {names} (this machine is {host().name})")
