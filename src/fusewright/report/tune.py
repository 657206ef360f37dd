"""TuneResult -> what `fusewright tune` prints: predicted against measured, kernel by kernel, and what was gained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusewright.report.tables import show, table


def show_tuning(result: Mapping[str, Any]) -> None:
    """`result` is what --json prints."""
    rows = [_row(key, row, option) for key, row in result["kernels"].items() for option in row["options"]]
    if rows:
        show(table(("kernel", "option", ">predicted", ">measured", ">of default", ""), rows))
    whole, compared = result["model_microseconds"], len(result["kernels"])
    took = f"{result['variants']} variants in {result['seconds']:.1f} s"
    show(f"{took}: {result['stopped']}; {compared} choices compared")
    changed = sum(row["best"] != row["default"] for row in result["kernels"].values())
    if whole["default"]:
        show(
            f"default {whole['default'] / 1000:.3f} ms a run, tuned {whole['tuned'] / 1000:.3f} ms: "
            f"{result['ratio']:.3f}x of its speed, {changed} choices changed"
        )
    show(f"written to {result['database']} for {result['machine']}")


def _row(key: str, row: Mapping[str, Any], option: Mapping[str, Any]) -> tuple[object, ...]:
    marks = [mark for mark, name in (("default", row["default"]), ("best", row["best"])) if name == option["name"]]
    measured = option["microseconds"]
    return (
        key,
        option["name"],
        f"{option['predicted']:.2f}x",
        "" if measured is None else f"{measured:.1f} us",
        "" if measured is None else f"{option['measured']:.2f}x",
        ", ".join(marks),
    )
