"""What does a kernel do, statement by statement? A plain interpreter on NumPy arrays, for tests on tiny shapes.

It is stricter than C: every access is checked against its buffer, nothing may write into what is only read, scratch
starts as NaN, and a node that one statement has computed must still have that value where a later statement of the same
scope uses it (the printer may have named it, and would not compute it again).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fusewright.errors import InternalError
from fusewright.kernel.expr import SIZES, Arg, Buffer, Const, Expr, Load, Op, Var
from fusewright.kernel.loops import (
    KEPT_BYTES,
    Assign,
    CallC,
    Comment,
    Define,
    Either,
    For,
    If,
    Kernel,
    Part,
    Stmt,
    Store,
)
from fusewright.kernel.meaning import NUMPY, convert, meaning

Array = np.ndarray[Any, Any]


class AccessError(InternalError):
    """A kernel reaches outside of a buffer, or writes what it may only read."""


class StaleValue(InternalError):
    """A node is used again after what it was computed from has changed."""


def interpret(
    kernel: Kernel,
    buffers: Mapping[Buffer, Array],
    units: int,
    lo: int | None = None,
    hi: int | None = None,
    scratch_bytes: int = 0,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> None:
    """Run units [lo, hi) of `kernel` (by default all `units`) on flat arrays, which are written in place.

    `scratch_bytes` is the thread's scratch (at least what the kernel reserved itself); `functions` are the C functions
    that the kernel calls, on arrays from a pointer on.

    Raises AccessError, StaleValue, or InternalError where a kernel breaks a rule of the language.
    """
    for buffer in kernel.buffers:
        if buffers[buffer].dtype != NUMPY[buffer.dtype] or buffers[buffer].ndim != 1:
            raise InternalError(f"buffer {buffer.name} needs a flat array of {buffer.dtype}")
    run = _Run(kernel, dict(buffers), max(scratch_bytes, kernel.scratch_bytes), functions or {})
    run.values[id(kernel.lo)] = 0 if lo is None else lo
    run.values[id(kernel.hi)] = units if hi is None else hi
    with np.errstate(all="ignore"):
        run.block(kernel.body)


def scratch_arrays(buffers: Sequence[Buffer], total: int) -> dict[Buffer, Array]:
    """Each scratch buffer reaches to where the next begins; floats start as NaN, all else as a striking value, but
    what a kernel keeps from part to part as 0."""
    memory = np.full(KEPT_BYTES + total, 0xFF, np.uint8)
    memory[:KEPT_BYTES] = 0
    starts = [KEPT_BYTES + b.offset for b in buffers]
    ends = [*starts, len(memory)][1:]
    return {
        b: memory[start : start + (end - start) // SIZES[b.dtype] * SIZES[b.dtype]].view(NUMPY[b.dtype])
        for b, start, end in zip(buffers, starts, ends, strict=True)
    }


class _Run:
    def __init__(
        self, kernel: Kernel, memory: dict[Buffer, Array], scratch: int, functions: Mapping[str, Callable[..., Any]]
    ) -> None:
        self.lanes = kernel.lanes
        self.memory = {**memory, **scratch_arrays(kernel.scratch_buffers, scratch)}
        self.functions = functions
        self.values: dict[int, Any] = {}  # of variables that are in scope
        self.mutable: set[int] = set()
        self.earlier: dict[int, Any] = {}  # of nodes that statements in scope have computed
        self.now: dict[int, Any] = {}  # of nodes that this statement has computed

    # -- statements -------------------------------------------------------------------------------------------
    def block(self, body: Sequence[Stmt]) -> None:
        for s in body:
            self.now = {}
            if isinstance(s, For):
                self.loop(s)
            elif isinstance(s, Define):
                self.values[id(s.var)] = self.value(s.value)
                self.mutable.discard(id(s.var))
                if s.mutable:
                    self.mutable.add(id(s.var))
            elif isinstance(s, Assign):
                if id(s.var) not in self.values or id(s.var) not in self.mutable:
                    raise InternalError(f"{s.var.name} is not a mutable variable in scope")
                self.values[id(s.var)] = self.value(s.value)
            elif isinstance(s, Store):
                self.store(s)
            elif isinstance(s, If):
                with self.scope():
                    self.block(s.then if self.value(s.condition) else s.otherwise)
            elif isinstance(s, Part):
                with self.scope():
                    self.block(s.body)
            elif isinstance(s, CallC):
                self.call(s)
            elif isinstance(s, Either):
                memory, place = s.one if self.value(s.condition) else s.other
                at, extent = self.value(place), len(self.memory[memory])
                if not 0 <= at <= extent:
                    raise AccessError(f"a pointer to {memory.name}[{at}], which has {extent} elements")
                self.memory[s.buffer] = self.memory[memory][at:]
            elif not isinstance(s, Comment):
                raise InternalError(f"no meaning of statement {type(s).__name__}")

    def loop(self, s: For) -> None:
        at, step = self.value(s.start), self.value(s.step)
        while at < self.value(s.stop):  # computed again for each iteration, as C does
            with self.scope():
                self.values[id(s.var)] = at
                self.block(s.body)
            at += step
            self.now = {}

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is defined or computed inside is unknown after it; outer variables keep what they were given."""
        variables, earlier = set(self.values), dict(self.earlier)
        yield
        self.values = {k: v for k, v in self.values.items() if k in variables}
        self.earlier = earlier

    def store(self, s: Store) -> None:
        if s.buffer.role == "in":
            raise AccessError(f"a store into {s.buffer.name}, which is only read")
        value, index, array = self.value(s.value), self.value(s.index), self.memory[s.buffer]
        if not s.value.vec:
            array[self.checked(s.buffer, index, 1, "store")] = value
            return
        count = self.count(s.count)
        if s.index.vec:
            for at, element in zip(index[:count], value[:count], strict=True):
                array[self.checked(s.buffer, int(at), 1, "store")] = element
        else:
            first = self.checked(s.buffer, index, count, "store")
            array[first : first + count] = value[:count]

    def call(self, s: CallC) -> None:
        if s.name not in self.functions:
            raise InternalError(f"no function {s.name} was given to the interpreter")
        self.functions[s.name](*(self.memory[a] if isinstance(a, Buffer) else self.value(a) for a in s.args))

    # -- memory -----------------------------------------------------------------------------------------------
    def count(self, count: Expr | None) -> int:
        active = self.lanes if count is None else int(self.value(count))
        if not 0 <= active <= self.lanes:
            raise AccessError(f"{active} active lanes of {self.lanes}")
        return active

    def checked(self, buffer: Buffer, first: int, count: int, what: str) -> int:
        extent = len(self.memory[buffer])
        if count and not (0 <= first and first + count <= extent):
            last = f" to {first + count - 1}" if count > 1 else ""
            raise AccessError(f"a {what} at {buffer.name}[{first}{last}], which has {extent} elements")
        return int(first) if count else 0

    def load(self, e: Load) -> Any:
        index, array = self.value(e.index), self.memory[e.buffer]
        if not e.vec:
            element = array[self.checked(e.buffer, index, 1, "load")]
            return int(element) if e.dtype == "i64" else element
        if e.repeat:
            first = self.checked(e.buffer, index, e.repeat, "load")
            return np.resize(array[first : first + e.repeat], self.lanes)
        count = self.count(e.count)
        vector = np.zeros(self.lanes, array.dtype)
        if e.index.vec:
            for lane in range(count):
                vector[lane] = array[self.checked(e.buffer, int(index[lane]), 1, "load")]
        else:
            first = self.checked(e.buffer, index, count, "load")
            vector[:count] = array[first : first + count]
        return vector

    # -- expressions ------------------------------------------------------------------------------------------
    def value(self, e: Expr) -> Any:
        if isinstance(e, (Const, Arg)):
            return e.value if e.dtype == "i64" else NUMPY[e.dtype].type(e.value)
        if isinstance(e, Var):
            if id(e) not in self.values:
                raise InternalError(f"variable {e.name} is used outside its scope")
            return self.values[id(e)]
        key = id(e)
        if key not in self.now:
            self.now[key] = result = self.load(e) if isinstance(e, Load) else self.op(e)
            if not _same(self.earlier.setdefault(key, result), result):
                raise StaleValue(f"a node ({_said(e)}) was {self.earlier[key]} and is now {result}")
        return self.now[key]

    def op(self, e: Expr) -> Any:
        if not isinstance(e, Op):
            raise InternalError(f"no meaning of {type(e).__name__}")
        if e.name == "iota":
            return np.arange(self.lanes)
        args = [self.value(a) for a in e.args]
        source = e.args[0].dtype
        if e.name == "splat":
            made: Any = np.full(self.lanes, args[0], NUMPY[e.dtype])
        elif e.name == "cast":
            made = convert(args[0], source, e.dtype)
        elif e.name == "bitcast":
            made = np.asarray(args[0], NUMPY[source]).view(NUMPY[e.dtype])
        else:
            made = meaning(e.name, e.dtype if e.name == "select" else source, any(a.vec for a in e.args))(*args)
        if e.vec:
            vector = np.asarray(made, NUMPY[e.dtype])
            return vector if vector.ndim else np.full(self.lanes, vector)
        if e.dtype == "i64":
            return (int(made) + 2**63) % 2**64 - 2**63
        return np.asarray(made, NUMPY[e.dtype])[()]


def _same(a: Any, b: Any) -> bool:
    return a is b or bool(np.all((a == b) | ((a != a) & (b != b))))


def _said(e: Expr) -> str:
    return f"{e.name} of {e.dtype}" if isinstance(e, Op) else f"load of {e.buffer.name}" if isinstance(e, Load) else "?"
