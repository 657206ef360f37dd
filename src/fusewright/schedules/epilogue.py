"""How do nodes behind a structured computation join its kernel? Their tensors read its elements as they are made."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from fusewright.kernel.expr import Buffer, Expr, Op, Var, index
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Anchor, Index, Mapped, Moved, Reduced, Source, Tensor, broadcast_index, walk
from fusewright.kernel.vectorize import FUNCTIONS, LANE, Vectorizer, vectorizable
from fusewright.schedules.task import Operand, Task
from fusewright.target.target import Target

LONG_EPILOGUE = 5  # elementwise nodes; more are not repeated for each accumulator


def epilogue(task: Task, raw: Tensor) -> list[Tensor]:
    """Trace the nodes behind the anchor with its result standing for `raw`; returns the group's output tensors."""
    group = task.group
    task.tensors[group.anchor.outputs[0]] = raw
    task.trace([n for n in group.nodes if n is not group.anchor])
    return [task.tensor(v) for v in group.outputs]


def bias_along(bias: Tensor, dim: int, rank: int) -> Tensor:
    """A vector as a tensor of `rank` that varies along `dim` alone."""
    shape = tuple(bias.shape[0] if d == dim else 1 for d in range(rank))
    return Moved(shape, bias.dtype, element=lambda idx: bias.at((idx[dim],)), sources=(bias,), name="bias")


@dataclass(eq=False)
class Results:
    """The outputs of a group whose anchors are computed element by element (or vector by vector)."""

    tensors: list[tuple[Tensor, Buffer, Source]]
    operands: list[Operand]
    means: list[tuple[Tensor, Buffer, Source]] = field(default_factory=list)  # along the last dimension of a result
    in_order: bool = True  # whether every operand is read at the very place that is written
    changing: list[Tensor] | None = None  # what depends on the anchors: to be forgotten when they get new values

    def vectorizable(self, anchors: Sequence[Anchor]) -> bool:
        """Whether all that is computed from the anchors has a vector form."""
        for anchor in anchors:
            probe = Var(anchor.dtype, False, "probe")
            anchor.bound = lambda idx, probe=probe: probe
        values = [t.at(tuple(Var("i64", False, "i") for _ in t.shape)) for t, _, _ in self.tensors]
        for tensor in above([t for t, _, _ in self.tensors], anchors):
            tensor.forget()
        return all(vectorizable(v) for v in values)

    def long(self, target: Target) -> bool:
        """Whether there is too much of it to be repeated for each accumulator."""
        return len(self._operations) > LONG_EPILOGUE or self.fills_registers(target)

    def fills_registers(self, target: Target) -> bool:
        """Whether a function of many instructions is in it, and the numbers and constants of several take registers
        from accumulators. Not so on AVX-512: it has 32, and constants need none."""
        return target.lanes < 16 and not FUNCTIONS.isdisjoint(self._operations)

    def apart(self, kernel: Kernel, target: Target) -> AbstractContextManager[None]:
        """Around loops that store what lies in memory: a part of its own, if it fills the registers."""
        if not self.fills_registers(target):
            return nullcontext()
        # on Arm each constant takes a register; on x86 clang mixes two or three turns, up to 8 % faster than one by one
        return kernel.part("results", rolled=target.arch == "aarch64")

    @property
    def _operations(self) -> list[str]:
        return [t.name for t in walk(*self.read) if isinstance(t, Mapped)]

    @property
    def read(self) -> list[Tensor]:
        """What is stored, or averaged."""
        return [tensor for tensor, _, _ in (*self.tensors, *self.means)]

    def read_at(self, first: int) -> tuple[int, ...]:
        """Positions of what the epilogue reads among a call's operands, of which the first is at `first`; none where
        it reads elsewhere than at the place it writes."""
        read = len(self.operands) - len(self.tensors) - len(self.means)
        return tuple(range(first, first + read)) if self.in_order else ()

    def store(
        self, kernel: Kernel, place: Index, values: Sequence[tuple[Tensor, Expr]], lanes: Vectorizer | None
    ) -> list[Expr]:
        """Write all outputs at `place`, where each anchor (or what stands for it) has this value; `lanes` is None for
        one element. Returns the elements there of what means are taken of."""
        if self.changing is None:
            self.changing = above(self.read, [anchor for anchor, _ in values])
        for tensor in self.changing:
            tensor.forget()
        for anchor, value in values:
            anchor.bound = lambda idx, value=value: value
        averaged = [self.named(kernel, tensor, place, lanes) for tensor, _, _ in self.means]
        for tensor, buffer, target in self.tensors:
            position = target.position(place)
            if lanes is None:
                kernel.store(buffer, position, tensor.at(place))
            else:
                kernel.store_lanes(buffer, position, tensor.at(place), lanes)
        for tensor, _, _ in self.means:
            tensor.bound = None
        return averaged

    def named(self, kernel: Kernel, tensor: Tensor, place: Index, lanes: Vectorizer | None) -> Expr:
        """An element in a variable, which stands for it until it is let go."""
        value = tensor.at(place)
        if lanes is not None:
            value = lanes(value)
            value = value if value.vec else Op(value.dtype, True, "splat", (value,))
        value = kernel.let(value, "v")
        tensor.bound = lambda idx: value
        return value


