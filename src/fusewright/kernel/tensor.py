"""A tensor as a function from an index to an expression: what operations are declared in.

`at(idx)` gives the scalar expression of one element. Elementwise operations, broadcasts, casts and data movement
compose by composing these functions, so a fused group needs no rule of its own. `Reduced` tensors cannot be inlined:
a schedule computes them first and binds their value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fusewright.kernel import expr as E
from fusewright.kernel.expr import Buffer, Expr, Load, arg, index

Index = tuple[Expr, ...]
SPELLED = 4  # broadcasts, vectors, and interleaved elements


@dataclass(eq=False)
class Tensor:
    """shape: extents in elements; dtype as in `kernel.expr`.

    `bound` is set by a schedule that has computed the tensor already: it maps an index to the variable (or the load)
    that holds the element, and takes the place of the tensor's own definition.
    """

    shape: tuple[int, ...]
    dtype: str
    bound: Callable[[Index], Expr] | None = field(default=None, init=False, repr=False)
    _memo: dict[tuple[int, ...], tuple[Index, Expr]] = field(default_factory=dict, init=False, repr=False)

    def at(self, idx: Index) -> Expr:
        """The element at `idx` (one index expression for each dimension); the same node for the same index nodes."""
        if self.bound is not None:
            return self.bound(idx)  # never remembered: the variable changes from row to row
        key = tuple(id(i) for i in idx)
        if key not in self._memo:
            self._memo[key] = (idx, self._at(idx))
        return self._memo[key][1]

    def forget(self) -> None:
        """Drop remembered elements: those that were built from what is bound are wrong once it is bound anew."""
        self._memo.clear()

    def _at(self, idx: Index) -> Expr:
        raise TypeError(f"{type(self).__name__} has no element expression")

    def inputs(self) -> tuple[Tensor, ...]:
        return ()

    def __add__(self, other: Operand) -> Tensor:
        return map_("add", self, other)

    def __radd__(self, other: Operand) -> Tensor:
        return map_("add", self, other)

    def __sub__(self, other: Operand) -> Tensor:
        return map_("sub", self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return map_("sub", other, self)

    def __mul__(self, other: Operand) -> Tensor:
        return map_("mul", self, other)

    def __rmul__(self, other: Operand) -> Tensor:
        return map_("mul", self, other)

    def __truediv__(self, other: Operand) -> Tensor:
        return map_("div", self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return map_("div", other, self)

    def __neg__(self) -> Tensor:
        return map_("neg", self)

    def __lt__(self, other: Operand) -> Tensor:
        return map_("lt", self, other)

    def __le__(self, other: Operand) -> Tensor:
        return map_("le", self, other)

    def __gt__(self, other: Operand) -> Tensor:
        return map_("gt", self, other)

    def __ge__(self, other: Operand) -> Tensor:
        return map_("ge", self, other)


Operand = Tensor | int | float | bool


@dataclass(eq=False)
class Source(Tensor):
    """A tensor in memory; `strides` in elements, one for each dimension (set when the schedule binds the buffer)."""

    name: str = ""
    buffer: Buffer | None = None
    strides: tuple[Expr, ...] = ()
    offset: Expr | None = None

    def bind(self, buffer: Buffer, strides: Sequence[int], spelled: int = 1) -> None:
        """Strides up to `spelled` shape the loops and are spelled into the kernel, others are passed with the call.

        1 does for broadcasts and vectors; SPELLED for interleaved elements too, where the sizes are fixed.
        """
        self.buffer = buffer
        self.strides = tuple(
            index(s) if 0 <= s <= spelled or d == 1 else arg(s) for s, d in zip(strides, self.shape, strict=True)
        )
        self._memo.clear()

    def _at(self, idx: Index) -> Expr:
        if self.buffer is None:
            raise TypeError(f"source {self.name} is not bound to a buffer")
        position: Expr = index(0) if self.offset is None else self.offset
        for i, s, d in zip(idx, self.strides, self.shape, strict=True):
            if d != 1:
                position = position + i * s
        return Load(self.dtype, False, self.buffer, position)

    @property
    def memory(self) -> Buffer:
        """The buffer that it is bound to."""
        if self.buffer is None:
            raise TypeError(f"source {self.name} is not bound to a buffer")
        return self.buffer

    def position(self, idx: Index) -> Expr:
        """Where the element at `idx` lies in `memory`, in elements."""
        element = self.at(idx)
        if not isinstance(element, Load):
            raise TypeError(f"source {self.name} has no place in memory: its elements are bound to something else")
        return element.index


@dataclass(eq=False)
class Table(Source):
    """Numbers that an operation computes ahead (positions and weights of a resize): memory like a weight's."""

    array: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(eq=False)
class Literal(Tensor):
    """A single constant, spelled into the kernel; shape is () or all ones."""

    value: int | float | bool = 0

    def _at(self, idx: Index) -> Expr:
        return E.const(self.value, self.dtype)


