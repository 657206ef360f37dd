"""The kernel that walks the steps of an LSTM, GRU or RNN, with the state in scratch and hidden units in vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fusewright.graph.group import dtype_of, shape_of
from fusewright.kernel.expr import Buffer, Expr, Load, Op, arg, cast, const, index, maximum, minimum
from fusewright.kernel.tensor import Index, Source
from fusewright.kernel.vectorize import LANE, Vectorizer
from fusewright.ops.opdef import Site
from fusewright.schedules.cells import Activation, Unit, gru_gates, gru_state, lstm, rnn
from fusewright.schedules.task import Lowered, Operand, Task, Temp

BATCH_ROWS = {32: 4, 16: 2}  # rows that share the loads of the weights, by vector registers


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


@dataclass(eq=False)
class Recurrence:
    """The kernel of `directions`, which have the same activations.

    `parts` holds the input's part of the gates [direction, row, row, gate * hidden]; `weights` the state's
    [direction * gate][vector of hidden units][k][lane].
    """

    task: Task
    site: Site
    shape: Shape
    directions: list[int]
    activations: list[Activation]
    outer: Activation
    parts: Temp
    weights: Operand
    inputs: dict[str, Source] = field(default_factory=dict)
    outputs: dict[int, tuple[Buffer, Source]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        node, shape, task = self.task.group.anchor, self.shape, self.task
        value = node.inputs[0]
        if value is None:
            raise ValueError(f"{node.op_type} needs an input")
        self.dtype = dtype_of(value)
        self.op_type = node.op_type
        self.kernel = task.kernel(node.op_type.lower())
        most = BATCH_ROWS[32 if task.target.vector_registers >= 32 else 16]
        # rows of different length, or of a number that is not known, go one by one
        alone = task.open_extents or (len(node.inputs) > 4 and node.inputs[4] is not None)
        self.rows = 1 if alone else min(most, shape.batch)
        self.padded = -(-shape.hidden // self.kernel.lanes) * self.kernel.lanes
        self.size = self.rows * self.padded

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
        self.state = kernel.scratch(self.dtype, 2 * self.size, "h")
        self.second = kernel.scratch(self.dtype, 2 * self.size, "c")  # the cell of an LSTM, z and r * h of a GRU
        units = self.run()
        flop = 2 * len(self.directions) * shape.steps * shape.batch * shape.gates * shape.hidden**2
        return Lowered(kernel, operands, units, flop=flop)

    def ext(self, value: int) -> Expr:
        return arg(value) if self.task.open_extents else index(value)

    def run(self) -> int:
        kernel = self.kernel
        blocks = -(-self.shape.batch // self.rows)
        with kernel.loop(kernel.hi, "u", start=kernel.lo) as u:
            direction: Expr = index(self.directions[0])
            block = u
            if len(self.directions) > 1:
                direction, block = kernel.let(u // self.ext(blocks), "d"), kernel.let(u % self.ext(blocks), "block")
            self.walk(direction, [self.batch_index(block, m, blocks) for m in range(self.rows)])
        return blocks * len(self.directions)

    def batch_index(self, block: Expr, m: int, blocks: int) -> Expr:
        """The batch index of row m; rows behind the last repeat it."""
        row = block * self.rows + m
        if blocks * self.rows != self.shape.batch:
            row = minimum(row, self.shape.batch - 1)
        return self.kernel.let(row, f"b{m}")

    # -- steps ------------------------------------------------------------------------------------------------
    def walk(self, direction: Expr, batch: list[Expr]) -> None:
        kernel = self.kernel
        steps = self.ext(self.shape.steps)
        length = steps
        if "lengths" in self.inputs:
            given = cast(self.inputs["lengths"].at((batch[0],)), "i64")
            length = kernel.let(maximum(minimum(given, steps), 0), "length")
        self.start(direction, batch)
        with kernel.loop(length, "step") as step:
            now = kernel.let((step % 2) * self.size, "now")
            following = kernel.let(index(self.size) - now, "next")
            self.step(direction, batch, self.time(direction, step, length), now, following)
        self.finish(direction, batch, kernel.let((length % 2) * self.size, "last"))
        if "lengths" in self.inputs and 0 in self.outputs:
            with kernel.loop(steps, "t", start=length) as t:
                self.each_vector(lambda j, n: self.put(0, self.place_y(t, direction, batch[0]), j, n, self.zero()))

    def time(self, direction: Expr, step: Expr, length: Expr) -> Expr:
        backward = length - 1 - step
        if self.site.get("direction", "forward") == "reverse":
            return self.kernel.let(backward, "t")
        if len(self.directions) == 1:
            return step if self.directions[0] == 0 else self.kernel.let(backward, "t")
        forward = Op("bool", False, "eq", (direction, index(0)))
        return self.kernel.let(Op("i64", False, "select", (forward, step, backward)), "t")

    def each_vector(self, body: Callable[[Expr, Expr | None], None]) -> None:
        """`body(first hidden unit, active lanes of a last partial vector or None)`."""
        lanes, hidden = self.kernel.lanes, self.shape.hidden
        whole = hidden // lanes * lanes
        if whole:
            with self.kernel.loop(whole, "j", step=lanes) as j:
                body(j, None)
        if hidden > whole:
            body(index(whole), index(hidden - whole))

    def start(self, direction: Expr, batch: list[Expr]) -> None:
        def body(j: Expr, count: Expr | None) -> None:
            for m, b in enumerate(batch):
                at = j + m * self.padded
                self.kernel.store(self.state, at, self.get("h0", self.place_h(direction, b), j, count) or self.zero())
                if self.op_type == "LSTM":
                    value = self.get("c0", self.place_h(direction, b), j, count) or self.zero()
                    self.kernel.store(self.second, at, value)

        self.each_vector(body)

    def finish(self, direction: Expr, batch: list[Expr], last: Expr) -> None:
        def body(j: Expr, count: Expr | None) -> None:
            for m, b in enumerate(batch):
                place = self.place_h(direction, b)
                self.put(1, place, j, count, self.vector(self.state, last + j + m * self.padded))
                self.put(2, place, j, count, self.vector(self.second, j + m * self.padded))

        self.each_vector(body)

    def step(self, direction: Expr, batch: list[Expr], t: Expr, now: Expr, following: Expr) -> None:
        kernel = self.kernel
        outer_rows, inner_rows = self.shape.rows()
        rows = []
        for m, b in enumerate(batch):
            first, second = (b, t) if self.shape.batch_first else (t, b)
            place = (direction * self.ext(outer_rows) + first) * self.ext(inner_rows) + second
            rows.append(kernel.let(place * (self.shape.gates * self.shape.hidden), f"x{m}"))
        reset_later = bool(self.site.get("linear_before_reset", 0))

        def units(j: Expr, count: Expr | None, gates: Sequence[int], state: Buffer, base: Expr) -> list[Unit]:
            sums = self.products(direction, j, gates, state, base)
            return [self.unit(direction, rows[m], now, m, j, count, gates, sums[m]) for m in range(self.rows)]

        def body(j: Expr, count: Expr | None) -> None:
            found = units(j, count, range(self.shape.gates), self.state, now)
            for m, u in enumerate(found):
                if self.op_type == "LSTM":
                    coupled = bool(self.site.get("input_forget", 0))
                    h, cell = lstm(u, self.activations, self.outer, coupled)
                    kernel.store(self.second, j + m * self.padded, cell)
                elif self.op_type == "GRU":
                    z, r = gru_gates(u, self.activations)
                    h = gru_state(u, self.activations, z, r)
                else:
                    h = rnn(u, self.activations)
                write(m, j, count, h)

        def write(m: int, j: Expr, count: Expr | None, h: Expr) -> None:
            kernel.store(self.state, following + j + m * self.padded, h)
            self.put(0, self.place_y(t, direction, batch[m]), j, count, h)

        def gates(j: Expr, count: Expr | None) -> None:
            for m, u in enumerate(units(j, count, (0, 1), self.state, now)):
                z, r = gru_gates(u, self.activations)
                kernel.store(self.second, j + m * self.padded, z)
                kernel.store(self.second, j + (self.size + m * self.padded), kernel.let(r * u.state, "rh"))

        def candidates(j: Expr, count: Expr | None) -> None:
            for m, u in enumerate(units(j, count, (2,), self.second, index(self.size))):
                z = self.vector(self.second, j + m * self.padded)
                write(m, j, count, gru_state(u, self.activations, kernel.let(z, "z"), None))

        if self.op_type == "GRU" and not reset_later:
            self.each_vector(gates)
            self.each_vector(candidates)
        else:
            self.each_vector(body)

    def unit(
        self,
        direction: Expr,
        x: Expr,
        now: Expr,
        m: int,
        j: Expr,
        count: Expr | None,
        gates: Sequence[int],
        sums: list[Expr],
    ) -> Unit:
        """What the cell of row m sees; `x` is where the row's gates start among the input's parts."""
        hidden, kernel = self.shape.hidden, self.kernel

        def x_part(g: int) -> Expr:
            part: Expr = Load(self.dtype, True, self.x_parts, x + j + g * hidden, count)
            bias = self.get("bias", (direction,), j + g * hidden, count)
            return part if bias is None else part + bias

        def h_part(g: int) -> Expr:
            bias = self.get("bias", (direction,), j + (self.shape.gates + g) * hidden, count)
            total = sums[list(gates).index(g)]
            return total if bias is None else total + bias

        def peephole(p: int) -> Expr:
            value = self.get("peepholes", (direction,), j + p * hidden, count)
            return self.zero() if value is None else value

        old = kernel.let(self.vector(self.state, now + j + m * self.padded), "old")
        cell = kernel.let(self.vector(self.second, j + m * self.padded), "old_cell") if self.op_type == "LSTM" else None
        return Unit(x_part, h_part, old, cell, peephole if "peepholes" in self.inputs else None, kernel.let)

    def products(self, direction: Expr, j: Expr, gates: Sequence[int], state: Buffer, base: Expr) -> list[list[Expr]]:
        """For each row, for each of `gates`, the state times the weights of a vector of hidden units."""
        kernel, hidden, lanes = self.kernel, self.shape.hidden, self.kernel.lanes
        chains = 2 if self.rows == 1 and hidden > 1 else 1  # else each multiply-add waits for the one before
        starts = [
            kernel.let((direction * self.shape.gates + g) * (self.padded * hidden) + j * hidden, "r0") for g in gates
        ]
        sums = [[[kernel.mutable(self.zero(), "s") for _ in range(chains)] for _ in gates] for _ in range(self.rows)]

        def add(k: Expr, chain: int) -> None:
            weights = [kernel.let(self.vector(self.r, start + k * lanes), "w") for start in starts]
            for m in range(self.rows):
                one = Load(self.dtype, False, state, base + (k + m * self.padded))
                value = kernel.let(Op(self.dtype, True, "splat", (one,)), "v")
                for weight, total in zip(weights, sums[m], strict=True):
                    kernel.assign(total[chain], Op(self.dtype, True, "fma", (value, weight, total[chain])))

        whole = hidden // chains * chains
        with kernel.loop(whole, "k", step=chains) as k:
            for chain in range(chains):
                add(k + chain, chain)
        if hidden > whole:
            add(index(whole), 0)
        return [[kernel.let(total[0] + total[1], "s") if chains == 2 else total[0] for total in row] for row in sums]

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
