"""Does the search try what is promising, find the fastest, and keep to the default where nothing is gained?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from fusewright.schedules.choice import Choice, Chooser, Option
from fusewright.tune import tuner
from fusewright.tune.search import Path
from fusewright.tune.tuner import TuneResult, tune


class Machine:
    """A model of three groups: a plain choice of tile, and two groups with an algorithm and, under it, a tile.

    `times` gives the microseconds of a group by the options that it took; what is not named takes 100.
    """

    def __init__(self, times: Mapping[tuple[str, ...], float], interrupt_at: int = -1) -> None:
        self.times = times
        self.made: list[dict[str, str]] = []
        self.interrupt_at = interrupt_at

    def __call__(self, measured: Mapping[str, str]) -> Variant:
        if len(self.made) == self.interrupt_at:
            raise KeyboardInterrupt
        self.made.append(dict(measured))
        return Variant(self, measured)


class Variant:
    def __init__(self, machine: Machine, measured: Mapping[str, str]) -> None:
        tiles = [Option("6x4", 10.0), Option("8x3", 11.0), Option("16x1", 12.0), Option("1x1", 90.0)]
        self.paths: Sequence[Path] = []
        for group in ("a", "b", "b"):
            chooser = Chooser(measured)
            if group == "b":
                way = chooser.pick("way b", [Option("direct", 20.0), Option("winograd", 25.0)])
                chooser.pick(f"tile b {way.name}", tiles[:2])
            else:
                chooser.pick("tile a", tiles)
            self.paths = [*self.paths, tuple(chooser.choices)]
        self.machine = machine

    def run(self) -> None:
        self.profile()

    def profile(self) -> list[float]:
        return [self.machine.times.get(tuple(c.chosen.name for c in path), 100.0) for path in self.paths]


def best_of(result: TuneResult) -> dict[str, str]:
    return {key: row.best for key, row in result.measured().items()}


def run(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> TuneResult:
    monkeypatch.setattr(tuner, "SECONDS_OF_ROUNDS", 0.0)
    return tune(machine, 60.0, lambda stage, done, total: None)


def test_the_fastest_is_found_below_another_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    """winograd is no better with its first tile; only its second one gains."""
    machine = Machine({("winograd", "6x4"): 97.0, ("winograd", "8x3"): 50.0, ("16x1",): 80.0})
    result = run(machine, monkeypatch)
    best = best_of(result)
    assert best["way b"] == "winograd" and best["tile b winograd"] == "8x3" and best["tile a"] == "16x1"
    assert result.stopped == "all options were tried"
    row = result.measured()["way b"]
    assert row.default == "direct" and row.microseconds == {"direct": 200.0, "winograd": 100.0}  # of two groups


def test_what_is_predicted_to_be_far_slower_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine({})
    assert "1x1" not in run(machine, monkeypatch).measured()["tile a"].microseconds
    assert all(options.get("tile a") != "1x1" for options in machine.made)


def test_a_small_gain_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert best_of(run(Machine({("8x3",): 98.5}), monkeypatch))["tile a"] == "6x4"


def test_one_good_round_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least of the rounds is far better, the median is not."""
    rounds = iter(range(10_000))

    class Noisy(Machine):
        def __call__(self, measured: Mapping[str, str]) -> Variant:
            made = super().__call__(measured)
            steady = made.profile
            if measured.get("tile a") == "8x3":
                made.profile = lambda: [t / 2 if next(rounds) == 3 else t for t in steady()]  # type: ignore[method-assign]
            return made

    assert best_of(run(Noisy({}), monkeypatch))["tile a"] == "6x4"


@pytest.mark.parametrize("at", [1, 2, 3])
def test_interrupted_it_keeps_what_it_has(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(Machine({("8x3",): 50.0}, interrupt_at=at), monkeypatch)
    assert result.stopped == "interrupted" and result.variants == at - 1
    assert best_of(result).get("tile a", "8x3") == "8x3"
    assert bool(best_of(result)) == (at > 1)


def test_what_is_not_faster_together_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Together(Machine):
        """8x3 is fast alone, and slow beside winograd."""

        def __call__(self, measured: Mapping[str, str]) -> Variant:
            both = measured.get("tile a") == "8x3" and measured.get("way b") == "winograd"
            if both and measured.get("tile b winograd") == "6x4" and len(self.made) > 4:
                self.times = {**self.times, ("8x3",): 120.0}
            return super().__call__(measured)

    times = {("8x3",): 50.0, ("16x1",): 99.0, ("winograd", "6x4"): 40.0, ("winograd", "8x3"): 60.0}
    result = run(Together(times), monkeypatch)
    assert result.reverted == ["tile a"] and best_of(result)["tile a"] != "8x3"
    assert best_of(result)["way b"] == "winograd"


def test_the_whole_model_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(Machine({}), monkeypatch)
    assert result.default_us > 0 and result.tuned_us > 0 and result.variants == 2


def test_choices_say_what_was_measured() -> None:
    chooser = Chooser({"key": "slow"})
    chooser.pick("key", [Option("fast", 1.0), Option("slow", 2.0)])
    assert chooser.choices == [Choice("key", (Option("fast", 1.0), Option("slow", 2.0)), Option("slow", 2.0), True)]


def test_a_key_that_comes_up_in_several_works_does_not_mix_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both groups have the same tile under their other algorithm; one of them gains by it, the other loses."""

    class Shared(Variant):
        def __init__(self, machine: Machine, measured: Mapping[str, str]) -> None:
            super().__init__(machine, measured)
            paths = []
            for group in "cd":
                chooser = Chooser(measured)
                if chooser.pick(f"way {group}", [Option("direct", 20.0), Option("winograd", 21.0)]).name != "direct":
                    chooser.pick("tile winograd", [Option("6x4", 1.0)])
                paths.append(tuple(chooser.choices))
            self.paths = paths

        def profile(self) -> list[float]:
            taken = [tuple(c.chosen.name for c in path) for path in self.paths]
            return [100.0 if t == ("direct",) else (50.0, 150.0)[i] for i, t in enumerate(taken)]

    class Factory(Machine):
        def __call__(self, measured: Mapping[str, str]) -> Variant:
            return Shared(self, measured)

    best = best_of(run(Factory({}), monkeypatch))
    assert (best["way c"], best["way d"]) == ("winograd", "direct")


def test_kernels_that_are_offered_different_options_keep_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters of one may be too bad for the way that is best for the other: a key must not take it from both."""

    class Unlike(Variant):
        def __init__(self, machine: Machine, measured: Mapping[str, str]) -> None:
            super().__init__(machine, measured)
            paths = []
            for offered in (["winograd", "direct", "slow"], ["direct", "slow"]):
                chooser = Chooser(measured)
                chooser.pick("way", [Option(name, 20.0 + i) for i, name in enumerate(offered)])
                chooser.pick("tile", [Option("6x4", 1.0), Option("8x3", 2.0)])
                paths.append(tuple(chooser.choices))
            self.paths = paths

        def profile(self) -> list[float]:
            times = {"winograd": 50.0, "direct": 150.0, "slow": 160.0, "6x4": 10.0, "8x3": 5.0}
            return [sum(times[c.chosen.name] for c in path) for path in self.paths]

    made: list[dict[str, str]] = []

    class Factory(Machine):
        def __call__(self, measured: Mapping[str, str]) -> Variant:
            made.append(dict(measured))
            return Unlike(self, measured)

    assert best_of(run(Factory({}), monkeypatch)) == {"tile": "8x3"}
    assert len(made) > 1 and not any("way" in measured for measured in made)