def above(roots: Sequence[Tensor], anchors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors below `roots` that are computed from any of `anchors`."""
    found = {id(a) for a in anchors}
    result: list[Tensor] = []
    for tensor in walk(*roots):  # operands come first
        if any(id(i) in found for i in tensor.inputs()):
            found.add(id(tensor))
            result.append(tensor)
    return result


def sum_along(results: Results, anchor: Anchor, dim: int) -> tuple[Tensor, Tensor | None]:
    """The sum of the anchor and of a tensor that varies along `dim` alone (a bias), and that tensor, if nothing else
    reads the anchor: its accumulators can begin with the latter. Else the anchor, and None."""
    roots = results.read
    readers = [t for t in walk(*roots) if any(i is anchor for i in t.inputs())]
    if len(readers) != 1 or any(t is anchor for t in roots):
        return anchor, None
    (total,) = readers
    others = [i for i in total.inputs() if i is not anchor]
    if not isinstance(total, Mapped) or total.name != "add" or len(others) != 1:
        return anchor, None
    (other,) = others
    along = (1,) * (len(anchor.shape) - len(other.shape)) + other.shape
    elsewhere = any(extent != 1 for d, extent in enumerate(along) if d != dim)
    if elsewhere or total.shape != anchor.shape or {total.dtype, other.dtype} != {anchor.dtype}:
        return anchor, None
    return total, other


def element_along(tensor: Tensor, dim: int, rank: int, place: Expr) -> Expr:
    """The element at `place` of a tensor that varies along `dim`, of `rank` dimensions, alone."""
    idx: list[Expr] = [index(0)] * rank
    idx[dim] = place
    return tensor.at(broadcast_index(tuple(idx), tensor.shape))


def vector_along(tensor: Tensor, dim: int, rank: int, place: Expr, active: Expr | None) -> Expr:
    """The same for a vector of places from `place` on, `active` of them (None: all)."""
    value = Vectorizer(active)(element_along(tensor, dim, rank, place + LANE))
    return value if value.vec else Op(value.dtype, True, "splat", (value,))  # it may be one for all places


def bind_epilogue(task: Task, kernel: Kernel, results: Sequence[Tensor]) -> Results:
    """Pointers for what the epilogue reads and for the outputs; `results` are the group's output tensors."""
    used = walk(*results)
    made = Results([], task.bind_inputs(kernel, used))
    shapes = {t.shape for t in results}
    made.in_order = not any(isinstance(t, Moved) and any(s.shape in shapes for s in t.inputs()) for t in used)
    for value, tensor in zip(task.group.outputs, results, strict=True):
        buffer, place = task.bind_output(kernel, value)
        mean = next((t for t in walk(tensor) if isinstance(t, Reduced)), None)  # of a row: `OpDef.row_means`
        if mean is not None and mean.source is not None:
            made.means.append((mean.source, buffer, place))
        else:
            made.tensors.append((tensor, buffer, place))
        made.operands.append(value)
    return made
