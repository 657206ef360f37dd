"""Rounds of times -> the figures that a person compares: medians, ratios pair by pair, rates, shares."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fusewright.bench.rounds import Round


@dataclass(frozen=True)
class Spread:
    """The median over all rounds, and the range that holds the middle 80 % of them."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class EngineResult:
    """One engine. `gflops` and `share_of_peak` are None where the model's work is not known.

    `memory_bytes` is resident memory after loading and running, above what the import of the engine took.
    `compile_seconds` counts only for an engine that compiles before it loads.
    """

    name: str
    version: str
    runs: int
    median_ms: float
    min_ms: float
    gflops: float | None
    share_of_peak: Spread | None
    load_seconds: float
    compile_seconds: float | None
    first_run_ms: float
    memory_bytes: int | None


@dataclass(frozen=True)
class Ratio:
    """Time of `opponent` / time of `engine`, of each round: above 1, `engine` is the faster one."""

    engine: str
    opponent: str
    ratio: Spread


@dataclass(frozen=True)
class BenchResult:
    """All of it, with what it was measured on. `failures` are engines that could not run the model, and why."""

    model: str
    shapes: Mapping[str, tuple[int, ...]]
    threads: int
    rounds: int
    seconds: float
    flop: int | None
    peak_gflops: Spread
    engines: tuple[EngineResult, ...]
    ratios: tuple[Ratio, ...]
    failures: Mapping[str, str]
    machine: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def spread(values: Sequence[float]) -> Spread:
    """Median, and the 10th and 90th percentile (of few values: the nearest ones)."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return Spread(statistics.median(ordered), ordered[round(0.1 * last)], ordered[round(0.9 * last)])


def engine_result(
    name: str,
    facts: Mapping[str, Any],
    rounds: Sequence[Round],
    flop: int | None,
    peaks: Sequence[float],
    compile_seconds: float | None = None,
) -> EngineResult:
    """The figures of one engine; `peaks` is the machine's rate (FLOP per ns, so GFLOP/s) in each round."""
    turns = [r[name] for r in rounds]
    median = statistics.median(t.median for t in turns)
    shares = [flop / t.median / peak for t, peak in zip(turns, peaks, strict=True)] if flop else []
    return EngineResult(
        name=name,
        version=str(facts["version"]),
        runs=sum(t.runs for t in turns),
        median_ms=median / 1e6,
        min_ms=min(t.least for t in turns) / 1e6,
        gflops=flop / median if flop else None,
        share_of_peak=spread(shares) if shares else None,
        load_seconds=facts["load_seconds"],
        compile_seconds=compile_seconds,
        first_run_ms=facts["first_run_ns"] / 1e6,
        memory_bytes=facts["memory_bytes"],
    )


def ratios(names: Sequence[str], rounds: Sequence[Round]) -> tuple[Ratio, ...]:
    """The first engine against each other one."""
    first, *others = names
    return tuple(Ratio(first, other, spread([r[other].median / r[first].median for r in rounds])) for other in others)
