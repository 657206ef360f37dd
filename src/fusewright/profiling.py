"""Where does the time of a run go, and what holds each kernel back: arithmetic, memory, or neither?

    result = profile(session, {"x": x}, seconds=5)
    print(result.kernels[0].title, result.kernels[0].ms, result.kernels[0].limit)

The roofs (`bench.roofs`) are measured in turns with the runs. A kernel's *reached* shares are what it does in its time
against what the machine could do in that time, by the work that its schedule counted and by the bytes of its operands,
each read or written once. Time, work and bytes of a kernel are shared among its nodes by the estimate of `plan.work`.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import fusewright
from fusewright.bench.machine import machine_facts
from fusewright.bench.result import spread
from fusewright.bench.roofs import Meter, Roofs
from fusewright.runtime.shares import Share
from fusewright.session import Ready, numpy_dtype

TURN_SECONDS = 0.06  # of runs of one sort, in a round
MIN_ROUNDS = 3
OVERHEAD = 0.3  # who reaches less of every roof is held by none of them: by latency, waiting, or too little work
BEYOND_MEMORY = 1.1  # who reads faster than memory can, reads from a cache
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Rates:
    """What was reached: 10^9 operations and bytes a second; shares of the roofs (1 = all); which roof is the nearest
    ("compute", "memory", "cache", or "overhead" when none is near) and the share of it."""

    gflops: float
    gbytes: float
    of_peak: float
    of_memory: float
    of_cache: float
    limit: str
    reached: float


@dataclass(frozen=True)
class KernelTime:
    """One call of a kernel. `ms` is the median, `low_ms` to `high_ms` hold the middle 80 % of the runs; `share` is of
    the sum of all kernels. `threads` take part in it and compute for the part `busy` of its time (None: not known).
    `way` and `predicted_ms` tell the chosen schedule and what was predicted for it, where there was a choice."""

    index: int
    title: str
    symbol: str
    nodes: tuple[str, ...]
    ops: tuple[str, ...]
    threads: int
    ms: float
    low_ms: float
    high_ms: float
    share: float
    flop: int
    bytes: int
    rates: Rates
    busy: float | None
    way: str
    predicted_ms: float | None


@dataclass(frozen=True)
class NodeTime:
    """One node: of the model, or made by a rewrite. `kernels` compute it (none: see `reason`); its time, work and bytes
    are its estimated part of theirs."""

    name: str
    op_type: str
    kernels: tuple[int, ...]
    ms: float
    share: float
    flop: float
    bytes: float
    rates: Rates | None
    reason: str


@dataclass(frozen=True)
class Span:
    """What one thread (0: the caller) did of one call in the run that stands for all: microseconds since its start."""

    kernel: int
    thread: int
    start_us: float
    us: float


@dataclass(frozen=True)
class Profile:
    """All of it. `call_ms` is a call of the session from Python, `run_ms` the program alone, neither of them profiled;
    `kernels_ms` is the sum of the kernels' medians; `cost_ms` is what profiling adds to a run (the median difference of
    two runs in a row)."""

    model: str
    target: str
    threads: int
    shapes: Mapping[str, tuple[int, ...]]
    rounds: int
    runs: int
    call_ms: float
    run_ms: float
    kernels_ms: float
    cost_ms: float
    flop: int
    bytes: int
    rates: Rates
    roofs: Roofs
    kernels: tuple[KernelTime, ...]
    nodes: tuple[NodeTime, ...]
    timeline: tuple[Span, ...]
    machine: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The same as JSON-ready dicts, lists, strings and numbers, without the timeline (see `report.trace`)."""
        data = asdict(self)
        del data["timeline"]
        return data


@dataclass
class _Times:
    """Nanoseconds: of each call from Python, of each run, of each call of a kernel in each run; and shares of runs."""

    calls: list[int]
    runs: list[int]
    kernels: list[list[int]]
    shares: list[list[Share]]
    roofs: list[Roofs]


