"""The statements of a kernel, and the builder with which schedules write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count

from fusewright.errors import InternalError
from fusewright.kernel.expr import SIZES, Buffer, Const, Expr, Load, Number, Op, Var, const, index, is_const
from fusewright.kernel.vectorize import LANE, Vectorizer, coefficient, substitute

KEPT_BYTES = 128  # FW_KEPT_BYTES of csrc/fw_runtime.h: in front of each thread's scratch


class Stmt:
    """One statement; a body is a list of them."""


@dataclass(eq=False)
class For(Stmt):
    """for (var = start; var < stop; var += step) body"""

    var: Var
    start: Expr
    stop: Expr
    step: Expr
    body: list[Stmt]


@dataclass(eq=False)
class Define(Stmt):
    """A new local; `mutable` ones may be assigned to."""

    var: Var
    value: Expr
    mutable: bool


@dataclass(eq=False)
class Assign(Stmt):
    var: Var
    value: Expr


@dataclass(eq=False)
class Store(Stmt):
    """buffer[index] = value; a vector value writes consecutive elements (`count` of them, or all lanes)."""

    buffer: Buffer
    index: Expr
    value: Expr
    count: Expr | None = None


@dataclass(eq=False)
class If(Stmt):
    condition: Expr
    then: list[Stmt]
    otherwise: list[Stmt]


@dataclass(eq=False)
class Part(Stmt):
    """A body that is compiled by itself, as a function that the kernel calls: what its loops keep in registers takes
    none in other loops. It assigns to no variable from outside. `rolled`: a turn of its loops needs all registers, so
    that no C compiler shall mix several."""

    name: str
    body: list[Stmt]
    rolled: bool = False


@dataclass(eq=False)
class CallC(Stmt):
    """A function of the C library that ships (sorting and the like): `name(args)`; a Buffer argument is its pointer."""

    name: str
    args: tuple[Expr | Buffer, ...]


@dataclass(eq=False)
class Either(Stmt):
    """`buffer` is the memory from `one` on if the condition holds, else that from `other` on: (memory, element)."""

    buffer: Buffer
    condition: Expr
    one: tuple[Buffer, Expr]
    other: tuple[Buffer, Expr]


@dataclass(eq=False)
class Comment(Stmt):
    text: str


@dataclass(eq=False)
class Kernel:
    """A kernel under construction: buffers in the order of the call's pointers, then the statements.

    `lo` and `hi` bound this thread's units of work.
    """

    name: str
    lanes: int
    buffers: list[Buffer] = field(default_factory=list)
    scratch_buffers: list[Buffer] = field(default_factory=list)
    chosen: list[Buffer] = field(default_factory=list)
    scratch_bytes: int = 0
    body: list[Stmt] = field(default_factory=list)
    lo: Var = field(default_factory=lambda: Var("i64", False, "lo"))
    hi: Var = field(default_factory=lambda: Var("i64", False, "hi"))

    def __post_init__(self) -> None:
        self._block = self.body

    # -- memory -----------------------------------------------------------------------------------------------
    def buffer(self, dtype: str, name: str, role: str = "in") -> Buffer:
        """The next pointer of the call."""
        made = Buffer(self._free(name), dtype, role)
        self.buffers.append(made)
        return made

    def scratch(self, dtype: str, elements: int, name: str) -> Buffer:
        """`elements` of this thread's scratch, 64-byte aligned.

        The offset is spelled into the text, so a size that run-time extents reach must come last (see `known`).
        """
        made = Buffer(self._free(name), dtype, "scratch", self.scratch_bytes)
        self.scratch_buffers.append(made)
        self.scratch_bytes += -(-elements * SIZES[dtype] // 64) * 64
        return made

    def either(
        self, condition: Expr, one: tuple[Buffer, Expr], other: tuple[Buffer, Expr], name: str = "chosen"
    ) -> Buffer:
        """The memory from `one` on if the condition holds, else that from `other` on, to be read in this block."""
        made = Buffer(self._free(name), one[0].dtype, "in")
        self.chosen.append(made)
        self.emit(Either(made, condition, one, other))
        return made

    @contextmanager
    def kept(self, *names: str) -> Iterator[tuple[Var, ...]]:
        """Integer variables of what is emitted within: a thread's next part of a call begins with the values that its
        last one ended with, the first with 0. The scratch lasts as long."""
        if not names:
            yield ()
            return
        if len(names) * SIZES["i64"] > KEPT_BYTES:
            raise InternalError(f"{self.name} keeps {len(names)} integers, more than {KEPT_BYTES} bytes")
        memory = Buffer(self._free("kept"), "i64", "scratch", -KEPT_BYTES)
        self.scratch_buffers.insert(0, memory)
        variables = tuple(self.mutable(Load("i64", False, memory, index(i)), n) for i, n in enumerate(names))
        yield variables
        for i, variable in enumerate(variables):
            self.store(memory, index(i), variable)

    def _free(self, name: str) -> str:
        """The name, or with the first number behind it that makes it one of its own."""
        taken = {b.name for b in (*self.buffers, *self.scratch_buffers, *self.chosen)}
        return next(n for n in chain([name], (f"{name}{i}" for i in count(2))) if n not in taken)

    # -- statements -------------------------------------------------------------------------------------------
    def emit(self, statement: Stmt) -> None:
        self._block.append(statement)

    @contextmanager
    def block(self, body: list[Stmt]) -> Iterator[None]:
        outer, self._block = self._block, body
        try:
            yield
        finally:
            self._block = outer

    @contextmanager
    def loop(self, stop: Number, name: str = "i", start: Number = 0, step: Number = 1) -> Iterator[Expr]:
        """A loop; one that runs exactly once by its constants is no loop at all."""
        first, last, by = const(start, "i64"), const(stop, "i64"), const(step, "i64")
        if isinstance(first, Const) and isinstance(last, Const) and isinstance(by, Const):
            trips = -(-(last.value - first.value) // by.value)
            if trips == 1:
                yield first
                return
        var = Var("i64", False, name)
        statement = For(var, first, last, by, [])
        self.emit(statement)
        with self.block(statement.body):
            yield var

    @contextmanager
    def part(self, name: str, rolled: bool = False) -> Iterator[None]:
        """What is emitted within is a `Part`."""
        statement = Part(name, [], rolled)
        self.emit(statement)
        with self.block(statement.body):
            yield

    @contextmanager
    def when(self, condition: Expr) -> Iterator[None]:
        statement = If(condition, [], [])
        self.emit(statement)
        with self.block(statement.then):
            yield

    @contextmanager
    def otherwise(self) -> Iterator[None]:
        """The other branch of the `when` that was closed last in this block."""
        last = self._block[-1]
        if not isinstance(last, If):
            raise TypeError("otherwise() must follow when()")
        with self.block(last.otherwise):
            yield

    def let(self, value: Expr, name: str = "x") -> Expr:
        """A named immutable local (constants and variables need no name)."""
        if isinstance(value, (Const, Var)):
            return value
        var = Var(value.dtype, value.vec, name)
        self.emit(Define(var, value, False))
        return var

    def mutable(self, value: Expr, name: str = "acc") -> Var:
        var = Var(value.dtype, value.vec, name)
        self.emit(Define(var, value, True))
        return var

    def assign(self, var: Var, value: Expr) -> None:
        self.emit(Assign(var, value))

    def store(self, buffer: Buffer, at: Expr, value: Expr, count: Expr | None = None) -> None:
        self.emit(Store(buffer, at, value, count))

    def comment(self, text: str) -> None:
        self.emit(Comment(text))

    # -- vector loops -----------------------------------------------------------------------------------------
    def vector_loop(
        self,
        extent: Expr,
        body: Callable[[Expr, Vectorizer], None],
        *,
        unroll: int = 1,
        name: str = "v",
    ) -> None:
        """Run `body(base + LANE, vectorizer)` for vectors of `lanes` elements over [0, extent), the last one partial.

        `body` builds scalar expressions of that position and turns them into vectors by `vectorizer(expr)`;
        stores and masked reductions take `vectorizer.count`.
        """
        lanes = self.lanes
        if isinstance(extent, Const):
            whole, rest = extent.value // lanes * lanes, int(extent.value % lanes)
            if whole:
                with self.loop(int(whole), name, step=lanes) as base:
                    body(base + LANE, Vectorizer())
            if rest:
                body(index(int(whole)) + LANE, Vectorizer(index(rest)))
            return
        whole_expr = self.let(extent - (extent % lanes), "whole")
        with self.loop(whole_expr, name, step=lanes) as base:
            body(base + LANE, Vectorizer())
        with self.when(Op("bool", False, "lt", (whole_expr, extent))):
            body(whole_expr + LANE, Vectorizer(self.let(extent - whole_expr, "rest")))

    def vectors(self, count: int, partial: Expr | None, body: Callable[[Expr, Expr | None], None]) -> None:
        """Run `body(first element, active lanes)` for `count` vectors: all lanes (None), but `partial` of the last."""
        whole = count if partial is None else count - 1
        if whole:
            with self.loop(whole * self.lanes, "v", step=self.lanes) as v:
                body(v, None)
        if partial is not None:
            body(index(whole * self.lanes), partial)

    def store_lanes(self, buffer: Buffer, at: Expr, value: Expr, vectorize: Vectorizer) -> None:
        """Store the vector form of `value` at the position `at`, which must step by one with `LANE`."""
        step = coefficient(at, LANE)
        vector = vectorize(value)
        if not vector.vec:
            vector = Op(vector.dtype, True, "splat", (vector,))
        if step is not None and is_const(step, 1):
            self.store(buffer, substitute(at, LANE, index(0)), vector, vectorize.count)
        else:
            self.store(buffer, vectorize(at), vector, vectorize.count)
