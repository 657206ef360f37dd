"""Runs the ONNX backend test-suite through Fusewright: pass, unsupported, wrong, crashed, hung.

\b
pass         outputs are those of the suite, within its tolerances
unsupported  refused with a clear error that the user can act on
wrong        other outputs, another dtype or shape, or a changed input
crashed      a signal, or any error that is our bug (C that does not compile is one)
hung         no answer within the time-out

A full run writes docs/scoreboard.json. The exit code is 1 if a case was wrong, crashed, hung, or passed
in the recorded result and no longer does.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import onnx
from rich.console import Console
from rich.table import Table
from scoreboard.cases import KINDS, Case, load_cases
from scoreboard.engines import ENGINES
from scoreboard.pool import StartError, run_cases
from scoreboard.verdict import CRASHED, HUNG, OUTCOMES, PASS, UNSUPPORTED, WRONG, Verdict
from scoreboard.ways import WAYS, asked

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "docs" / "scoreboard.json"
REASONS_SHOWN = 10
SLOWEST_SHOWN = 3
PROGRESS_SECONDS = 2.0

EPILOG = """\b
Examples:
  python scripts/backend_scoreboard.py                        all cases; writes docs/scoreboard.json
  python scripts/backend_scoreboard.py --filter softmax       a few; writes nothing
  python scripts/backend_scoreboard.py --filter 'node/test_conv_' --show unsupported
  python scripts/backend_scoreboard.py --way turned           inputs that lie otherwise; writes nothing
  python scripts/backend_scoreboard.py --engine onnxruntime --json > peer.json
"""


class Progress:
    """A line on standard error every few seconds. No thread of its own: workers are forked from this process."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.verdicts: dict[str, Verdict] = {}
        self.last = time.monotonic()

    def __call__(self, case: Case, verdict: Verdict) -> None:
        self.verdicts[case.name] = verdict
        if time.monotonic() - self.last >= PROGRESS_SECONDS or len(self.verdicts) == self.total:
            self.last = time.monotonic()
            counts = Counter(v.outcome for v in self.verdicts.values())
            shown = ", ".join(f"{counts[o]} {o}" for o in OUTCOMES if counts[o])
            click.echo(f"[{len(self.verdicts)}/{self.total}] {shown}", err=True)


def as_record(engine: str, verdicts: dict[str, Verdict]) -> dict[str, Any]:
    """What is kept: no times, which differ from run to run."""
    counts = Counter(verdict.outcome for verdict in verdicts.values())
    return {
        "engine": engine,
        "onnx": onnx.__version__,
        "summary": {outcome: counts[outcome] for outcome in OUTCOMES},
        "cases": {
            name: {"outcome": verdict.outcome, "reason": verdict.reason} for name, verdict in sorted(verdicts.items())
        },
    }


def write_record(path: Path, record: dict[str, Any]) -> None:
    """One case a line, so that a change shows as one line; complete or not at all."""
    head = {key: value for key, value in record.items() if key != "cases"}
    lines = [f"  {json.dumps(name)}: {json.dumps(case)}" for name, case in record["cases"].items()]
    text = json.dumps(head, indent=1)[:-2] + ',\n "cases": {\n' + ",\n".join(lines) + "\n }\n}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    os.replace(part, path)


def lost_since(path: Path, record: dict[str, Any]) -> list[str]:
    """Cases that pass in the record at `path` and not in this one."""
    if not path.exists():
        return []
    before = json.loads(path.read_text())
    if before["engine"] != record["engine"]:
        return []
    now = record["cases"]
    passed = [name for name, case in before["cases"].items() if case["outcome"] == PASS]
    return [name for name in passed if name in now and now[name]["outcome"] != PASS]


