"""Tests of the runtime: a cache of their own, and other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from runtime_processes import Start

SRC = Path(__file__).parents[3] / "src"


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def settings_of_tests(monkeypatch: pytest.MonkeyPatch, shared_cache: Path) -> Iterator[None]:
    """No setting of the person who runs the tests counts, and their cache is left alone."""
    for name in [name for name in os.environ if name.startswith("FUSEWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FUSEWRIGHT_CACHE_DIR", str(shared_cache))
    yield


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python on a text in a process of its own; those that still run are ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def start_one(script: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(SRC), str(Path(__file__).parent))), **variables},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        return process

    yield start_one
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
