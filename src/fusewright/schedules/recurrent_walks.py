"""Who takes which step of a recurrence when? Two kinds of kernel.

`Walk`: a unit is some rows of the batch in one direction and takes all their steps, with the states in the thread's
scratch. It reads all weights for each step. `Turns`: a turn of the call is a step, a unit a vector of hidden units of
some rows, with the states in memory of the call; all threads share a step, and a vector's weights stay near for all
rows.
"""

from __future__ import annotations

from fusewright.kernel.expr import SIZES, Expr, Op, cast, index, maximum, minimum
from fusewright.schedules.cost import SHARE_CYCLES, stream_cycles
from fusewright.schedules.recurrence import MOST_ROWS, Body, Recurrence, Shape, Step, resets_first
from fusewright.schedules.task import Operand, Task, Temp

TURN_CYCLES = 2 * SHARE_CYCLES  # of a step, from which it is shared


class Walk(Recurrence):
    def keep(self, operands: list[Operand]) -> None:
        self.state = self.kernel.scratch(self.dtype, 2 * self.size, "h")
        self.second = self.kernel.scratch(self.dtype, 2 * self.size, "c")

    def emit(self) -> tuple[int, int]:
        kernel = self.kernel
        with kernel.loop(kernel.hi, "u", start=kernel.lo) as u:
            direction: Expr = index(self.directions[0])
            block = u
            if len(self.directions) > 1:
                blocks = self.ext(self.blocks)
                direction, block = kernel.let(u // blocks, "d"), kernel.let(u % blocks, "block")
            self.walk(direction, block)
        return self.blocks * len(self.directions), 1

    def walk(self, direction: Expr, block: Expr) -> None:
        kernel = self.kernel
        steps = self.ext(self.shape.steps)
        length = steps
        if "lengths" in self.inputs:
            given = cast(self.inputs["lengths"].at((block,)), "i64")
            length = kernel.let(maximum(minimum(given, steps), 0), "length")
        self.each_vector(lambda j, count: self.begin(direction, block, j, count))
        with kernel.loop(length, "step") as number:
            self.step(direction, block, number, length)
        last = kernel.let((length % 2) * self.size, "last")

        def results(j: Expr, count: Expr | None) -> None:
            def row(m: Expr, b: Expr) -> None:
                self.end(direction, m, b, j, count, self.vector(self.state, last + j + m * self.padded))

            self.each_row(block, row)

        if self.has_last:
            self.each_vector(results)
        if "lengths" in self.inputs and 0 in self.outputs:
            with kernel.loop(steps, "t", start=length) as t:
                self.each_vector(lambda j, n: self.put(0, self.place_y(t, direction, block), j, n, self.zero()))

    def each_vector(self, body: Body) -> None:
        lanes, hidden = self.kernel.lanes, self.shape.hidden
        whole = hidden // lanes * lanes
        if whole:
            with self.kernel.loop(whole, "j", step=lanes) as j:
                body(j, None)
        if hidden > whole:
            body(index(whole), index(hidden - whole))

    def in_order(self, first: Body, second: Body) -> None:
        self.each_vector(first)
        self.each_vector(second)


class Turns(Recurrence):
    """The first turn lays the first states down; then a step has one turn, or two where the second needs what the
    first makes of all hidden units. In the last the states are results too."""

    def keep(self, operands: list[Operand]) -> None:
        states = len(self.directions) * self.blocks * 2 * self.size * SIZES[self.dtype]
        self.state = self.kernel.buffer(self.dtype, "h", "out")
        self.second = self.kernel.buffer(self.dtype, "c", "out")
        operands += [Temp(states), Temp(states)]

    def emit(self) -> tuple[int, int]:
        kernel, shape, phases = self.kernel, self.shape, 2 if resets_first(self.site) else 1
        vectors, blocks, steps = self.padded // kernel.lanes, self.ext(self.blocks), self.ext(shape.steps)
        units = len(self.directions) * vectors * self.blocks
        turn = kernel.let(kernel.lo // self.ext(units), "turn")
        first = kernel.let(turn * self.ext(units), "first")
        with kernel.loop(kernel.hi - first, "u", start=kernel.lo - first) as u:
            block = kernel.let(u % blocks, "block")  # innermost: its rows read the same weights
            self.j = kernel.let(u // blocks % vectors * kernel.lanes, "j")
            direction: Expr = index(self.directions[0])
            if len(self.directions) > 1:
                direction = kernel.let(u // (blocks * vectors), "d")
            self.place = kernel.let((direction * blocks + block) * (2 * self.size), "place")
            with kernel.when(Op("bool", False, "eq", (turn, index(0)))):
                self.each_vector(lambda j, count: self.lay(direction, block, j, count))
            with kernel.otherwise():
                number = kernel.let((turn - 1) // phases, "step")
                self.phase = kernel.let((turn - 1) % phases, "phase")
                self.last = kernel.let(Op("bool", False, "eq", (number, steps - 1)), "last")
                self.step(direction, block, number, steps)
        return units, 1 + phases * shape.steps

    def lay(self, direction: Expr, block: Expr, j: Expr, count: Expr | None) -> None:
        """The first states, which are results if there are no steps."""

        def row(m: Expr, b: Expr) -> None:
            self.end(direction, m, b, j, count, self.vector(self.state, self.at(m, j)))

        self.begin(direction, block, j, count)
        if self.has_last:
            self.each_row(block, row)

    def each_vector(self, body: Body) -> None:
        rest = self.shape.hidden % self.kernel.lanes
        if not rest:
            body(self.j, None)
            return
        whole = self.shape.hidden - rest
        with self.kernel.when(Op("bool", False, "lt", (self.j, index(whole)))):
            body(self.j, None)
        with self.kernel.otherwise():
            body(index(whole), index(rest))

    def in_order(self, first: Body, second: Body) -> None:
        with self.kernel.when(Op("bool", False, "eq", (self.phase, index(0)))):
            self.each_vector(first)
        with self.kernel.otherwise():
            self.each_vector(second)

    def write(self, step: Step, m: Expr, b: Expr, j: Expr, count: Expr | None, h: Expr) -> None:
        super().write(step, m, b, j, count, h)
        if self.has_last:
            with self.kernel.when(self.last):
                self.end(step.direction, m, b, j, count, h)


def kind_of(task: Task, shape: Shape, directions: int, same_length: bool) -> tuple[type[Recurrence], int]:
    """Which of the two kinds, and how many rows of the batch go together.

    Rows of different lengths walk alone, and so do those whose steps are too short to be shared; else sharing pays
    where there are fewer rows than threads, or where the weights of a step are larger than the second cache and rows
    read them together.
    """
    most = MOST_ROWS[32 if task.target.vector_registers >= 32 else 16]
    weights = shape.gates * shape.hidden**2 * SIZES["f32"]
    pays, large = stream_cycles(task.target, weights) >= TURN_CYCLES, weights > task.target.l2_bytes
    if task.open_extents or not same_length:  # rows of a number that is not known go one by one
        return (Turns if same_length and pays and (large or task.threads > 1) else Walk), 1
    batch = max(shape.batch, 1)
    if pays and (directions * batch < task.threads or (large and batch > 1)):
        return Turns, even(batch, most)
    each = -(-task.threads // directions)  # blocks for all threads
    return Walk, even(batch, min(most, -(-batch // each)))


def even(batch: int, most: int) -> int:
    """At most so many rows, so that no block has many less than another."""
    return -(-batch // -(-batch // most))