@dataclass(eq=False)
class Mapped(Tensor):
    """fn applied to the broadcast elements of `args`."""

    fn: Callable[..., Expr] = E.op
    args: tuple[Tensor, ...] = ()
    name: str = ""

    def _at(self, idx: Index) -> Expr:
        return self.fn(*(a.at(broadcast_index(idx, a.shape)) for a in self.args))

    def inputs(self) -> tuple[Tensor, ...]:
        return self.args


@dataclass(eq=False)
class Moved(Tensor):
    """element(idx), with `sources` telling what it reads: data movement, iota, gathers, guarded reads."""

    element: Callable[[Index], Expr] = lambda idx: idx[0]
    sources: tuple[Tensor, ...] = ()
    name: str = ""

    def _at(self, idx: Index) -> Expr:
        return self.element(idx)

    def inputs(self) -> tuple[Tensor, ...]:
        return self.sources


@dataclass(eq=False)
class Reduced(Tensor):
    """combine over `axes` of `source` (kept as extents of 1). kind: sum, prod, max, min. It has no definition of its
    own: a schedule computes and binds it."""

    kind: str = "sum"
    source: Tensor | None = None
    axes: tuple[int, ...] = ()

    def _at(self, idx: Index) -> Expr:
        raise TypeError(f"a {self.kind} reduction is used before a schedule has computed it")

    def inputs(self) -> tuple[Tensor, ...]:
        return () if self.source is None else (self.source,)


@dataclass(eq=False)
class Anchor(Tensor):
    """The result of a structured computation (matmul, convolution, pooling) whose schedule supplies its elements."""

    def _at(self, idx: Index) -> Expr:
        raise TypeError("an anchor is used before its schedule has computed it")


def broadcast_index(idx: Index, shape: tuple[int, ...]) -> Index:
    """The index of the element of a tensor of `shape` that broadcasts to `idx` (shape is aligned at the right)."""
    tail = idx[len(idx) - len(shape) :]
    return tuple(index(0) if d == 1 else i for i, d in zip(tail, shape, strict=True))


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(d) for d in np.broadcast_shapes(*shapes))


def as_tensor(x: Operand, dtype: str) -> Tensor:
    return x if isinstance(x, Tensor) else Literal((), dtype, value=x)


def map_(name: str, *operands: Operand, dtype: str | None = None) -> Tensor:
    """The node `name` of `kernel.expr` applied elementwise; Python numbers take the dtype of the tensors."""
    first = next(x for x in operands if isinstance(x, Tensor))
    args = tuple(as_tensor(x, first.dtype) for x in operands)
    result = dtype or ("bool" if name in E.COMPARISONS else first.dtype)

    def element(*values: Expr) -> Expr:
        return E.binary(name, *values) if len(values) == 2 else E.op(name, *values)

    return Mapped(broadcast_shapes(*(a.shape for a in args)), result, fn=element, args=args, name=name)


def where(condition: Tensor, a: Operand, b: Operand) -> Tensor:
    branch = a if isinstance(a, Tensor) else b
    if not isinstance(branch, Tensor):
        raise TypeError("where: one branch must be a tensor")
    ta, tb = as_tensor(a, branch.dtype), as_tensor(b, branch.dtype)
    shape = broadcast_shapes(condition.shape, ta.shape, tb.shape)
    return Mapped(shape, ta.dtype, fn=E.select, args=(condition, ta, tb), name="where")


def cast(x: Tensor, dtype: str) -> Tensor:
    return x if x.dtype == dtype else Mapped(x.shape, dtype, fn=lambda v: E.cast(v, dtype), args=(x,), name="cast")


def reduce(kind: str, x: Tensor, axes: Sequence[int]) -> Tensor:
    """Reduce over `axes`, kept as 1; over nothing it is `x` itself."""
    axes = tuple(sorted({a % len(x.shape) for a in axes})) if x.shape else ()
    if not axes:
        return x
    shape = tuple(1 if i in axes else d for i, d in enumerate(x.shape))
    return Reduced(shape, x.dtype, kind=kind, source=x, axes=axes)


def reshape_ones(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same elements where shapes differ only in extents of 1 (squeeze, unsqueeze, keepdims=0)."""
    if x.shape == shape:
        return x
    kept = [i for i, d in enumerate(shape) if d != 1]
    source = [i for i, d in enumerate(x.shape) if d != 1]
    if [shape[i] for i in kept] != [x.shape[i] for i in source]:
        raise TypeError(f"reshape_ones: {x.shape} and {shape} differ in more than extents of 1")

    def element(idx: Index) -> Expr:
        inner: list[Expr] = [index(0)] * len(x.shape)
        for s, k in zip(source, kept, strict=True):
            inner[s] = idx[k]
        return x.at(tuple(inner))

    return Moved(shape, x.dtype, element=element, sources=(x,), name="reshape_ones")


def walk(*roots: Tensor) -> list[Tensor]:
    """Every tensor below `roots`, operands first, each once."""
    seen: set[int] = set()
    order: list[Tensor] = []

    def visit(t: Tensor) -> None:
        if id(t) in seen:
            return
        seen.add(id(t))
        for s in t.inputs():
            visit(s)
        order.append(t)

    for r in roots:
        visit(r)
    return order