def profile(
    session: fusewright.Session,
    feed: Mapping[str, np.ndarray],
    *,
    seconds: float = 5.0,
    model: str | None = None,
    progress: Progress | None = None,
) -> Profile:
    """Run the session on `feed` for about `seconds` (at least three rounds) and tell where the time goes.

    `feed` gives an array for each input, as for `session.run`; `model` is what the result calls it. Raises InputError
    as `run` does, BuildError when the loops that measure the machine cannot be built.
    """
    facts = machine_facts()
    arrays = {name: np.asarray(array) for name, array in feed.items()}
    session.run(None, arrays)
    shapes = {p.name: arrays[p.name].shape for p in session.inputs}
    ready = session.prepare(shapes, arrays)
    about = session.describe(shapes, arrays)
    with Meter(session.threads) as meter:
        times = _measure(session, ready, arrays, meter, seconds, progress)
    roofs = Roofs(*(statistics.median(column) for column in zip(*(vars(r).values() for r in times.roofs), strict=True)))
    kernels = _kernels(about.kernels, [call.shares for call in ready.executor.program.calls], times, roofs)
    total = sum(k.ms for k in kernels)
    flop, moved = sum(k.flop for k in kernels), sum(k.bytes for k in kernels)
    return Profile(
        model=model or session.name,
        target=session.target.name,
        threads=session.threads,
        shapes=shapes,
        rounds=len(times.roofs),
        runs=len(times.kernels),
        call_ms=statistics.median(times.calls) / 1e6,
        run_ms=statistics.median(times.runs) / 1e6,
        kernels_ms=total,
        cost_ms=statistics.median(sum(k) - r for k, r in zip(times.kernels, times.runs, strict=True)) / 1e6,
        flop=flop,
        bytes=moved,
        rates=rates(flop, moved, total, roofs),
        roofs=roofs,
        kernels=kernels,
        nodes=_nodes(about, kernels, roofs),
        timeline=_timeline(times.shares),
        machine=facts,
    )


def _measure(
    session: fusewright.Session,
    ready: Ready,
    arrays: dict[str, np.ndarray],
    meter: Meter,
    seconds: float,
    progress: Progress | None,
) -> _Times:
    """Rounds of: the roofs, calls from Python, runs, profiled runs, and one run with the shares of each thread."""
    run = ready.executor
    inputs = [*(np.asarray(arrays[p.name], order="C") for p in session.inputs), *ready.constants]
    outputs = [np.empty(p.shape, numpy_dtype(p.dtype)) for p in ready.program.outputs]

    def timed(work: Callable[[], object]) -> int:
        start = time.perf_counter_ns()
        work()
        return time.perf_counter_ns() - start

    warm = min(timed(lambda: run.profile(inputs, outputs)) for _ in range(3))
    count = max(1, math.ceil(TURN_SECONDS * 1e9 / max(warm, 1)))
    times = _Times([], [], [], [], [])
    start = time.monotonic()
    while len(times.roofs) < MIN_ROUNDS or time.monotonic() - start < seconds:
        if progress:
            spent = min(seconds, time.monotonic() - start)
            progress(f"profiling, round {len(times.roofs) + 1}", int(spent * 1000), int(seconds * 1000))
        times.roofs.append(meter.measure())
        run.run(inputs, outputs)  # not measured: the loops before have emptied the caches
        for turn in range(count):  # one after the other, so that what disturbs the machine disturbs all three alike
            times.calls.append(timed(lambda: session.run(None, arrays)))
            times.runs.append(timed(lambda: run.run(inputs, outputs)))
            times.kernels.append(run.profile(inputs, outputs))
            if turn == 0:
                times.shares.append(run.profile_shares(inputs, outputs))
    return times


