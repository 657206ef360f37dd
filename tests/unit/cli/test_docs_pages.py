"""The pages for users say what the code does: every setting, every verb, every option."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from fusewright.cli import cli
from fusewright.settings import SETTINGS

DOCS = Path(__file__).parents[3] / "docs"


def test_every_setting_is_on_its_page() -> None:
    rows = (DOCS / "settings.md").read_text(encoding="utf-8").replace("`", "").splitlines()
    told = [tuple(cell.strip() for cell in row.split("|")[1:3]) for row in rows if row.startswith("| FUSEWRIGHT_")]
    assert told == [(s.variable, s.default_text) for s in SETTINGS]


def test_the_ladder_is_complete() -> None:
    """The help of FUSEWRIGHT_DEBUG and the page name the same steps."""
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    for step in ("pass", "graph", "decision", "C of each kernel", "assembly"):
        assert step in page.split("debugging ladder")[1]


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_is_on_its_page(verb: str) -> None:
    page = (DOCS / "command_line.md").read_text(encoding="utf-8")
    assert f"fusewright {verb}" in page


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_speaks_json_and_shows_examples(verb: str) -> None:
    command = cli.commands[verb]
    options = {name for p in command.params if isinstance(p, click.Option) for name in p.opts}
    assert "--json" in options
    text = command.get_help(click.Context(command, info_name=verb))
    assert f"fusewright {verb} " in text.split("Example")[1]
    assert all(p.help for p in command.params if isinstance(p, click.Option))
