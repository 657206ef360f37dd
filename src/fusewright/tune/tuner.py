"""Measure the options of all kernels of a model within the model itself, and keep the best of each.

Variants of the whole model run in alternation with the default one, so that caches are as in real runs and a noisy
machine slows both alike. One variant at a time is kept, which costs the memory of the weights that it packs otherwise.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from statistics import median
from typing import Protocol

from fusewright.tune.database import Measured
from fusewright.tune.search import Assignment, Path, Search, Trial, Work, times_of

FEWEST_ROUNDS, MOST_ROUNDS = 5, 60
SECONDS_OF_ROUNDS = 1.0  # that one variant is measured for, unless it needs more for the fewest rounds
RUNS_TO_WARM_UP = 2
SHARE_OF_CONFIRMATION = 0.2  # of the time: the tuned model against the default one

Report = Callable[[str, int, int], None]


class Candidate(Protocol):
    """One variant of the model, ready to run. `paths` are the choices behind each call of its program."""

    paths: Sequence[Path]

    def run(self) -> None:
        """One run as users make it."""

    def profile(self) -> Sequence[float]:
        """One run; the microseconds of each call."""


Make = Callable[[Mapping[str, str]], Candidate]
"""Plans and builds the model with these options (key -> option) instead of the default ones."""


@dataclass
class TuneResult:
    """What was measured: the works with their trials, and the whole model, microseconds of a run each.

    `ratio` is default time divided by tuned time, by the median of the rounds: above 1, tuning gained.
    """

    search: Search
    seconds: float
    variants: int
    stopped: str
    default_us: float = 0.0
    tuned_us: float = 0.0
    ratio: float = 1.0
    reverted: list[str] = field(default_factory=list)

    def measured(self) -> dict[str, Measured]:
        """The rows of the database, by key."""
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        rows: dict[str, Measured] = {}
        for work in self.search.works:
            if len(work.trials) < 2:
                continue  # nothing was compared
            best = dict(work.best)
            default = dict(work.default)
            for key in work.order:
                if key in work.unlike:
                    continue
                times = option_times(work, key)
                chosen = best.get(key, default.get(key)) or min(times, key=lambda o: times[o], default="")
                if times:
                    rows[key] = Measured(chosen, default.get(key, chosen), times, dict(work.options[key]), when)
        return rows


def option_times(work: Work, key: str) -> dict[str, float]:
    """The least time of the work with each option of a key, in microseconds."""
    base = work.trials[work.default].microseconds
    times: dict[str, float] = {}
    for assignment, trial in work.trials.items():
        option = dict(assignment).get(key)
        if option is not None:
            times[option] = round(min(times.get(option, float("inf")), base * trial.ratio), 3)
    return times


def tune(make: Make, seconds: float, report: Report) -> TuneResult:
    """Search until all is tried, `seconds` are over, or Ctrl-C; what was measured by then is kept."""
    start = time.perf_counter()
    end = start + seconds
    report("compiling the default", 0, 0)
    base = make({})
    search = Search.start(base.paths)
    result = TuneResult(search, 0.0, 0, "all options were tried")
    try:
        longest = time.perf_counter() - start
        while True:
            now = time.perf_counter()
            if now + longest > end - SHARE_OF_CONFIRMATION * seconds and result.variants:
                result.stopped = f"the {seconds:g} s were over"
                break
            wanted = search.variant()
            if not wanted:
                break
            untried = sum(work.next() is not None for work in search.works)
            report(f"variant {result.variants + 1} ({untried} kernels have more)", int(now - start), int(seconds))
            compare(search, base, make(wanted))
            result.variants += 1
            longest = time.perf_counter() - now
        report("the tuned model against the default one", int(time.perf_counter() - start), int(seconds))
        confirm(result, base, make, max(end - time.perf_counter(), 1.0))
    except KeyboardInterrupt:
        result.stopped = "interrupted"
    result.seconds = time.perf_counter() - start
    return result


def alternate(base: Candidate, other: Candidate, seconds: float) -> list[tuple[Sequence[float], Sequence[float]]]:
    """Times of the calls of both, in turn, after some runs to warm up: of the rounds that were interrupted the least.

    A kernel that is longer than a turn of the system's scheduler is never whole on a busy machine, so that neither
    medians nor minima tell its time.
    """
    for _ in range(RUNS_TO_WARM_UP):
        base.profile()
        other.profile()
    rounds: list[tuple[int, Sequence[float], Sequence[float]]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < FEWEST_ROUNDS or (len(rounds) < MOST_ROUNDS and time.perf_counter() < end):
        before = _interruptions()
        times = base.profile(), other.profile()
        rounds.append((_interruptions() - before, *times))
    rounds.sort(key=lambda r: r[0])
    calm = max(FEWEST_ROUNDS, len(rounds) // 2, sum(r[0] == 0 for r in rounds))
    return [(b, o) for _, b, o in rounds[:calm]]


def _interruptions() -> int:
    """How often the threads of this process had to let others run."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def compare(search: Search, base: Candidate, other: Candidate) -> None:
    """Measure a variant beside the default, and record each work's time under what the variant made of it."""
    realised = search.realised(other.paths)
    rounds = alternate(base, other, SECONDS_OF_ROUNDS)
    mine = [times_of(search, base.paths, b) for b, _ in rounds]
    theirs = [times_of(search, other.paths, o) for _, o in rounds]
    for number, assignment in realised.items():
        work = search.works[number]
        before, after = ([r[number] for r in side if number in r] for side in (mine, theirs))
        if not before or not after:
            continue
        record(work, work.default, before, before)
        if assignment != work.default:
            record(work, assignment, before, after)


def record(work: Work, assignment: Assignment, before: Sequence[float], after: Sequence[float]) -> None:
    """Keep a trial; of two of one combination the one with the smaller gain counts."""
    ratio = median(a / max(b, 1e-9) for b, a in zip(before, after, strict=True))
    made = Trial(median(after), ratio, min(after) / max(min(before), 1e-9))
    known = work.trials.get(assignment)
    if known is None or made.gain > known.gain or assignment == work.default:
        work.trials[assignment] = made


def confirm(result: TuneResult, base: Candidate, make: Make, seconds: float) -> None:
    """Measure the best of all works together, let go what is not faster after all, and time whole runs."""
    search = result.search
    chosen = search.best()
    if all(work.best == work.default for work in search.works):
        tuned = base
    else:
        tuned = make(chosen)
        compare(search, base, tuned)
        result.reverted = sorted(key for key, option in search.best().items() if chosen.get(key) != option)
        if result.reverted:
            tuned = make(search.best())
    pairs: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    for candidate in (base, tuned):
        candidate.run()
    while len(pairs) < FEWEST_ROUNDS or (time.perf_counter() < end and len(pairs) < MOST_ROUNDS):
        times = []
        for candidate in (base, tuned):
            start = time.perf_counter()
            candidate.run()
            times.append((time.perf_counter() - start) * 1e6)
        pairs.append((times[0], times[1]))
    result.default_us, result.tuned_us = (median(p[i] for p in pairs) for i in (0, 1))
    result.ratio = median(before / after for before, after in pairs)
    if tuned is base:  # what differs is noise
        result.tuned_us, result.ratio = result.default_us, 1.0