def generalised(reason: str) -> str:
    """Reasons that differ only in numbers and in names of nodes and values are one reason."""
    reason = re.sub(r"^(\w+: )the model holds what \w+ cannot compile yet: ", r"\1", reason)
    reason = re.sub(r":? ?\(node that makes [^)]*\).*", "", reason)
    reason = re.sub(r"'[^']*'", "'...'", re.sub(r"\[[\d, -]*\]", "[...]", reason))
    return re.sub(r"\b\d+\b", "N", reason)[:110]


def print_summary(record: dict[str, Any], verdicts: dict[str, Verdict], shown: set[str]) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    listed = [(n, v) for n, v in sorted(verdicts.items()) if v.outcome in shown]
    for name, verdict in listed:
        console.print(f"{verdict.outcome:11} {name}  {verdict.reason}")
    table = Table(box=None, pad_edge=False, title=f"{record['engine']}, onnx {record['onnx']}")
    table.add_column("kind")
    for outcome in (*OUTCOMES, "all"):
        table.add_column(outcome, justify="right")
    for kind in (*KINDS, ""):
        counts = Counter(v.outcome for n, v in verdicts.items() if n.startswith(kind))
        if counts:
            numbers = [str(counts[outcome]) for outcome in OUTCOMES]
            table.add_row(kind or "all", *numbers, str(counts.total()))
    console.print(table)
    reasons = Counter(generalised(v.reason) for v in verdicts.values() if v.outcome == UNSUPPORTED)
    if reasons:
        console.print("most common reasons of unsupported:")
        for reason, count in reasons.most_common(REASONS_SHOWN):
            console.print(f"{count:6}  {reason}")
    slowest = sorted(verdicts.items(), key=lambda item: -item[1].seconds)[:SLOWEST_SHOWN]
    console.print("slowest: " + ", ".join(f"{name} {verdict.seconds:.1f} s" for name, verdict in slowest))


@click.command(help=__doc__, epilog=EPILOG)
@click.option("--filter", "pattern", metavar="REGEX", default="", help="Only cases whose KIND/NAME matches.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this kind (repeatable).")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Worker processes.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of a session.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, help="Seconds a case."
)
@click.option("--engine", type=click.Choice(list(ENGINES)), default="fusewright", show_default=True)
@click.option("--way", type=click.Choice(WAYS), help="Ask otherwise: inputs turned, extents open, one result alone.")
@click.option("--show", metavar="OUTCOME[,...]", help="List these cases (default: wrong, crashed, hung).")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where to write it.")
@click.option("--json", "as_json", is_flag=True, help="The whole result as JSON instead of the summary.")
def main(
    pattern: str,
    kinds: tuple[str, ...],
    jobs: int,
    threads: int,
    timeout: float,
    engine: str,
    way: str | None,
    show: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    shown = set(show.split(",")) if show is not None else {WRONG, CRASHED, HUNG}
    if not shown <= set(OUTCOMES):
        raise click.UsageError(f"--show takes {', '.join(OUTCOMES)}; got {show}")
    try:
        cases = load_cases(kinds or KINDS, pattern)
    except re.error as error:
        raise click.UsageError(f"--filter is not a regular expression: {error}") from error
    cases = cases if way is None else asked(cases, way)
    if not cases:
        raise click.UsageError(f"no case matches {pattern!r}")
    progress = Progress(len(cases))
    try:
        run_cases(cases, engine, jobs, threads, timeout, progress)
    except StartError as error:
        raise click.ClickException(f"{engine} cannot start: {error}") from error
    record = as_record(engine, progress.verdicts)
    lost = lost_since(RECORD, record)
    full = not pattern and not kinds and way is None and engine == "fusewright"
    target = output or (RECORD if full else None)
    if target is not None:
        write_record(target, record)
    if as_json:
        click.echo(json.dumps({**record, "lost": lost}, indent=1))
    else:
        print_summary(record, progress.verdicts, shown)
        for name in lost:
            click.echo(f"passed before, no longer: {name}")
    failed = any(record["summary"][outcome] for outcome in (WRONG, CRASHED, HUNG))
    sys.exit(1 if failed or lost else 0)


if __name__ == "__main__":
    main()
