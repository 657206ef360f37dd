"""Which settings does a user have, what do they mean, and what are they now?

Every environment variable that Fusewright reads is one row of `SETTINGS`; nothing else in the package
looks at `os.environ` for a setting of ours.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusewright.errors import UserError

MAX_DEBUG = 5
MAX_THREADS = 1024  # more is a typing mistake, and would be refused by most systems anyway


@dataclass(frozen=True)
class Settings:
    """The settings as they stand at one moment; a field is documented by its row in `SETTINGS`."""

    debug: int
    dump: Path | None
    cache_dir: Path
    compiler: str | None
    target: str | None
    threads: int
    tuning: str | None = None
    winograd: float | None = None


@dataclass(frozen=True)
class Setting:
    """One row: the environment variable, the field it fills, how its text is read, and its help."""

    variable: str
    field: str
    read: Callable[[str], Any]
    default: Callable[[], Any]
    default_text: str
    help: str


def _whole_number(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"a whole number from {low} to {high}") from None
        if not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return read


def _error_limit(text: str) -> float:
    """A positive number, 0 for `off`."""
    if text == "off":
        return 0.0
    try:
        value = float(text)
    except ValueError:
        raise ValueError("a positive number such as 1e-6, or off") from None
    if not 0 < value < math.inf:
        raise ValueError("a positive number such as 1e-6, or off")
    return value


def _path(text: str) -> Path:
    if "\0" in text:
        raise ValueError("a path")
    return Path(text).expanduser().absolute()


def user_cache_dir() -> Path:
    """The user's own cache directory, never one that users share."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base and os.path.isabs(base):  # the XDG specification says to ignore a relative one
        return Path(base) / "fusewright"
    if sys.platform == "darwin":
        return Path(os.path.expanduser("~")) / "Library" / "Caches" / "fusewright"
    return Path(os.path.expanduser("~")) / ".cache" / "fusewright"


def usable_cpus() -> int:
    """How many processors this process may run on (containers and `taskset` count)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "FUSEWRIGHT_DEBUG", "debug", _whole_number(0, MAX_DEBUG), lambda: 0, "0",
        "how much is printed on standard error: 1 passes and times, 2 also the graph whenever it changed, "
        "3 also decisions with their reasons, 4 also the generated C, 5 also the assembly",
    ),
    Setting(
        "FUSEWRIGHT_DUMP", "dump", _path, lambda: None, "nothing is written",
        "a directory to write NN-pass.onnx after each pass and kernel-NN.c for each kernel into",
    ),
    Setting(
        "FUSEWRIGHT_CACHE_DIR", "cache_dir", _path, user_cache_dir, "fusewright/ in the user's caches",
        "the directory where compiled kernels are kept",
    ),
    Setting(
        "FUSEWRIGHT_CC", "compiler", str, lambda: None, "the clang of the ziglang package",
        "a C compiler of the system to use instead, such as gcc or clang (a name or a path)",
    ),
    Setting(
        "FUSEWRIGHT_TARGET", "target", str, lambda: None, "the best that this processor has",
        "the instruction set that kernels are made for",
    ),
    Setting(
        "FUSEWRIGHT_THREADS", "threads", _whole_number(1, MAX_THREADS), usable_cpus, "all usable processors",
        "how many threads a session uses when it is not told",
    ),
    Setting(
        "FUSEWRIGHT_TUNING", "tuning", str, lambda: None, "tuning.json beside the compiled kernels",
        "the database of measured kernels that `tune` writes and compilations use, or off for none",
    ),
    Setting(
        "FUSEWRIGHT_WINOGRAD", "winograd", _error_limit, lambda: None, "2e-6",
        "up to which relative error of a layer convolutions and products are computed by Winograd's algorithms, or off "
        "for nowhere",
    ),
)  # fmt: skip


def settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment as it is now; an empty variable counts as not set.

    Raises UserError, which names the variable, for a value that cannot be read.
    """
    env = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for row in SETTINGS:
        text = env.get(row.variable, "")
        if not text.strip():
            values[row.field] = row.default()
            continue
        try:
            values[row.field] = row.read(text.strip())
        except ValueError as error:
            raise UserError(
                f"environment variable {row.variable}: expected {error}, got {text!r}. It sets {row.help}."
            ) from None
    return Settings(**values)


def describe() -> list[tuple[str, str, str]]:
    """(variable, default, help) of every setting, in the order of the documentation."""
    return [(row.variable, row.default_text, row.help) for row in SETTINGS]
