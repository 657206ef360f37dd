"""y = f(x, reduce(g(x), ...), ...): reductions along some dimensions, with elementwise work before, between and after.

Each row is walked a few times (see `row_passes`). Two forms: vectors along the row with a horizontal reduction at its
end, or, where a kept dimension lies densely in memory, vectors across rows and none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from fusewright.errors import InternalError
from fusewright.graph.group import elements
from fusewright.kernel.expr import Buffer, Expr, Load, Op, Var, arg, index, minimum, op, select
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Index, Reduced, Source, Tensor, walk
from fusewright.kernel.vectorize import LANE, Vectorizer, lane_guard, vectorizable
from fusewright.schedules.combine import COMBINE, identity, tree
from fusewright.schedules.pointwise import lower_pointwise
from fusewright.schedules.row_nest import Nest, make_nest, release
from fusewright.schedules.row_passes import Pass, RowPlan, is_expensive, multiply_by_reciprocals, plan_passes
from fusewright.schedules.task import Lowered, Task

ACCUMULATORS = 4  # independent sums: an addition takes about four cycles, and one can start in each
REGISTERS = 16  # that any target with vectors has
FLOP_EACH = 4  # of one node on one element: several passes, exponentials among them
OPEN_VECTORS = 2  # of a unit across rows where extents are open: two cache lines on AVX-512, narrow enough for all
PAD = 64  # elements to which a kept row is rounded up

Output = tuple[Tensor, Source]
Point = Callable[[Index, int, Expr | None], None]  # index, accumulator, number of active lanes if not all


def lower_rows(task: Task) -> list[Lowered]:
    """One kernel for a group of reductions over the same dimensions of one shape."""
    group = task.group
    task.trace(group.nodes)
    results = [task.tensor(v) for v in group.outputs]
    if not any(isinstance(t, Reduced) for t in walk(*results)):
        return lower_pointwise(task)
    kernel = task.kernel("rows")
    operands = task.bind_inputs(kernel, walk(*results))
    places = [task.bind_output(kernel, v)[1] for v in group.outputs]
    outputs = list(zip(results, places, strict=True))
    units = emit_rows(kernel, outputs, 0 if task.open_extents else task.threads)
    full = max(elements(t.shape) for t in walk(*results))
    flop = full * (FLOP_EACH * len(group.nodes))
    return [Lowered(kernel, [*operands, *group.outputs], units, flop=flop)]


def emit_rows(kernel: Kernel, outputs: Sequence[Output], threads: int = 1) -> int:
    """Emit the loops that compute `outputs` (tensors and their places); returns the number of units.

    `threads` share them; 0: the loops must not depend on extents.
    """
    tensors = [t for t, _ in outputs]
    reductions = [t for t in walk(*tensors) if isinstance(t, Reduced)]
    nest = make_nest(reductions, outputs)
    multiply_by_reciprocals(nest, tensors)
    plan = plan_passes(nest, tensors)
    return RowKernel(kernel, nest, plan, list(outputs), threads).emit()


@dataclass
class Column:
    """One vector across rows (or the single row, where vectors lie along it): the kept dimension's index and lanes."""

    lane: Expr | None = None
    local: Expr | None = None  # its place within the unit
    count: Expr | None = None


