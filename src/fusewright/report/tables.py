"""How does anything that we print look? The console, one kind of table, and how numbers are written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

# In a pipe or a file there is no terminal width to fit: lines are as long as their text.
_WIDTH_OF_A_FILE = 400


def show(*parts: RenderableType) -> None:
    """Prints to standard output, with colour only on a terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_OF_A_FILE)
    for part in parts:
        console.print(part, markup=False, crop=False, soft_wrap=isinstance(part, str | Text))


def show_json(data: Mapping[str, Any]) -> None:
    """Prints one JSON object to standard output; NaN and infinities become strings, as JSON has none."""
    click.echo(json.dumps(_strict(data), indent=2, allow_nan=False))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> Table:
    """A plain table. A column whose name starts with ">" is aligned right. Cells are text, never markup."""
    made = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, show_edge=False)
    for column in columns:
        right = column.startswith(">")
        made.add_column(Text(column.lstrip(">")), justify="right" if right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return made


def amount(number: float, unit: str) -> str:
    """12345678, "FLOP" -> 12.3 MFLOP (steps of 1000, as rates and work are counted)."""
    return _scaled(number, unit, 1000.0, ("", "k", "M", "G", "T"))


def size(number: float) -> str:
    """3211264 -> 3.06 MiB."""
    return _scaled(number, "B", 1024.0, ("", "Ki", "Mi", "Gi", "Ti"))


def _scaled(number: float, unit: str, step: float, prefixes: Sequence[str]) -> str:
    magnitude, prefix = float(number), prefixes[0]
    for prefix in prefixes:
        if abs(magnitude) < step or prefix == prefixes[-1]:
            break
        magnitude /= step
    if prefix == prefixes[0] and magnitude == int(magnitude):
        return f"{int(magnitude)} {unit}"
    return f"{magnitude:.3g} {prefix}{unit}"


def _strict(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(k): _strict(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_strict(v) for v in data]
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):
        return str(data)
    return data
