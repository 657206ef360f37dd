"""In which of several ways is a kernel computed? The cheapest by prediction, unless a measurement knows better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ERROR_LIMIT = 2e-6  # of one kernel: about that of adding a few thousand products one by one


@dataclass(frozen=True)
class Option:
    """One way: `name` tells it from the others ("direct 6x4"), `cycles` is what it should take on one thread,
    `note` what else a reader should know of it."""

    name: str
    cycles: float
    note: str = ""


@dataclass(frozen=True)
class Choice:
    """What was chosen for the work that `key` describes, among which options (the cheapest first)."""

    key: str
    options: tuple[Option, ...]
    chosen: Option
    measured: bool

    @property
    def reason(self) -> str:
        """For the record of decisions: by what it was chosen, and what the next best would cost."""
        others = [o for o in self.options if o is not self.chosen]
        by = "measured" if self.measured else f"predicted {self.chosen.cycles:,.0f} cycles"
        note = f" ({self.chosen.note})" if self.chosen.note else ""
        return f"{self.chosen.name}{note}: {by}" + (f"; {others[0].name} {others[0].cycles:,.0f}" if others else "")


@dataclass
class Chooser:
    """Chooses, and remembers what it chose.

    `measured` names the best option of a key where somebody has measured it (see `tune`); an option that is not
    offered any more is passed over. Equal keys are the same work, wherever they stand in a model. `error_limit` is the
    relative error that a way with another arithmetic may have (0: none may).
    """

    measured: Mapping[str, str] = field(default_factory=dict)
    choices: list[Choice] = field(default_factory=list)
    error_limit: float = ERROR_LIMIT

    def pick(self, key: str, options: Sequence[Option]) -> Option:
        """One of `options`, of which there must be at least one."""
        ranked = tuple(sorted(options, key=lambda o: o.cycles))
        known = [o for o in ranked if o.name == self.measured.get(key)]
        chosen = known[0] if known else ranked[0]
        self.choices.append(Choice(key, ranked, chosen, bool(known)))
        return chosen