@dataclass
class RowKernel:
    """Emits one kernel. `values` holds, for each tensor that is bound to a variable, one for each column."""

    kernel: Kernel
    nest: Nest
    plan: RowPlan
    outputs: list[Output]
    threads: int = 1
    idx: list[Expr] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    current: int = 0
    values: dict[int, list[Expr]] = field(default_factory=dict)
    bound: list[Tensor] = field(default_factory=list)
    kept: Buffer | None = None
    across: int = 0  # lanes of a unit of work across rows; 0 where vectors lie along the row

    def __post_init__(self) -> None:
        self.vector = bool(self.nest.kept or self.nest.reduced) and self.has_vectors()
        self.extents = {a.dim: arg(a.extent) for a in [*self.nest.kept, *self.nest.reduced]}
        self.idx = [index(0)] * len(self.nest.shape)
        self.row_length = arg(self.rounded_row())

    def rounded_row(self) -> int:
        """Elements of a row, so that each kept tensor starts at a cache line."""
        count = 1
        for a in self.nest.reduced:
            count *= a.extent
        return -(-count // PAD) * PAD

    def has_vectors(self) -> bool:
        """Whether every expression has a vector form."""
        idx = tuple(Var("i64", False, f"d{d}") for d in range(len(self.nest.shape)))
        reductions = [r for p in self.plan.passes for r in p.reductions]
        ok = all(r.dtype in ("f32", "f64", "i32", "i64") for r in reductions)
        for r in reductions:
            ok = ok and r.source is not None and vectorizable(r.source.at(idx))
            variable = Var(r.dtype, False, "reduced")
            r.bound = lambda _, v=variable: v
        for tensor, _ in self.outputs:
            in_lanes = self.nest.is_full(tensor) or not self.nest.along
            ok = ok and (not in_lanes or vectorizable(tensor.at(self.nest.index_map(tensor.shape)(idx))))
        release(reductions, [t for t, _ in self.outputs])
        return ok

    # -- units ------------------------------------------------------------------------------------------------
    def emit(self) -> int:
        kernel, nest = self.kernel, self.nest
        outer = nest.kept if nest.along or not nest.kept else nest.kept[:-1]
        units = 1
        for axis in outer:
            units *= axis.extent
        lane_axis = None if nest.along or not nest.kept else nest.kept[-1]
        if lane_axis is not None:
            self.across = self.block_width(lane_axis.extent, units)
            units *= -(-lane_axis.extent // self.across)
        self.make_scratch()
        with kernel.loop(kernel.hi, "u", start=kernel.lo) as unit:
            rest = unit
            start: Expr = index(0)
            if lane_axis is not None:
                blocks = (self.extents[lane_axis.dim] + (self.across - 1)) // self.across
                blocks = kernel.let(blocks, "blocks")
                start = kernel.let((rest % blocks) * self.across, "start")
                rest = rest // blocks
            for axis in reversed(outer[1:]):
                size = self.extents[axis.dim]
                self.idx[axis.dim] = kernel.let(rest % size, f"i{axis.dim}")
                rest = kernel.let(rest // size, "rest")
            if outer:
                self.idx[outer[0].dim] = kernel.let(rest, f"i{outer[0].dim}")
            if lane_axis is None:
                self.row([Column()])
            else:
                self.block(start, self.extents[lane_axis.dim])
        return units

    def block_width(self, extent: int, outer: int) -> int:
        """Lanes of one unit across rows: as many vectors as there are accumulators.

        Fewer for a narrow dimension, where there would be less than two units for each thread, and where sums and what
        is one number a row do not fit the registers.
        """
        if not self.vector:
            return 1
        if not self.threads:
            return OPEN_VECTORS * self.kernel.lanes
        vectors = ACCUMULATORS
        read = walk(*(r.source for p in self.plan.passes for r in p.reductions if r.source is not None))
        numbers = sum(isinstance(t, Source) and self.nest.is_row(t) for t in read)
        wanted = 2 * self.threads if self.threads > 1 else 1
        while vectors > 1 and (
            vectors * self.kernel.lanes > extent
            or outer * -(-extent // (vectors * self.kernel.lanes)) < wanted
            or vectors * (1 + numbers) > REGISTERS
        ):
            vectors //= 2
        return vectors * self.kernel.lanes

    def block(self, start: Expr, extent: Expr) -> None:
        """A unit across rows: all its vectors at once where they are full, else one after the other."""
        kernel, lanes = self.kernel, self.kernel.lanes
        if not self.vector:
            self.row([Column(start, index(0))])
            return
        width = kernel.let(minimum(extent - start, index(self.across)), "width")
        with kernel.when(op("eq", width, index(self.across))):
            self.row([Column(start + (index(v) + LANE), index(v) + LANE) for v in range(0, self.across, lanes)])
        with kernel.otherwise():
            kernel.vector_loop(width, lambda at, vectorize: self.row([Column(start + at, at, vectorize.count)]))

    def make_scratch(self) -> None:
        kept = [t for p in self.plan.passes for t in p.keep]
        if kept:
            size = len(kept) * self.rounded_row() * (self.across or 1)
            self.kept = self.kernel.scratch(kept[0].dtype, size, "kept")

    # -- one row, or one vector of rows -----------------------------------------------------------------------
    def row(self, columns: list[Column]) -> None:
        self.columns, self.values = columns, {}
        slot = 0
        for one in self.plan.passes:
            self.compute(one.between)
            self.walk(one)
            for tensor in one.keep:
                self.bind(tensor, self.kept_load(tensor, slot))
                slot += 1
            for i in one.full:
                tensor, place = self.outputs[i]
                self.bind(tensor, place.at)
        self.compute(self.plan.ending)
        for i in self.plan.rows:
            self.store_row(*self.outputs[i])
        release(self.bound, [t for t, _ in self.outputs])
        self.bound = []

    def bind(self, tensor: Tensor, what: Callable[[Index], Expr]) -> None:
        tensor.bound = what
        self.bound.append(tensor)

    def bind_values(self, tensor: Tensor, values: list[Expr]) -> None:
        """`tensor` is held by variables, one for each column. It is good for the current row alone."""
        self.values[id(tensor)] = values

        def value(own: Index) -> Expr:
            here = {id(i) for i in self.position(self.current)}
            if any(id(i) not in here for i, d in zip(own, tensor.shape, strict=True) if d != 1):
                raise InternalError(f"a row of {self.nest.shape} needs the result of another row")
            return self.values[id(tensor)][self.current]

        self.bind(tensor, value)

    def position(self, column: int) -> Index:
        """The index of the current row, with 0 in the reduced dimensions."""
        idx = list(self.idx)
        lane = self.columns[column].lane
        if lane is not None:
            idx[self.nest.kept[-1].dim] = lane
        return tuple(idx)

    def compute(self, tensors: list[Tensor]) -> None:
        """Variables for what is one value a row."""
        for tensor in tensors:
            values: list[Expr] = []
            for c, column in enumerate(self.columns):
                self.current = c
                value = tensor.at(self.nest.index_map(tensor.shape)(self.position(c)))
                values.append(self.kernel.let(Vectorizer(column.count)(value), "row"))
            self.bind_values(tensor, values)

    def store_row(self, tensor: Tensor, place: Source) -> None:
        for c, column in enumerate(self.columns):
            self.current = c
            own = self.nest.index_map(tensor.shape)(self.position(c))
            self.store(place, own, tensor.at(own), Vectorizer(column.count))

    def store(self, place: Source, own: Index, value: Expr, vectorize: Vectorizer) -> None:
        where = place_index(place, own)
        if place.buffer is None:
            raise InternalError("an output without memory")
        if self.vector and (self.nest.is_full(place) or not self.nest.along):
            self.kernel.store_lanes(place.buffer, where, value, vectorize)
        else:
            self.kernel.store(place.buffer, where, value)

    def kept_place(self, slot: int, at: Index, column: int) -> Expr:
        """Where element `at` of a kept row lies in scratch."""
        place: Expr = index(0)
        for axis in self.nest.reduced:
            place = place * self.extents[axis.dim] + at[axis.dim]
        place = place + self.row_length * slot if slot else place
        local = self.columns[column].local
        return place if local is None else place * index(self.across) + local

    def kept_load(self, tensor: Tensor, slot: int) -> Callable[[Index], Expr]:
        full = self.nest.index_map(tensor.shape)
        probe = tuple(Var("i64", False, "p") for _ in self.nest.shape)
        dim_of = {id(i): d for d, i in enumerate(probe)}
        dims = [dim_of.get(id(i)) for i in full(probe)]

        def load(own: Index) -> Expr:
            at: list[Expr] = [index(0)] * len(self.nest.shape)
            for i, d in zip(own, dims, strict=True):
                if d is not None:
                    at[d] = i
            if self.kept is None:
                raise InternalError("no scratch for a kept row")
            return Load(tensor.dtype, False, self.kept, self.kept_place(slot, tuple(at), self.current))

        return load

    # -- one pass ---------------------------------------------------------------------------------------------
    def walk(self, one: Pass) -> None:
        """Walk the row once: reductions into accumulators, stores of what is kept and of full results."""
        kernel = self.kernel
        unroll = self.unroll(one)
        accumulators = {
            (id(r), c, u): kernel.mutable(self.initial(r), "acc")
            for r in one.reductions
            for c in range(len(self.columns))
            for u in range(unroll)
        }
        first_slot = sum(len(p.keep) for p in self.plan.passes[: self.plan.passes.index(one)])

        def point(idx: Index, accumulator: int, active: Expr | None) -> None:
            for c, column in enumerate(self.columns):
                self.current = c
                at = list(idx)
                if column.lane is not None:
                    at[self.nest.kept[-1].dim] = column.lane
                vectorize = Vectorizer(column.count if active is None else active)
                here = [*one.keep, *(self.outputs[i][0] for i in one.full)]
                before = [t.bound for t in here]
                self.visit(one, tuple(at), vectorize, first_slot)
                for r in one.reductions:
                    acc = accumulators[id(r), c, accumulator]
                    kernel.assign(acc, self.combined(r, acc, tuple(at), vectorize, active))
                for tensor, bound in zip(here, before, strict=True):
                    tensor.bound = bound

        self.sweep(point, unroll)
        for r in one.reductions:
            results = []
            for c in range(len(self.columns)):
                result = tree(r.kind, [accumulators[id(r), c, u] for u in range(unroll)])
                if self.vector and self.nest.along:
                    result = Op(r.dtype, False, "h" + r.kind, (result,))
                results.append(kernel.let(result, r.kind))
            self.bind_values(r, results)

    def unroll(self, one: Pass) -> int:
        """Steps of the innermost loop taken at once, so that the additions do not wait for each other.

        Counted for a full block across rows in the last, partial one too: equal columns then have equal sums, down to
        the last bit, wherever they lie.
        """
        if not one.reductions or not self.vector or not self.nest.reduced:
            return 1
        if any(r.source is not None and is_expensive(self.nest, r.source) for r in one.reductions) or one.keep:
            return 1  # the elements take longer than the additions
        columns = max(1, self.across // self.kernel.lanes)
        return max(1, ACCUMULATORS // (columns * len(one.reductions)))

    def initial(self, r: Reduced) -> Expr:
        start = identity(r.kind, r.dtype)
        return Op(r.dtype, True, "splat", (start,)) if self.vector else start

    def combined(self, r: Reduced, acc: Var, at: Index, vectorize: Vectorizer, active: Expr | None) -> Expr:
        if r.source is None:
            raise InternalError("a reduction of nothing")
        value = vectorize(r.source.at(at))
        if active is not None:
            start = identity(r.kind, r.dtype)
            value = select(lane_guard(active), value, start)
        return Op(r.dtype, acc.vec, COMBINE[r.kind], (acc, value))

    def visit(self, one: Pass, at: Index, vectorize: Vectorizer, slot: int) -> None:
        """Compute and store what this pass keeps and the full results that it completes."""
        for number, tensor in enumerate(one.keep):
            value = self.define(tensor, at, vectorize)
            where = self.kept_place(slot + number, at, self.current)
            if self.kept is None:
                raise InternalError("no scratch for a kept row")
            if self.vector:
                self.kernel.store_lanes(self.kept, where, value, vectorize)
            else:
                self.kernel.store(self.kept, where, value)
        for i in one.full:
            tensor, place = self.outputs[i]
            value = self.define(tensor, at, vectorize)
            self.store(place, self.nest.index_map(place.shape)(at), value, vectorize)

    def define(self, tensor: Tensor, at: Index, vectorize: Vectorizer) -> Expr:
        """A variable for the element at `at`, which what follows at this point uses too."""
        value = vectorize(tensor.at(self.nest.index_map(tensor.shape)(at)))
        variable = self.kernel.let(value, "e")
        tensor.bound = lambda own: variable
        return variable

    def sweep(self, point: Point, unroll: int) -> None:
        """Visit every element of the row: the innermost dimension in vectors, or in steps of `unroll`."""
        reduced = self.nest.reduced
        idx = list(self.idx)
        if not reduced:
            point(tuple(idx), 0, None)
            return
        inner = reduced[-1].dim
        extent = self.extents[inner]

        def at(i: Expr) -> Index:
            idx[inner] = i
            return tuple(idx)

        with ExitStack() as stack:
            for axis in reduced[:-1]:
                idx[axis.dim] = stack.enter_context(self.kernel.loop(self.extents[axis.dim], f"r{axis.dim}"))
            self.sweep_inner(at, extent, point, unroll)

    def sweep_inner(self, at: Callable[[Expr], Index], extent: Expr, point: Point, unroll: int) -> None:
        kernel = self.kernel
        lanes = kernel.lanes if self.vector and self.nest.along else 1
        lane = LANE if lanes > 1 else index(0)
        done: Expr = index(0)
        if unroll > 1:
            done = kernel.let(extent - extent % (unroll * lanes), "unrolled")
            with kernel.loop(done, "r", step=unroll * lanes) as r:
                for u in range(unroll):
                    point(at(r + (index(u * lanes) + lane)), u, None)
        if lanes == 1:
            with kernel.loop(extent, "r", start=done) as r:
                point(at(r), 0, None)
            return
        whole = kernel.let(extent - extent % lanes, "whole")
        with kernel.loop(whole, "r", start=done, step=lanes) as r:
            point(at(r + lane), 0, None)
        with kernel.when(op("lt", whole, extent)):
            point(at(whole + lane), 0, kernel.let(extent - whole, "tail"))


def place_index(place: Source, own: Index) -> Expr:
    """The address of an element of an output, in elements."""
    load = place.at(own)
    if not isinstance(load, Load):
        raise InternalError("an output without memory")
    return load.index
