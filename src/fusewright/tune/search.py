"""Which combinations of options are worth measuring, and which of those measured is the best?

A group of a plan has a path: what was chosen for each of its keys, in order, where a later key may exist only under
some option of an earlier one ("winograd", then its tile). Groups that share a key are decided together: they are one
*work*, and independent of all others, so that one variant of a whole model measures one combination of every work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fusewright.schedules.choice import Choice

Assignment = frozenset[tuple[str, str]]  # (key, option), as they came to be in a plan
Path = tuple[Choice, ...]

LIMIT = 3.0  # an option that is predicted to take so much longer than the best is not measured
MARGIN = 0.02  # what a measurement must gain before it is believed


@dataclass
class Trial:
    """A combination that was measured: its time in microseconds, and its ratio to the default's beside it, by the
    median and by the least of the rounds."""

    microseconds: float
    ratio: float
    least: float

    @property
    def gain(self) -> float:
        """The ratio that both agree on: noise makes one of them look good, hardly both."""
        return max(self.ratio, self.least)


@dataclass
class Work:
    """What is decided together: all keys, their options (the cheapest first), and what was measured.

    `keys` are those of the default plan; others come up under other options, and may do so in several works.
    """

    keys: set[str]
    order: list[str] = field(default_factory=list)  # keys as they come in paths
    options: dict[str, dict[str, float]] = field(default_factory=dict)  # key -> option -> predicted cycles
    default: Assignment = frozenset()
    trials: dict[Assignment, Trial] = field(default_factory=dict)
    asked: set[Assignment] = field(default_factory=set)  # what a plan was made for, as it was asked

    def learn(self, path: Path) -> None:
        """Remember keys and options of a path."""
        for choice in path:
            if choice.key not in self.options:
                self.order.append(choice.key)
            self.options.setdefault(choice.key, {}).update((o.name, o.cycles) for o in choice.options)

    @property
    def unlike(self) -> set[str]:
        """Keys for which kernels took different options by default, as not all were offered the same: no option of such
        a key is good for all of them, so that each keeps its own."""
        keys = [key for key, _ in self.default]
        return {key for key in keys if keys.count(key) > 1}

    @property
    def best(self) -> Assignment:
        """The fastest combination; the default where none gains enough to be believed."""
        found = min(self.trials, key=lambda a: self.trials[a].gain, default=self.default)
        return found if found in self.trials and self.trials[found].gain < 1 - MARGIN else self.default

    def predicted(self, wanted: Assignment) -> float:
        """How often as slow as with the cheapest options, by prediction."""
        slower = 1.0
        for key, option in wanted:
            cheapest = min(self.options[key].values())
            slower *= self.options[key][option] / cheapest if cheapest > 0 else 1.0
        return slower

    def next(self) -> Assignment | None:
        """The most promising combination that was not tried: the best one or the default with one option changed.

        What depends on the changed key comes as the plan has it by default.
        """
        candidates: list[tuple[float, Assignment]] = []
        for start in {self.best, self.default}:
            current = {key: option for key, option in start if key not in self.unlike}
            for key in current:
                earlier = self.order[: self.order.index(key)]
                kept = frozenset((k, o) for k, o in current.items() if k in earlier)
                for option in self.options[key]:
                    wanted = kept | {(key, option)}
                    if option == current[key] or wanted in self.asked:
                        continue
                    if (cost := self.predicted(wanted)) <= LIMIT:
                        candidates.append((cost, wanted))
        return min(candidates, key=lambda c: (c[0], sorted(c[1])), default=(0.0, None))[1]


@dataclass
class Search:
    """All works of a model. `start` with the default plan, then `variant`, plan, measure, `record`, again."""

    works: list[Work] = field(default_factory=list)

    @classmethod
    def start(cls, paths: Iterable[Path]) -> Search:
        search = cls()
        search._join(paths)
        return search

    def _join(self, paths: Iterable[Path]) -> None:
        for path in paths:
            keys = {choice.key for choice in path}
            if not keys:
                continue
            touched = [w for w in self.works if w.keys & keys]
            work = Work(set())
            for each in touched:  # in order, so that earlier keys stay earlier
                work.keys |= each.keys
                work.order += [k for k in each.order if k not in work.order]
                work.options |= each.options
                work.default |= each.default
            work.keys |= keys
            work.learn(path)
            work.default |= {(choice.key, choice.chosen.name) for choice in path}
            self.works = [w for w in self.works if w not in touched] + [work]

    def of(self, path: Path) -> Work | None:
        """The work that a group's path belongs to: that of its first key that the default plan has."""
        return next((w for choice in path for w in self.works if choice.key in w.keys), None)

    def variant(self) -> dict[str, str]:
        """One untried combination of each work that has one; empty when all is tried."""
        wanted: dict[str, str] = {}
        for work in self.works:
            found = work.next()
            if found is not None:
                work.asked.add(found)
                wanted |= dict(found)
        return wanted

    def realised(self, paths: Sequence[Path]) -> dict[int, Assignment]:
        """What a plan made of each work (by its number), after learning of keys that came up in it."""
        found: dict[int, set[tuple[str, str]]] = {}
        for path in paths:
            work = self.of(path)
            if work is not None:
                work.learn(path)
                found.setdefault(self.works.index(work), set()).update((c.key, c.chosen.name) for c in path)
        return {number: frozenset(pairs) for number, pairs in found.items()}

    def best(self) -> dict[str, str]:
        """The best option of every key that belongs to the best combination of its work."""
        return {key: option for work in self.works for key, option in work.best if key not in work.unlike}


def times_of(works: Search, paths: Sequence[Path], times: Sequence[float]) -> Mapping[int, float]:
    """The time of each work in one run: the sum over the calls whose path belongs to it."""
    sums: dict[int, float] = {}
    for path, time in zip(paths, times, strict=True):
        work = works.of(path)
        if work is not None:
            number = works.works.index(work)
            sums[number] = sums.get(number, 0.0) + time
    return sums
