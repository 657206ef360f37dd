"""BenchResult -> the tables that `fusewright bench` prints."""

from __future__ import annotations

from fusewright.bench.result import BenchResult, EngineResult, Spread
from fusewright.report.tables import amount, show, size, table


def show_bench(result: BenchResult) -> None:
    """What was measured, on what, each engine's figures, and the ratios pair by pair."""
    r = result
    shapes = ", ".join(f"{n}={'x'.join(map(str, s)) or 'scalar'}" for n, s in r.shapes.items())
    show(f"{r.model} ({shapes}), {r.threads} thread{'s' * (r.threads != 1)}, {r.rounds} rounds")
    machine = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in r.machine.items())
    show(f"on {machine}")
    peak = _range(r.peak_gflops, "{:.0f}")
    work = f"{amount(r.flop, 'FLOP')} a run, " if r.flop else ""
    show(f"{work}measured peak {peak} GFLOP/s")
    columns = ("engine", "version", ">median", ">least", ">GFLOP/s", ">of peak", ">memory", ">load", ">runs")
    show(table(columns, (_row(e) for e in r.engines)))
    for e in r.engines:
        if e.compile_seconds is not None:
            show(f"{e.name} compiled the model in {e.compile_seconds:.2f} s before; load is of the compiled file")
    for ratio in r.ratios:
        verdict = "faster" if ratio.ratio.median >= 1 else "slower"
        show(f"{ratio.engine} against {ratio.opponent}: {_range(ratio.ratio, '{:.3f}')}x of its speed ({verdict})")
    for name, reason in r.failures.items():
        show(f"{name} failed: {reason}")
    show("ranges hold the middle 80 % of the rounds; memory is above what the import of the engine takes")


def _row(e: EngineResult) -> tuple[object, ...]:
    return (
        e.name,
        e.version.split("-")[0],
        f"{e.median_ms:.3f} ms",
        f"{e.min_ms:.3f} ms",
        "" if e.gflops is None else f"{e.gflops:.1f}",
        "" if e.share_of_peak is None else f"{100 * e.share_of_peak.median:.0f} %",
        "" if e.memory_bytes is None else size(e.memory_bytes),
        f"{e.load_seconds:.2f} s",
        e.runs,
    )


def _range(spread: Spread, form: str) -> str:
    return f"{form.format(spread.median)} ({form.format(spread.low)} to {form.format(spread.high)})"
