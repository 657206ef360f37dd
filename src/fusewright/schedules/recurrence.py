"""One step of an LSTM, GRU or RNN in C: hidden units in vectors, some rows of the batch at a time.

Who takes which step of which rows when is told by two kinds of kernel (`recurrent_walks.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fusewright.graph.group import dtype_of, shape_of
from fusewright.kernel.expr import Buffer, Expr, Load, Op, arg, const, index, minimum
from fusewright.kernel.tensor import Index, Source
from fusewright.kernel.vectorize import LANE, Vectorizer
from fusewright.ops.opdef import Site
from fusewright.schedules.cells import Activation, Unit, gru_gates, gru_state, lstm, rnn
from fusewright.schedules.task import Lowered, Operand, Task, Temp

MOST_ROWS = {32: 8, 16: 6}  # of the batch that share the loads of the weights, by vector registers
FEWEST_SUMS = 8  # that are under way at once: two multiply-adds a cycle, each of which takes four


@dataclass(frozen=True)
class Shape:
    """steps, batch, input features, hidden units, gates, directions; `batch_first` is ONNX's layout 1."""

    steps: int
    batch: int
    features: int
    hidden: int
    gates: int
    directions: int
    batch_first: bool

    def rows(self) -> tuple[int, int]:
        """The two outer dimensions of the input, as they come."""
        return (self.batch, self.steps) if self.batch_first else (self.steps, self.batch)


@dataclass(frozen=True)
class Step:
    """A step of a block of rows: the time t of the input that it reads, where it reads and writes the states."""

    direction: Expr
    block: Expr
    t: Expr
    now: Expr
    following: Expr


def resets_first(site: Site) -> bool:
    """Whether what a GRU's product of the candidates reads is computed from all hidden units' gates."""
    return site.op_type == "GRU" and not site.get("linear_before_reset", 0)


Body = Callable[[Expr, Expr | None], None]  # of a vector: its first hidden unit, active lanes unless all are
Cell = Callable[[Expr, Expr, Unit], None]  # of a vector of row m: m, its batch index, what it sees


