"""Groups -> program: memory for every value, a call record for every kernel, offsets and thread shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import onnx_ir as ir

from fusewright.codegen.c import print_kernel
from fusewright.graph.decisions import Log
from fusewright.graph.group import Group, dtype_of, elements, shape_of
from fusewright.graph.site import site_of
from fusewright.kernel.expr import SIZES
from fusewright.ops.opdef import Kind
from fusewright.ops.registry import find
from fusewright.passes.fuse import fuse
from fusewright.plan.chains import find_chains, joined
from fusewright.plan.edges import leaves_turned, order_of_input
from fusewright.plan.homes import Exit, Homes, find_homes, joined_axis
from fusewright.plan.in_place import take_over
from fusewright.plan.memory import assign_offsets
from fusewright.plan.orders import in_order, order_of_constant, row_major
from fusewright.plan.program import Call, Port, Program, Ref, Space
from fusewright.plan.storage import Root, Storage, StorageMap, byte_size
from fusewright.plan.weights import WeightStore
from fusewright.plan.work import work_of_nodes
from fusewright.schedules import lower
from fusewright.schedules.chain import Chain
from fusewright.schedules.chain_parts import make_chain
from fusewright.schedules.choice import ERROR_LIMIT, Choice, Chooser
from fusewright.schedules.cost import call_cycles, shares_of
from fusewright.schedules.task import Lowered, Operand, Pack, Task, Temp
from fusewright.target.target import Target

NUMPY = {
    "f32": "float32", "f64": "float64", "f16": "float16", "bf16": "bfloat16", "i8": "int8", "u8": "uint8",
    "i16": "int16", "u16": "uint16", "i32": "int32", "u32": "uint32", "i64": "int64", "u64": "uint64", "bool": "bool",
}  # fmt: skip
DENSE = (Kind.CONTRACTION.value, Kind.WINDOW.value)


@dataclass(frozen=True)
class KernelNote:
    """What is to be said of one call: what it computes, and its work. Holds no node, so that weights can be let go.

    `nodes` are names and operations of the model's nodes; `reads` the operations that make the operands; `choices` what
    was decided when its group was lowered (the same for all calls of one group).
    """

    title: str
    kind: str
    nodes: tuple[tuple[str, str], ...]
    reads: tuple[str, ...]
    symbol: str
    flop: int
    bytes_in: int
    bytes_out: int
    bytes_weights: int
    scratch: int
    shares: int
    choices: tuple[Choice, ...] = ()
    work: tuple[int, ...] = ()  # of each node (`plan.work`)


@dataclass
class Plan:
    """A program, the C text of its kernels, and the constants of this set of shapes (extra inputs of the program)."""

    program: Program
    sources: dict[str, str]
    constants: list[np.ndarray]
    notes: list[KernelNote]
    log: Log


@dataclass
class Planner:
    """One run of planning; use `plan`."""

    model: ir.Model
    target: Target
    threads: int
    weights: WeightStore
    array_of: Callable[[ir.Value], np.ndarray | None]
    is_weight: Callable[[ir.Value], bool]
    open_extents: bool
    log: Log
    chooser: Chooser = field(default_factory=Chooser)
    map: StorageMap = field(default_factory=StorageMap)
    homes: Homes = field(default_factory=Homes)
    roots: list[Root] = field(default_factory=list)
    calls: list[tuple[Group, Lowered]] = field(default_factory=list)
    choices: list[tuple[Choice, ...]] = field(default_factory=list)  # for each call
    apart: list[Choice] = field(default_factory=list)  # not to chain the convolutions that are visited
    leaving: dict[ir.Value, Storage] = field(default_factory=dict)  # outputs that are made elsewhere, and where they go
    left: set[ir.Value] = field(default_factory=set)  # those of them that are there
    constants: list[np.ndarray] = field(default_factory=list)
    constant_at: dict[tuple[str, str], int] = field(default_factory=dict)

    def run(self) -> Plan:
        graph = self.model.graph
        groups = fuse(self.model, self.log)
        for i, value in enumerate(graph.inputs):
            self.map.storages[value] = Storage(Root(Space.INPUT, 0, index=i), row_major(shape_of(value)))
        outputs = {v: i for i, v in reversed(list(enumerate(graph.outputs)))}
        self.homes = find_homes(groups, outputs)
        for value in graph.inputs:
            self.lay_input(value)
        chains = find_chains(groups, self.target.l2_bytes)
        for group in groups:
            chain = chains.get(group, [group])
            if len(chain) == 1:
                self.visit(group, outputs)
            elif group is chain[-1]:  # by then all that they read is there
                self.visit_chain(chain, outputs)
        self.copy_outputs()
        return self.finish()

    # -- groups -----------------------------------------------------------------------------------------------
    def visit(self, group: Group, outputs: dict[ir.Value, int]) -> None:
        leaves = any(value in outputs for value in group.outputs)
        source = group.anchor.inputs[0] if group.anchor.inputs else None
        gone = source in self.homes.exits and self.map.storages[source].root.space is Space.OUTPUT
        if gone and self.alias(group):
            return
        if not leaves and (self.alias(group) or self.window(group)):
            return
        for value in group.outputs:
            self.place(group, value, outputs)
        if self.join(group):
            self.leave(group)
            return
        if all(elements(shape_of(v)) == 0 for v in group.outputs):
            return
        self.emit(group)

    def visit_chain(self, groups: list[Group], outputs: dict[ir.Value, int]) -> None:
        """Convolutions that follow each other: as few kernels as can be, each of as many as go together.

        That they are not one kernel was a choice behind each of their calls.
        """
        first, self.apart = len(self.calls), []
        while groups:
            count = next((n for n in range(len(groups), 1, -1) if self.chain(groups[:n], outputs)), 1)
            if count == 1:
                self.visit(groups[0], outputs)
            groups = groups[count:]
        self.choices[first:] = [(*self.apart, *own) for own in self.choices[first:]]

    def chain(self, groups: list[Group], outputs: dict[ir.Value, int]) -> bool:
        """One kernel for all of `groups`, band by band, if they allow it and it should take less time than apart."""
        group, where = joined(groups), groups[0].anchor.name or groups[0].anchor.op_type
        for value in group.outputs:
            self.place(group, value, outputs)
        before = len(self.chooser.choices)
        made = make_chain(self.task(group), groups)
        if isinstance(made, Chain) and made.chosen():
            self.emit(group, lambda task: made.lower(), before)
            return True
        if isinstance(made, Chain):
            self.apart.append(self.chooser.choices[-1])
        self.log.refused("chain", where, made if isinstance(made, str) else self.chooser.choices[-1].reason)
        return False

    def task(self, group: Group) -> Task:
        return Task(group, self.target, self.strides_of, self.array_of, self.open_extents, self.threads, self.chooser)

    def emit(self, group: Group, way: Callable[[Task], list[Lowered]] = lower, before: int | None = None) -> None:
        """The calls of a group; which way its kernels were made is on record (since choice number `before`)."""
        before = len(self.chooser.choices) if before is None else before
        self.lay_constants(group)
        lowered = way(self.task(group))
        choices = tuple(self.chooser.choices[before:])
        for choice in choices:
            self.log.made("schedule", group.anchor.name or group.anchor.op_type, choice.reason)
        self.calls += [(group, one) for one in lowered]
        self.choices += [choices] * len(lowered)
        self.leave(group)

    def place(self, group: Group, value: ir.Value, outputs: dict[ir.Value, int]) -> None:
        """Give a result its memory: its own, or a part of what a later node would copy it to."""
        left = self.homes.exits.get(value)
        if value in self.map.storages:  # a host has its memory since the first of its parts was made
            return
        if value in outputs or left is not None:
            self.place_outside(group, value, outputs[value] if left is None else left.index, left)
        elif value in self.homes.homes:
            host = self.homes.homes[value].host
            if host not in self.map.storages:
                self.place(group, host, outputs)
            self.map.storages[value] = self.homes.part(value, self.map.storages[host])
        else:
            self.map.place(value, self.arena(byte_size(value)), self.map.order_for(group, value))

    def place_outside(self, group: Group, value: ir.Value, index: int, left: Exit | None) -> None:
        """The memory of a graph output, or memory from where it is copied there if that takes less time."""
        shape = shape_of(value)
        out = Storage(Root(Space.OUTPUT, 0, index), row_major(shape) if left is None else in_order(shape, left.order))
        order = self.map.order_for(group, value)
        if group.kind == Kind.VIEW.value or not leaves_turned(value, in_order(shape, order), out.strides):
            self.map.storages[value] = out
            return
        self.map.place(value, self.arena(byte_size(value)), order)
        if left is None:  # else the view that shows it there will be a copy
            self.leaving[value] = out

    def join(self, group: Group) -> bool:
        """Copy to the memory of a joint result what does not lie there yet; False where nothing does."""
        axis = joined_axis(group)
        if axis is None:
            return False
        whole, start = group.outputs[0], 0
        place = self.map.storages[whole]
        missing: list[tuple[ir.Value, Storage]] = []
        operands = [v for v in group.anchor.inputs if v is not None]
        for value in operands:
            part = Storage(place.root, place.strides, place.offset + start * place.strides[axis])
            if elements(shape_of(value)) and self.storage(value) != part:
                missing.append((value, part))
            start += shape_of(value)[axis]
        if len(missing) == len(operands):
            return False
        where = group.anchor.name or group.anchor.op_type
        self.log.made("join in place", where, f"{len(operands) - len(missing)} of {len(operands)} operands lie there")
        for value, part in missing:
            self.copy(value, part, f"copy {value.name} into {where}")
        return True

    def copy(self, value: ir.Value, place: Storage, name: str) -> None:
        """One more kernel, that copies a value to `place`."""
        result = ir.Value(name=name, type=value.type, shape=value.shape)
        self.map.storages[result] = place
        node = ir.Node("", "Identity", [value], outputs=[result], name=name)
        group = Group(len(self.calls), Kind.VIEW.value, node, [node], [value], [result])
        self.emit(group)

    def leave(self, group: Group) -> None:
        """Copy to graph outputs what was made elsewhere."""
        for value in group.outputs:
            if value in self.leaving:
                place = self.leaving.pop(value)
                self.copy(value, place, f"turn to output {place.root.index}")
                self.left.add(value)

    def lay_input(self, value: ir.Value) -> None:
        """Copy an input to the order in which what reads it wants it, if that is another one."""
        order = order_of_input(value, self.open_extents)
        if order is None:
            return
        came = ir.Value(name=value.name, type=value.type, shape=value.shape)
        self.map.storages[came] = self.map.storages[value]
        self.map.place(value, self.arena(byte_size(value)), order)
        self.copy(came, self.map.storages[value], f"turn input {value.name}")

    def alias(self, group: Group) -> bool:
        """Give a view's result a place in its operand's memory; False if the strides do not allow it."""
        node = group.anchor
        source, result = node.inputs[0], group.outputs[0]
        definition = find(node.domain, node.op_type)
        if group.kind != Kind.VIEW.value or source is None or definition is None or definition.alias is None:
            return False
        place = self.storage(source)
        site = Task(group, self.target, self.strides_of, self.array_of).site(node)
        made = definition.alias(site, shape_of(source), place.strides)
        if made is None:
            self.log.refused("view", node.name or node.op_type, "the order of its operand's memory needs a copy")
            return False
        self.map.storages[result] = Storage(place.root, made.strides, place.offset + made.offset)
        self.log.made("view", node.name or node.op_type, "same memory under other dimensions")
        return True

    def window(self, group: Group) -> bool:
        """Let a movement's results lie where they are, as parts of its operand; False if they do not."""
        node = group.anchor
        source, definition = node.inputs[0] if node.inputs else None, find(node.domain, node.op_type)
        if len(group.nodes) > 1 or source is None or definition is None or definition.windows is None:
            return False
        place = self.storage(source)
        parts = definition.windows(site_of(node), shape_of(source), place.strides)
        if parts is None:
            return False
        for value, part in zip(node.outputs, parts, strict=True):
            self.map.storages[value] = Storage(place.root, part.strides, place.offset + part.offset)
        self.log.made("view", node.name or node.op_type, "part of its operand's memory")
        return True

    def copy_outputs(self) -> None:
        """Graph outputs that no kernel writes: inputs, constants, and one value that is several outputs."""
        seen: set[ir.Value] = set()
        for i, value in enumerate(self.model.graph.outputs):
            place = self.storage(value)
            there = value in self.left or (place.root.space is Space.OUTPUT and place.root.index == i)
            if there and value not in seen:
                seen.add(value)
                continue
            if elements(shape_of(value)):
                root = Root(Space.OUTPUT, 0, index=i)
                self.copy(value, Storage(root, row_major(shape_of(value))), f"copy to output {i}")

    # -- memory -----------------------------------------------------------------------------------------------
    def arena(self, size: int) -> Root:
        root = Root(Space.ARENA, size)
        self.roots.append(root)
        return root

    def storage(self, value: ir.Value) -> Storage:
        """The place of a value; a constant gets one when it is first asked for."""
        if value not in self.map.storages:
            root = self.constant(value, "as it is", lambda: self.array(value))
            self.map.storages[value] = Storage(root, row_major(shape_of(value)))
        return self.map.storages[value]

    def array(self, value: ir.Value) -> np.ndarray:
        array = self.array_of(value)
        if array is None:
            raise ValueError(f"value {value.name!r} is neither computed nor constant")
        return array

    def lay_constants(self, group: Group) -> None:
        """Constants that elementwise work reads get the order of its result, so that vectors stay vectors."""
        place = self.map.storages[group.outputs[0]]
        for value in group.inputs:
            if value in self.map.storages:
                continue
            order = order_of_constant(value, group, place.strides)
            if order is not None:
                root = self.constant(value, f"in order {order}", partial(self.turned, value, order))
                self.map.place(value, root, order)

    def turned(self, value: ir.Value, order: tuple[int, ...]) -> np.ndarray:
        return self.array(value).transpose(order)

    def strides_of(self, value: ir.Value) -> tuple[int, ...]:
        return self.storage(value).strides

    def constant(self, value: ir.Value, key: str, make: Callable[[], np.ndarray]) -> Root:
        """Memory for a constant in some order of elements: the model's weights are shared by the plans of all shapes;
        what shape inference has folded for these shapes belongs to this plan, whatever it is called."""
        name = value.name or str(id(value))
        if self.is_weight(value):
            offset = self.weights.offset(name, key, make)
            if offset is not None:
                return Root(Space.WEIGHTS, 0, offset=offset)
        if (name, key) not in self.constant_at:
            self.constant_at[name, key] = len(self.constants)
            self.constants.append(np.ascontiguousarray(make()))
        return Root(Space.INPUT, 0, index=len(self.model.graph.inputs) + self.constant_at[name, key])

    def root_of(self, operand: Operand, temps: dict[int, Root]) -> tuple[Root, int]:
        """The root of an operand and the byte offset within it."""
        if isinstance(operand, Pack):
            return self.constant(operand.value, operand.key, lambda: operand.make(self.array(operand.value))), 0
        if isinstance(operand, Temp):
            if id(operand) not in temps:
                temps[id(operand)] = self.arena(operand.bytes)
            return temps[id(operand)], 0
        place = self.storage(operand)
        return place.root, place.offset * SIZES[dtype_of(operand)]

    # -- program ----------------------------------------------------------------------------------------------
    def finish(self) -> Plan:
        temps: dict[int, Root] = {}
        located = [[self.root_of(o, temps) for o in lowered.operands] for _, lowered in self.calls]
        for number, places in enumerate(located):
            for root, _ in places:
                root.first = number if root.first < 0 else root.first
                root.last = number
        taken = take_over([lowered for _, lowered in self.calls], located, self.storage, self.log)
        located = [[(taken.get(root, root), extra) for root, extra in places] for places in located]
        arena = assign_offsets([r for r in self.roots if r.first >= 0 and r not in taken])
        kernels: dict[str, int] = {}
        sources: dict[str, str] = {}
        calls: list[Call] = []
        notes: list[KernelNote] = []
        for (group, lowered), choices, places in zip(self.calls, self.choices, located, strict=True):
            printed = print_kernel(lowered.kernel, aliased=bool(lowered.in_place), lanes=self.target.lanes)
            sources[printed.symbol] = printed.text
            number = kernels.setdefault(printed.symbol, len(kernels))
            refs = tuple(Ref(r.space, r.offset + extra, r.index) for r, extra in places)
            scratch = max(lowered.scratch, lowered.kernel.scratch_bytes)
            dense, moved = group.kind in DENSE, self.moved(lowered)
            cycles = call_cycles(self.target, lowered.flop // lowered.turns, sum(moved.values()), dense)
            shares = shares_of(cycles, min(self.threads, lowered.max_shares), lowered.units)
            calls.append(Call(number, refs, printed.args, lowered.units, shares, scratch, lowered.turns))
            notes.append(self.note(group, lowered, printed.symbol, moved, scratch, shares, choices))
        program = Program(
            inputs=tuple(port(v) for v in self.model.graph.inputs)
            + tuple(Port(f"constant {i}", str(a.dtype), a.shape) for i, a in enumerate(self.constants)),
            outputs=tuple(port(v) for v in self.model.graph.outputs),
            kernels=tuple(kernels),
            calls=tuple(calls),
            arena_bytes=arena,
            scratch_bytes=max((c.scratch for c in calls), default=0),
            threads=self.threads,
        )
        return Plan(program, sources, self.constants, notes, self.log)

    def moved(self, lowered: Lowered) -> dict[str, int]:
        """Bytes of the operands of a call."""
        moved = {"in": 0, "out": 0, "weights": 0}
        for operand, buffer in zip(lowered.operands, lowered.kernel.buffers, strict=True):
            if isinstance(operand, Temp):
                moved["out" if buffer.role == "out" else "in"] += operand.bytes
                continue
            value = operand.value if isinstance(operand, Pack) else operand
            constant = isinstance(operand, Pack) or self.storage(value).root.space is Space.WEIGHTS
            moved["out" if buffer.role == "out" else "weights" if constant else "in"] += byte_size(value)
        return moved

    def note(
        self,
        group: Group,
        lowered: Lowered,
        symbol: str,
        moved: Mapping[str, int],
        scratch: int,
        shares: int,
        choices: tuple[Choice, ...],
    ) -> KernelNote:
        nodes = tuple((n.name or "", n.op_type) for n in group.nodes)
        producers = [v.producer() for v in group.inputs if v.const_value is None]
        reads = tuple("input" if n is None else n.op_type for n in producers)
        work = work_of_nodes(group, lowered.flop, any(v in lowered.operands for v in group.outputs))
        return KernelNote(
            group.title, group.kind, nodes, reads, symbol, lowered.flop,
            moved["in"], moved["out"], moved["weights"], scratch, shares, choices, work,
        )  # fmt: skip


def port(value: ir.Value) -> Port:
    return Port(value.name or "", NUMPY[dtype_of(value)], shape_of(value))


def plan(
    model: ir.Model,
    target: Target,
    threads: int,
    weights: WeightStore,
    array_of: Callable[[ir.Value], np.ndarray | None],
    is_weight: Callable[[ir.Value], bool] = lambda value: True,
    *,
    open_extents: bool = False,
    log: Log | None = None,
    measured: Mapping[str, str] | None = None,
    error_limit: float | None = None,
) -> Plan:
    """Plan a specialised model (every value has a static shape).

    `array_of` gives the constant behind a value, or None; `is_weight` tells which constants are the model's own.
    With `open_extents` no decision depends on extents that weights do not fix, so that a plan for other input shapes
    calls the same kernels. `measured` names the best way to make a kernel where it was measured (`Chooser`).
    `error_limit` is the relative error that another arithmetic may have (None: ERROR_LIMIT).
    """
    chooser = Chooser(measured or {}, error_limit=ERROR_LIMIT if error_limit is None else error_limit)
    made = Planner(
        model, target, threads, weights, array_of, is_weight, open_extents, log or Log(), chooser
    )
    return made.run()
