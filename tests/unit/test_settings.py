"""Is each setting read, and each wrong value refused with the name of its variable?"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from fusewright.errors import UserError
from fusewright.settings import Settings, describe, settings, usable_cpus


def test_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert settings({}) == Settings(0, None, tmp_path / "fusewright", None, None, usable_cpus())


def test_a_relative_cache_home_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert settings({}).cache_dir.is_absolute() and "here" not in settings({}).cache_dir.parts


def test_every_variable_is_read() -> None:
    read = settings(
        {
            "FUSEWRIGHT_DEBUG": " 3 ",
            "FUSEWRIGHT_DUMP": "/d",
            "FUSEWRIGHT_CACHE_DIR": "~/c",
            "FUSEWRIGHT_CC": "gcc-12",
            "FUSEWRIGHT_TARGET": "avx2",
            "FUSEWRIGHT_THREADS": "5",
        }
    )
    assert read == Settings(3, Path("/d"), Path.home() / "c", "gcc-12", "avx2", 5)


def test_an_empty_variable_is_not_set() -> None:
    assert settings({"FUSEWRIGHT_DEBUG": "", "FUSEWRIGHT_CC": " "}) == settings({})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FUSEWRIGHT_DEBUG", "6"),
        ("FUSEWRIGHT_DEBUG", "-1"),
        ("FUSEWRIGHT_DEBUG", "yes"),
        ("FUSEWRIGHT_THREADS", "0"),
        ("FUSEWRIGHT_THREADS", "2.5"),
        ("FUSEWRIGHT_THREADS", "1000000"),
    ],
)
def test_a_wrong_value_is_named(variable: str, text: str) -> None:
    with pytest.raises(UserError, match=f"{variable}: expected a whole number from .*, got '{text}'"):
        settings({variable: text})


def test_settings_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for level in (1, 2):
        monkeypatch.setenv("FUSEWRIGHT_DEBUG", str(level))
        assert settings().debug == level


def test_every_field_is_described() -> None:
    rows = describe()
    assert len(rows) == len(fields(Settings))
    assert all(variable.startswith("FUSEWRIGHT_") and default and text for variable, default, text in rows)
