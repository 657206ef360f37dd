"""What does a schedule get, and give? A group with the memory of its values; kernels with their operands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from fusewright.graph.group import Group, dtype_of, elements, shape_of
from fusewright.graph.site import make_site
from fusewright.kernel.expr import Buffer
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import SPELLED, Literal, Source, Table, Tensor
from fusewright.ops.apply import apply
from fusewright.ops.opdef import Site
from fusewright.ops.registry import find
from fusewright.schedules.choice import Chooser, Option
from fusewright.target.target import Target

Strides = tuple[int, ...]


@dataclass(frozen=True)
class Pack:
    """A weight in the order that a kernel wants: `make` turns the array of `value` into it, at compile time.

    `key` names the order, so that equal requests for one weight are stored once.
    """

    value: ir.Value
    key: str
    make: Callable[[np.ndarray], np.ndarray]


@dataclass(eq=False)
class Temp:
    """Memory between two kernels of one group, in bytes."""

    bytes: int


Operand = ir.Value | Pack | Temp


@dataclass(frozen=True)
class Way:
    """One way to lower a group: what it should cost, and the function that does it."""

    option: Option
    lower: Callable[[], list[Lowered]]


@dataclass(eq=False)
class Lowered:
    """One kernel call: `operands[i]` is the memory of `kernel.buffers[i]`.

    `units` are independent; `flop` and `bytes` estimate the work, by which the plan shares it out; `max_shares` limits
    that. `in_place` lists the operands of which each element is read just before the element at the same place is
    written, and never again: the result may take over their memory. The call is made in `turns`, one after the other,
    turn t with the units [units * t, units * (t + 1)).
    """

    kernel: Kernel
    operands: list[Operand]
    units: int
    flop: int = 0
    scratch: int = 0
    max_shares: int = 1 << 30
    in_place: tuple[int, ...] = ()
    turns: int = 1


@dataclass(eq=False)
class Task:
    """One group to be lowered.

    `strides_of(value)` gives the strides in elements of a value's memory; `array_of(value)` the constant behind a
    weight (None for others); `open_extents` tells that extents not fixed by weights will change from call to call, so
    that no decision may depend on them. `threads` is how many will share the work. `chooser` decides where there are
    several ways.
    """

    group: Group
    target: Target
    strides_of: Callable[[ir.Value], Strides]
    array_of: Callable[[ir.Value], np.ndarray | None]
    open_extents: bool = False
    threads: int = 1
    chooser: Chooser = field(default_factory=Chooser)
    sources: dict[ir.Value, Source] = field(default_factory=dict)
    tensors: dict[ir.Value, Tensor] = field(default_factory=dict)

    @property
    def spelled(self) -> int:
        """Up to which stride kernels may tell the sizes they were made for (see `Source.bind`)."""
        return 1 if self.open_extents else SPELLED

    def choose(self, work: str, ways: Sequence[Way]) -> list[Lowered]:
        """Lower by one of several ways; `work` describes what all of them compute, without extents that are open."""
        chosen = self.chooser.pick(work, [way.option for way in ways])
        return next(way for way in ways if way.option is chosen).lower()

    def kernel(self, name: str) -> Kernel:
        return Kernel(name, self.target.lanes)

    def tensor(self, value: ir.Value) -> Tensor:
        """The tensor of a value: computed in the group, a spelled constant, or memory."""
        if value not in self.tensors:
            shape, dtype = shape_of(value), dtype_of(value)
            array = self.array_of(value) if elements(shape) == 1 else None
            if array is not None:
                self.tensors[value] = Literal(shape, dtype, value=array.reshape(()).item())
            else:
                self.tensors[value] = self.sources[value] = Source(shape, dtype, name=value.name or "")
        return self.tensors[value]

    def site(self, node: ir.Node) -> Site:
        """Where `node` applies its operation, as declarations want to see it."""
        definition = find(node.domain, node.op_type)
        constants: dict[int, np.ndarray] = {}
        for i in definition.constants if definition else ():
            value = node.inputs[i] if i < len(node.inputs) else None
            if value is not None:
                array = self.array_of(value)
                if array is not None:
                    constants[i] = array
        return make_site(node, constants)

    def trace(self, nodes: Sequence[ir.Node]) -> None:
        """Build the tensors of `nodes` from their declarations."""
        for node in nodes:
            definition = find(node.domain, node.op_type)
            if definition is None or definition.lower is None:
                raise ValueError(f"operation {node.op_type} has no tensor form")
            site = self.site(node)
            inputs = [
                None if v is None or i in definition.constants else self.tensor(v) for i, v in enumerate(node.inputs)
            ]
            for value, tensor in zip(node.outputs, apply(definition, site, inputs), strict=False):
                self.tensors[value] = tensor

    def bind_inputs(self, kernel: Kernel, used: Sequence[Tensor]) -> list[Operand]:
        """Give every source below `used` a pointer, in order of appearance; returns the operands."""
        operands: list[Operand] = []
        owner = {id(s): v for v, s in self.sources.items()}
        for t in used:
            if isinstance(t, Source) and t.buffer is None:
                if isinstance(t, Table) and id(t) not in owner:
                    owner[id(t)] = value = table_value(t)
                    self.sources[value] = t
                value = owner[id(t)]
                t.bind(kernel.buffer(t.dtype, f"x{len(kernel.buffers)}"), self.strides_of(value), self.spelled)
                operands.append(value)
        return operands

    def bind_output(self, kernel: Kernel, value: ir.Value) -> tuple[Buffer, Source]:
        """A pointer for an output, and its address function (`Source.at(...).index`)."""
        place = Source(shape_of(value), dtype_of(value), name=value.name or "")
        buffer = kernel.buffer(dtype_of(value), f"y{len(kernel.buffers)}", "out")
        place.bind(buffer, self.strides_of(value), self.spelled)
        return buffer, place


def table_value(table: Table) -> ir.Value:
    """A constant of the graph's kind; equal tables have equal names, so that they are stored once."""
    array = np.ascontiguousarray(table.array)
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()
    return ir.Value(
        name=f"fusewright.table.{digest}",
        shape=ir.Shape(array.shape),
        type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
        const_value=ir.Tensor(array),
    )
