"""What was decided, where, by which pass, and why: the one record that report, explain and the tests read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice, made or refused; `what` is a short kind ("fold-bn"), `where` names a node or value."""

    what: str
    where: str
    made: bool
    reason: str
    by: str = ""

    def __str__(self) -> str:
        verdict = "made" if self.made else "refused"
        why = f": {self.reason}" if self.reason else ""
        return f"[{self.by or '-'}] {self.what} at {self.where} {verdict}{why}"


@dataclass
class Log:
    """Collects decisions while passes run. Pass one log through the whole way of a model."""

    decisions: list[Decision] = field(default_factory=list)
    steps: int = 0
    """How many passes have run under this log; numbers the files of FUSEWRIGHT_DUMP."""
    _by: str = ""
    _refusals: set[Decision] = field(default_factory=set)

    def made(self, what: str, where: str, reason: str = "") -> None:
        """Record that `what` was done at `where`."""
        self.decisions.append(Decision(what, where, True, reason, self._by))

    def refused(self, what: str, where: str, reason: str) -> None:
        """Record that `what` looked possible at `where` but was not done, and why."""
        decision = Decision(what, where, False, reason, self._by)
        if decision not in self._refusals:  # a pass that runs again refuses again
            self._refusals.add(decision)
            self.decisions.append(decision)

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Attribute the decisions taken inside the block to `name`."""
        before, self._by = self._by, name
        try:
            yield
        finally:
            self._by = before

    def count(self, what: str, made: bool = True) -> int:
        """How often `what` was made (or refused)."""
        return sum(d.what == what and d.made == made for d in self.decisions)
