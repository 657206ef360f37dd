"""In which order do the engines run, and for how long? -> the times of every engine in every round.

A round gives each engine one turn; a turn lasts about `TURN_SECONDS` and is at least one run. The order
moves on by one each round, so that not always the same one goes first, and none begins before the threads of
the one before it sleep. What disturbs the machine for longer than a round then disturbs all engines alike, and
ratios within a round stay true when absolute times are not.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fusewright.bench.process import Engine

TURN_SECONDS = 0.06
MIN_ROUNDS = 3


@dataclass(frozen=True)
class Turn:
    """What one engine did in one round, in nanoseconds."""

    median: float
    least: float
    runs: int


Round = dict[str, Turn]


def alternate(
    engines: Sequence[Engine], seconds: float, progress: Callable[[str, int, int], None] | None = None
) -> list[Round]:
    """Rounds until `seconds` are over, at least three. Every engine has been loaded."""
    runs = {e.name: max(1, math.ceil(TURN_SECONDS * 1e9 / e.facts["run_ns"])) for e in engines}
    rounds: list[Round] = []
    start = time.monotonic()
    while len(rounds) < MIN_ROUNDS or time.monotonic() - start < seconds:
        if progress:
            spent = min(seconds, time.monotonic() - start)
            progress(f"measuring, round {len(rounds) + 1}", int(spent * 1000), int(seconds * 1000))
        first = len(rounds) % len(engines)
        turns: Round = {}
        for engine in [*engines[first:], *engines[:first]]:
            times = engine.turn(runs[engine.name])
            turns[engine.name] = Turn(statistics.median(times), min(times), len(times))
            engine.settle()
        rounds.append(turns)
    return rounds
