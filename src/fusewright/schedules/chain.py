"""v = f(x), y = g(v), v large -> both in bands of rows: v stays in cache, and needs no memory of its own.

A chain is convolutions each of which alone reads the one before: pointwise (1x1) and depthwise ones, and perhaps first
one of an image in few planes. A unit of work is a band of rows of the last result. For it each stage computes the rows
that the next one reads into the thread's scratch; rows that two neighbouring bands read are kept, so that only the
first band of a thread computes them twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import onnx_ir as ir

from fusewright.graph.group import Group, dtype_of, shape_of
from fusewright.kernel.expr import SIZES, Buffer, Expr, Op, index, maximum, minimum
from fusewright.kernel.loops import Kernel
from fusewright.schedules.chain_stage import Held, Stage, make_stage, row_bytes
from fusewright.schedules.choice import Option
from fusewright.schedules.task import Lowered, Operand, Task
from fusewright.schedules.tile import HALVES_COST, in_halves

HALVES_GAIN = 1.03  # what vectors of half the width must gain: all stages have them, though few need them
DEPTHWISE_HALVES_COST = 1.2  # what twice as many instructions cost where each input is loaded for few multiply-adds


@dataclass(eq=False)
class Chain:
    """Stages, and how many rows of the last result are a unit. `task` is that of all; `halves` tells that the chain
    has vectors of half the width; `apart` are the least cycles of more than one kernel for the same."""

    task: Task
    stages: list[Stage]
    rows: int
    halves: bool = False
    apart: float = 0.0

    @property
    def inner(self) -> list[ir.Value]:
        return [s.out for s in self.stages[:-1]]

    @property
    def bands(self) -> int:
        return -(-shape_of(self.stages[-1].out)[2] // self.rows)

    def capacity(self, rows: int) -> list[int]:
        """How many rows of each stage's result a unit of `rows` rows holds at most."""
        found = [rows]
        for stage in reversed(self.stages[1:]):
            found.append(stage.rows_read(found[-1]))
        return found[::-1]

    def held_bytes(self, rows: int) -> int:
        return sum(r * row_bytes(v) for r, v in zip(self.capacity(rows), self.inner, strict=False))

    @property
    def key(self) -> str:
        """What is computed, for the record of choices."""
        steps = [f"{shape_of(self.stages[0].x)[1]}", *(s.title for s in self.stages)]
        height, width = shape_of(self.stages[-1].out)[2:]
        return f"chain {self.stages[0].raw.dtype} {shape_of(self.stages[0].x)[0]} {'-'.join(steps)} {height}x{width}"

    @property
    def work(self) -> list[float]:
        """Cycles of each stage where nothing waits for memory."""
        slower = (HALVES_COST, DEPTHWISE_HALVES_COST) if self.halves else (1.0, 1.0)
        return [s.cycles(s.task) * slower[s.slides is not None] for s in self.stages]

    def chosen(self) -> bool:
        """Whether this is better than several kernels."""
        chain, apart = self.options()
        return self.task.chooser.pick(self.key, [chain, apart]) is chain

    def options(self) -> tuple[Option, Option]:
        """Depth first, and one kernel after the other: the same arithmetic, other ways through memory."""
        errors = [error for error in (s.error for s in self.stages) if error]
        note = f"relative error {max(errors):.1e}" if errors else ""
        return Option("depth first", self.cycles, note), Option("apart", self.apart)

    @property
    def cycles(self) -> float:
        target, threads = self.task.target, self.task.threads
        work = self.work
        chained = sum(work)
        for i, value in enumerate(self.inner):
            y = self.stages[i + 1].slides
            kept = max(0, y[0].kernel - y[0].stride) if y else 0
            chained += 2 * kept * self.bands * row_bytes(value) / target.l2_rate
            chained += kept * (threads - 1) / shape_of(value)[2] * sum(work[: i + 1])  # made twice
        return chained

    def lower(self) -> list[Lowered]:
        kernel = self.stages[0].task.kernel("chain")
        batch = shape_of(self.stages[-1].out)[0]
        capacity = self.capacity(self.rows)
        scratch: list[Buffer] = []
        for value, rows in zip(self.inner, capacity, strict=False):
            size = rows * row_bytes(value) // SIZES[dtype_of(value)] + kernel.lanes  # whole vectors are moved
            scratch.append(kernel.scratch(dtype_of(value), size, "band"))
        operands: list[Operand] = []
        names = ["next", *(name for _ in scratch for name in ("begin", "end"))]
        with kernel.kept(*names) as (following, *ends), kernel.loop(kernel.hi, "u", start=kernel.lo) as u:
            pairs = zip(ends[::2], ends[1::2], strict=True)
            held = [Held(v, b, *pair) for v, b, pair in zip(self.inner, scratch, pairs, strict=True)]
            with kernel.when(Op("bool", False, "ne", (u, following))):  # rows are kept for the unit behind alone
                for one in held:
                    kernel.assign(one.end, index(0))
            self.unit(kernel, u, capacity, [None, *held], operands)
            kernel.assign(following, u + 1)
        flop = sum(s.flop for s in self.stages)
        return [Lowered(kernel, operands, batch * self.bands, flop, kernel.scratch_bytes)]

    def unit(
        self, kernel: Kernel, u: Expr, capacity: list[int], held: list[Held | None], operands: list[Operand]
    ) -> None:
        """One band of rows: `held` is what each stage reads; `operands` are extended."""
        batch, _, height, _ = shape_of(self.stages[-1].out)
        bands = self.bands
        n = kernel.let(u // bands, "n") if batch > 1 else index(0)
        band = kernel.let(u % bands, "band") if batch > 1 else u
        start = kernel.let(band * self.rows, "y0")
        stop = kernel.let(minimum(start + self.rows, height), "y1")
        if batch > 1:
            with kernel.when(Op("bool", False, "eq", (band, index(0)))):
                for one in held:
                    if one is not None:
                        kernel.assign(one.end, index(0))
        spans = [(start, stop)]
        for stage, one in reversed(list(zip(self.stages, held, strict=True))):
            if one is not None:
                first, stop = stage.reads(start, stop)
                one.origin = kernel.let(first, "origin")
                start = kernel.let(maximum(one.origin, one.end), "y0")
                stop = kernel.let(stop, "y1")
                spans.append((start, stop))
        spans.reverse()
        for i, stage in enumerate(self.stages):
            target = held[i + 1] if i + 1 < len(held) else None
            if target is not None:
                target.keep(kernel)
            with kernel.part(stage.kind):
                operands += stage.emit(kernel, n, *spans[i], capacity[i], held[i], target)
            if target is not None:
                kernel.assign(target.begin, target.origin)
                kernel.assign(target.end, spans[i][1])


def chain_of(task: Task, groups: list[Group], placed: bool = True) -> Chain | str:
    """The chain of groups each of which alone reads the one before, or why they cannot be one; `placed` tells that it
    is known where the chain's ends lie in memory, which may forbid it."""
    if task.open_extents:
        return "extents are open, so it is not known whether what lies between stays in cache"
    made = of_width(task, task, groups, placed)
    if isinstance(made, str):
        return made
    narrow = (in_halves(task, shape_of(s.out)[1]) for s in made.stages if s.pointwise)
    halved = next((t for t in narrow if t is not task), None)
    if halved is not None:
        other = of_width(task, halved, groups, placed)
        if isinstance(other, Chain) and sum(other.work) * HALVES_GAIN < sum(made.work):
            return other
    return made


def of_width(task: Task, own: Task, groups: list[Group], placed: bool) -> Chain | str:
    """The chain with the vectors of `own`."""
    stages: list[Stage] = []
    for i, group in enumerate(groups):
        first, last = placed and i == 0, placed and i == len(groups) - 1
        outside = group.anchor.inputs[0] in task.group.inputs
        made = make_stage(replace(own, group=group, sources={}, tensors={}), first, last, outside)
        if isinstance(made, str):
            return f"{group.anchor.name or group.anchor.op_type}: {made}"
        stages.append(made)
    chain = Chain(task, stages, 1, own is not task)
    room = task.target.l2_bytes // 2
    if chain.held_bytes(1) > room:
        return f"{chain.held_bytes(1)} bytes for a single row of the result do not stay in cache"
    batch, _, height, _ = shape_of(stages[-1].out)
    rows = 1
    while rows < height and chain.held_bytes(rows + 1) <= room:
        rows += 1
    bands = -(-height // rows)
    while batch * bands % task.threads and bands < height:
        bands += 1  # even shares for all threads
    chain.rows = -(-height // bands)
    return chain
