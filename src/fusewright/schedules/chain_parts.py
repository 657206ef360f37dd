"""Into which kernels are convolutions that follow each other best cut?"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from fusewright.graph.group import Group, dtype_of, elements, shape_of
from fusewright.kernel.expr import SIZES
from fusewright.schedules.chain import Chain, chain_of
from fusewright.schedules.chain_stage import make_stage
from fusewright.schedules.task import Task

# Of the time for what lies beyond the L2 cache, the share that arithmetic does not hide. Back to back 0.25 is as fast;
# between other work, when caches are cold, this is.
EXPOSED = 0.75


def make_chain(task: Task, groups: list[Group]) -> Chain | str:
    """The chain of groups each of which alone reads the one before, weighed against all ways to cut it, or why they
    cannot be one."""
    made = chain_of(task, groups)
    if isinstance(made, Chain):
        made.apart = Parts(task, groups).apart(0, len(groups))
    return made


@dataclass
class Parts:
    """What `groups` take in several kernels, in cycles: of the best way to cut them into parts."""

    task: Task
    groups: list[Group]
    known: dict[tuple[int, int], float] = field(default_factory=dict)

    def apart(self, first: int, end: int) -> float:
        """In two kernels or more."""
        return min(self.together(first, cut) + self.between(cut) + self.best(cut, end) for cut in range(first + 1, end))

    def best(self, first: int, end: int) -> float:
        if (first, end) not in self.known:
            self.known[first, end] = self.together(first, end)
            if end - first > 1:
                self.known[first, end] = min(self.known[first, end], self.apart(first, end))
        return self.known[first, end]

    def together(self, first: int, end: int) -> float:
        """In one kernel."""
        if end - first == 1:
            group = self.groups[first]
            task = replace(self.task, group=group, sources={}, tensors={})
            stage = make_stage(task, False, False, group.anchor.inputs[0] in self.task.group.inputs)
            return math.inf if isinstance(stage, str) else stage.cycles_alone(self.task)
        made = chain_of(self.task, self.groups[first:end], placed=False)
        return made.cycles if isinstance(made, Chain) else math.inf

    def between(self, cut: int) -> float:
        """For what the kernels before `cut` leave to those behind."""
        value = self.groups[cut - 1].outputs[0]
        size = elements(shape_of(value)) * SIZES[dtype_of(value)]
        return EXPOSED * 2 * size / self.task.target.l3_rate