@dataclass(eq=False)
class Recurrence(ABC):
    """The kernel of `directions`, which have the same activations, for blocks of `rows` of the batch.

    `parts` holds the input's part of the gates [direction, row, row, gate * hidden]; `weights` the state's
    [direction * gate][vector of hidden units][k][lane].

    The state is kept twice: a step reads the one and writes the other.
    """

    task: Task
    site: Site
    shape: Shape
    directions: list[int]
    activations: list[Activation]
    outer: Activation
    parts: Temp
    weights: Operand
    rows: int
    inputs: dict[str, Source] = field(default_factory=dict)
    outputs: dict[int, tuple[Buffer, Source]] = field(default_factory=dict)
    state: Buffer = field(init=False)
    second: Buffer = field(init=False)  # the cell of an LSTM, z and r * h of a GRU
    through: Buffer = field(init=False)  # by which sums of several rows go

    def __post_init__(self) -> None:
        node, shape, task = self.task.group.anchor, self.shape, self.task
        value = node.inputs[0]
        if value is None:
            raise ValueError(f"{node.op_type} needs an input")
        self.dtype = dtype_of(value)
        self.op_type = node.op_type
        self.kernel = task.kernel(node.op_type.lower())
        self.blocks = -(-shape.batch // self.rows)
        self.padded = -(-shape.hidden // self.kernel.lanes) * self.kernel.lanes
        self.size = self.rows * self.padded
        self.place: Expr = index(0)  # where the states of these rows begin
        # gates whose sums of all rows fit the registers beside a vector of weights for each, an element, and one that
        # is free: with all sixteen taken, four rows of three gates reached 60 % of the peak, in two parts 78 %
        self.together = max(1, (task.target.vector_registers - 2) // (self.rows + 1))

    def lower(self) -> Lowered:
        task, shape, kernel, node = self.task, self.shape, self.kernel, self.task.group.anchor
        operands: list[Operand] = [self.parts, self.weights]
        self.x_parts = kernel.buffer(self.dtype, "g")
        self.r = kernel.buffer(self.dtype, "r")
        for i, name in enumerate(("bias", "lengths", "h0", "c0", "peepholes"), start=3):
            value = node.inputs[i] if i < len(node.inputs) else None
            if value is not None:
                source = Source(shape_of(value), dtype_of(value), name=name)
                source.bind(kernel.buffer(source.dtype, name), task.strides_of(value))
                self.inputs[name] = source
                operands.append(value)
        for i, output in enumerate(node.outputs):
            if output in task.group.outputs:
                self.outputs[i] = task.bind_output(kernel, output)
                operands.append(output)
        self.keep(operands)
        if self.rows > 1:
            self.through = kernel.scratch(self.dtype, self.rows * shape.gates * kernel.lanes, "sums")
        units, turns = self.emit()
        flop = 2 * len(self.directions) * shape.steps * shape.batch * shape.gates * shape.hidden**2
        return Lowered(kernel, operands, units, flop=flop, turns=turns)

    @abstractmethod
    def keep(self, operands: list[Operand]) -> None:
        """Make the buffers `state` and `second`; where they are memory of the call, operands too."""

    @abstractmethod
    def emit(self) -> tuple[int, int]:
        """The statements; returns units and turns."""

    @abstractmethod
    def each_vector(self, body: Body) -> None:
        """`body` of all vectors of hidden units that are this place's to make."""

    @abstractmethod
    def in_order(self, first: Body, second: Body) -> None:
        """`second` reads what `first` makes of all hidden units."""

    def write(self, step: Step, m: Expr, b: Expr, j: Expr, count: Expr | None, h: Expr) -> None:
        """A vector of row m's new state, batch index b; the second state has its new value."""
        self.kernel.store(self.state, step.following + j + m * self.padded, h)
        self.put(0, self.place_y(step.t, step.direction, b), j, count, h)

    def ext(self, value: int) -> Expr:
        return arg(value) if self.task.open_extents else index(value)

    def each_row(self, block: Expr, body: Callable[[Expr, Expr], None]) -> None:
        """`body(m, batch index)` of the rows of a block; those behind the last repeat it."""
        with self.kernel.loop(self.rows, "m") as m:
            row = block * self.rows + m
            if self.blocks * self.rows != self.shape.batch:
                row = minimum(row, self.shape.batch - 1)
            body(m, self.kernel.let(row, "b"))

    # -- steps ------------------------------------------------------------------------------------------------
    def time(self, direction: Expr, step: Expr, length: Expr) -> Expr:
        backward = length - 1 - step
        if self.site.get("direction", "forward") == "reverse":
            return self.kernel.let(backward, "t")
        if len(self.directions) == 1:
            return step if self.directions[0] == 0 else self.kernel.let(backward, "t")
        forward = Op("bool", False, "eq", (direction, index(0)))
        return self.kernel.let(Op("i64", False, "select", (forward, step, backward)), "t")

    def begin(self, direction: Expr, block: Expr, j: Expr, count: Expr | None) -> None:
        """A vector of the first states."""

        def body(m: Expr, b: Expr) -> None:
            place = self.place_h(direction, b)
            self.kernel.store(self.state, self.at(m, j), self.get("h0", place, j, count) or self.zero())
            if self.op_type == "LSTM":
                self.kernel.store(self.second, self.at(m, j), self.get("c0", place, j, count) or self.zero())

        self.each_row(block, body)

    def end(self, direction: Expr, m: Expr, b: Expr, j: Expr, count: Expr | None, h: Expr) -> None:
        """A vector of row m's last states, as results."""
        self.put(1, self.place_h(direction, b), j, count, h)
        self.put(2, self.place_h(direction, b), j, count, self.vector(self.second, self.at(m, j)))

    def at(self, m: Expr, j: Expr) -> Expr:
        """Where row m's state of hidden unit j lies, of the first of two."""
        return self.place + j + m * self.padded

    def step(self, direction: Expr, block: Expr, number: Expr, length: Expr) -> None:
        kernel, gates = self.kernel, self.shape.gates
        now, following = self.turned(number)
        step = Step(direction, block, self.time(direction, number, length), now, following)

        def units(j: Expr, count: Expr | None, gates: Sequence[int], state: Buffer, base: Expr, body: Cell) -> None:
            sums = self.products(direction, j, gates, state, base)

            def row(m: Expr, b: Expr) -> None:
                body(m, b, self.unit(step, m, b, j, count, {g: total(m) for g, total in sums.items()}))

            self.each_row(block, row)

        def body(j: Expr, count: Expr | None) -> None:
            def cell(m: Expr, b: Expr, u: Unit) -> None:
                if self.op_type == "LSTM":
                    coupled = bool(self.site.get("input_forget", 0))
                    h, new = lstm(u, self.activations, self.outer, coupled)
                    kernel.store(self.second, self.at(m, j), new)
                elif self.op_type == "GRU":
                    h = gru_state(u, self.activations, *gru_gates(u, self.activations))
                else:
                    h = rnn(u, self.activations)
                self.write(step, m, b, j, count, h)

            units(j, count, range(gates), self.state, step.now, cell)

        def resets(j: Expr, count: Expr | None) -> None:
            def cell(m: Expr, b: Expr, u: Unit) -> None:
                z, r = gru_gates(u, self.activations)
                kernel.store(self.second, self.at(m, j), z)
                kernel.store(self.second, self.at(m, j) + self.size, kernel.let(r * u.state, "rh"))

            units(j, count, (0, 1), self.state, step.now, cell)

        def candidates(j: Expr, count: Expr | None) -> None:
            def cell(m: Expr, b: Expr, u: Unit) -> None:
                z = kernel.let(self.vector(self.second, self.at(m, j)), "z")
                self.write(step, m, b, j, count, gru_state(u, self.activations, z, None))

            units(j, count, (2,), self.second, self.place + self.size, cell)

        if resets_first(self.site):
            self.in_order(resets, candidates)
        else:
            self.each_vector(body)

    @property
    def has_last(self) -> bool:
        """Whether the last states are results."""
        return bool(self.outputs.keys() & {1, 2})

    def turned(self, number: Expr) -> tuple[Expr, Expr]:
        """Where step `number` reads the states, and where it writes them."""
        now = self.kernel.let((number % 2) * self.size, "now")
        following = self.kernel.let(self.place + self.size - now, "next")
        return self.kernel.let(self.place + now, "now"), following

    def unit(
        self,
        step: Step,
        m: Expr,
        b: Expr,
        j: Expr,
        count: Expr | None,
        sums: Mapping[int, Expr],
    ) -> Unit:
        """What the cell of row m sees, whose batch index is b; `sums` are the gates' products with the state."""
        hidden, kernel = self.shape.hidden, self.kernel
        outer_rows, inner_rows = self.shape.rows()
        first, second = (b, step.t) if self.shape.batch_first else (step.t, b)
        place = (step.direction * self.ext(outer_rows) + first) * self.ext(inner_rows) + second
        x = kernel.let(place * (self.shape.gates * hidden), "x")

        def x_part(g: int) -> Expr:
            part: Expr = Load(self.dtype, True, self.x_parts, x + j + g * hidden, count)
            bias = self.get("bias", (step.direction,), j + g * hidden, count)
            return part if bias is None else part + bias

        def h_part(g: int) -> Expr:
            bias = self.get("bias", (step.direction,), j + (self.shape.gates + g) * hidden, count)
            return sums[g] if bias is None else sums[g] + bias

        def peephole(p: int) -> Expr:
            value = self.get("peepholes", (step.direction,), j + p * hidden, count)
            return self.zero() if value is None else value

        old = kernel.let(self.vector(self.state, step.now + j + m * self.padded), "old")
        cell: Expr | None = None
        if self.op_type == "LSTM":
            cell = kernel.let(self.vector(self.second, self.at(m, j)), "old_cell")
        return Unit(x_part, h_part, old, cell, peephole if "peepholes" in self.inputs else None, kernel.let)

    def products(
        self, direction: Expr, j: Expr, gates: Sequence[int], state: Buffer, base: Expr
    ) -> dict[int, Callable[[Expr], Expr]]:
        """For each of `gates` and row m, the state times the weights of a vector of hidden units. The sums of several
        rows go through scratch."""
        found: dict[int, Callable[[Expr], Expr]] = {}
        parts = -(-len(gates) // self.together)
        for i in range(parts):
            some = gates[len(gates) * i // parts : len(gates) * (i + 1) // parts]
            sums = self.sums(direction, j, some, state, base)
            found |= {g: self.kept(g, totals) for g, totals in zip(some, sums, strict=True)}
        return found

    def kept(self, gate: int, totals: Sequence[Expr]) -> Callable[[Expr], Expr]:
        """How the sum of a gate is read for row m."""
        if len(totals) == 1:
            return lambda m: totals[0]
        lanes = self.kernel.lanes
        for m, total in enumerate(totals):
            self.kernel.store(self.through, index((gate * self.rows + m) * lanes), total)
        return lambda m: self.vector(self.through, (m + gate * self.rows) * lanes)

    def sums(self, direction: Expr, j: Expr, gates: Sequence[int], state: Buffer, base: Expr) -> list[list[Expr]]:
        """The sums of `gates`, each of all rows."""
        kernel, hidden, lanes = self.kernel, self.shape.hidden, self.kernel.lanes
        few = self.rows * len(gates) < FEWEST_SUMS
        chains = 2 if few and (2 * self.rows + 1) * len(gates) + 2 <= self.task.target.vector_registers else 1
        starts = [
            kernel.let((direction * self.shape.gates + g) * (self.padded * hidden) + j * hidden, "r0") for g in gates
        ]
        sums = [[[kernel.mutable(self.zero(), "s") for _ in range(chains)] for _ in range(self.rows)] for _ in gates]

        def add(k: Expr, chain: int) -> None:
            weights = [kernel.let(self.vector(self.r, start + k * lanes), "w") for start in starts]
            for m in range(self.rows):
                one = Load(self.dtype, False, state, base + (k + m * self.padded))
                value = kernel.let(Op(self.dtype, True, "splat", (one,)), "v")
                for weight, rows in zip(weights, sums, strict=True):
                    total = rows[m][chain]
                    kernel.assign(total, Op(self.dtype, True, "fma", (value, weight, total)))

        whole = hidden // 2 * 2
        if whole:
            with kernel.loop(whole, "k", step=2) as k:
                add(k, 0)
                add(k + 1, chains - 1)
        if hidden > whole:
            add(index(whole), 0)
        return [[kernel.let(s[0] + s[1], "s") if chains == 2 else s[0] for s in rows] for rows in sums]

    # -- memory -----------------------------------------------------------------------------------------------
    def place_h(self, direction: Expr, b: Expr) -> Index:
        return (b, direction) if self.shape.batch_first else (direction, b)

    def place_y(self, t: Expr, direction: Expr, b: Expr) -> Index:
        return (b, t, direction) if self.shape.batch_first else (t, direction, b)

    def zero(self) -> Expr:
        return Op(self.dtype, True, "splat", (const(0, self.dtype),))

    def vector(self, buffer: Buffer, at: Expr) -> Expr:
        return Load(self.dtype, True, buffer, at)

    def get(self, name: str, place: Index, j: Expr, count: Expr | None) -> Expr | None:
        """A vector of an optional input from hidden unit j on; None where the input is left out."""
        if name not in self.inputs:
            return None
        value = Vectorizer(count)(self.inputs[name].at((*place, Op("i64", False, "add", (j, LANE)))))
        return value if value.vec else Op(self.dtype, True, "splat", (value,))

    def put(self, output: int, place: Index, j: Expr, count: Expr | None, value: Expr) -> None:
        if output in self.outputs:
            buffer, target = self.outputs[output]
            position = target.position((*place, Op("i64", False, "add", (j, LANE))))
            self.kernel.store_lanes(buffer, position, value, Vectorizer(count))