def rates(flop: float, moved: float, ms: float, roofs: Roofs) -> Rates:
    """What work and bytes in a time come to, against the roofs."""
    ns = max(ms * 1e6, 1.0)
    peak, memory, cache = flop / ns / roofs.gflops, moved / ns / roofs.memory, moved / ns / roofs.cache
    traffic = ("memory", memory) if memory <= BEYOND_MEMORY else ("cache", cache)
    limit, reached = max(("compute", peak), traffic, key=lambda roof: roof[1])
    return Rates(flop / ns, moved / ns, peak, memory, cache, limit if reached >= OVERHEAD else "overhead", reached)


def _kernels(described: Sequence[Any], threads: Sequence[int], times: _Times, roofs: Roofs) -> tuple[KernelTime, ...]:
    """`described` are the kernels of a `Description`: one for each call of the program; `threads` take part in each."""
    spans = [spread(column) for column in zip(*times.kernels, strict=True)]
    total = sum(s.median for s in spans) or 1.0
    busy = _busy(times.shares)
    made = []
    for k, shares, span in zip(described, threads, spans, strict=True):
        ms, moved = span.median / 1e6, k.bytes_in + k.bytes_out + k.bytes_weights
        made.append(
            KernelTime(
                index=k.index,
                title=k.title,
                symbol=k.symbol,
                nodes=tuple(n.name for n in k.nodes),
                ops=tuple(n.op_type for n in k.nodes),
                threads=shares,
                ms=ms,
                low_ms=span.low / 1e6,
                high_ms=span.high / 1e6,
                share=span.median / total,
                flop=k.flop,
                bytes=moved,
                rates=rates(k.flop, moved, ms, roofs),
                busy=busy.get(k.index),
                way=k.way,
                predicted_ms=None if k.cycles is None else k.cycles / roofs.clock / shares / 1e6,
            )
        )
    return tuple(made)


def _busy(runs: Iterable[Sequence[Share]]) -> dict[int, float]:
    """By call: how much of its time, from the first thread's start to the last one's end, its threads computed."""
    found: dict[int, list[float]] = {}
    for shares in runs:
        calls: dict[int, list[Share]] = {}
        for share in shares:
            calls.setdefault(share.call, []).append(share)
        for call, parts in calls.items():
            wall = max(p.end for p in parts) - min(p.begin for p in parts)
            if len(parts) > 1 and wall > 0:
                found.setdefault(call, []).append(sum(p.end - p.begin for p in parts) / (len(parts) * wall))
    return {call: min(1.0, statistics.median(values)) for call, values in found.items()}


def _nodes(about: Any, kernels: Sequence[KernelTime], roofs: Roofs) -> tuple[NodeTime, ...]:
    """`about` is a `Description`. Nodes in the order in which they are computed, then those that none computes."""
    parts: dict[tuple[str, str], list[tuple[KernelTime, float]]] = {}
    for described, kernel in zip(about.kernels, kernels, strict=True):
        work = described.work if sum(described.work) else [1] * len(described.nodes)
        for node, its in zip(described.nodes, work, strict=True):
            parts.setdefault((node.name, node.op_type), []).append((kernel, its / sum(work)))
    made = []
    for (name, op_type), those in parts.items():
        ms, share, flop, moved = (
            sum(part * float(getattr(kernel, what)) for kernel, part in those)
            for what in ("ms", "share", "flop", "bytes")
        )
        indices = tuple(kernel.index for kernel, _ in those)
        made.append(NodeTime(name, op_type, indices, ms, share, flop, moved, rates(flop, moved, ms, roofs), ""))
    made += [NodeTime(a.name, a.op_type, (), 0.0, 0.0, 0.0, 0.0, None, a.reason) for a in about.absent]
    return tuple(made)


def _timeline(runs: Sequence[Sequence[Share]]) -> tuple[Span, ...]:
    """The run whose length is the median."""

    def length(shares: Sequence[Share]) -> int:
        return max((s.end for s in shares), default=0) - min((s.begin for s in shares), default=0)

    chosen = sorted(runs, key=length)[len(runs) // 2]
    start = min((s.begin for s in chosen), default=0)
    return tuple(Span(s.call, s.thread, (s.begin - start) / 1e3, (s.end - s.begin) / 1e3) for s in chosen)
