"""What was made of a model? Reads a session's plan into the plain data that reports print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fusewright.errors import ShapeError
from fusewright.graph.fates import fates
from fusewright.plan.planner import KernelNote, Plan
from fusewright.report.description import (
    AbsentNode,
    Decision,
    Description,
    KernelInfo,
    MemoryInfo,
    NodeInfo,
    PortInfo,
)
from fusewright.session import Port, Ready, Session


def describe(
    session: Session,
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, np.ndarray] | None = None,
) -> Description:
    """The description for these input shapes; without them for the first set that was planned, if any.

    `values` are the arrays of a call, for models that compute a shape from an input's elements.

    Raises ShapeError when an input without known shape is left out.
    """
    ready: Ready | None = None
    if shapes or not session.open:
        bound = {p.name: (shapes or {}).get(p.name, p.shape) for p in session.inputs}
        unbound = [n for n, s in bound.items() if any(not isinstance(d, int) for d in s)]
        if unbound:
            name = unbound[0]
            raise ShapeError(f"input {name!r} has open dimensions; give its shape (--shape {name}=1x3x224x224)")
        ready = session.prepare({n: [int(d) for d in s if isinstance(d, int)] for n, s in bound.items()}, values)
    elif session.programs:
        ready = session.programs[0]
    if ready is not None and ready.description is not None:
        return ready.description
    return Description(
        model=session.name,
        target=session.target.name,
        threads=session.threads,
        inputs=_ports(session.inputs),
        outputs=_ports(session.outputs),
        kernels=() if ready is None or ready.plan is None else _kernels(ready.plan, session.target.lanes),
        memory=None if ready is None else _memory(session, ready),
        decisions=() if ready is None or ready.plan is None else _decisions(ready.plan),
        shapes=None if ready is None else {p.name: p.shape for p in ready.program.inputs[: len(session.inputs)]},
        absent=() if ready is None or ready.plan is None else _absent(ready, ready.plan),
    )


def _ports(ports: Sequence[Port]) -> tuple[PortInfo, ...]:
    return tuple(PortInfo(p.name, p.dtype, p.shape) for p in ports)


def _kernels(plan: Plan, lanes: int) -> tuple[KernelInfo, ...]:
    """One row for each call: two calls of one kernel do different work."""
    heaviest: dict[int, int] = {}  # of the calls of one group, which share their choices, the one that these are about
    for i, note in enumerate(plan.notes):
        first = heaviest.setdefault(id(note.choices), i)
        if note.choices and note.flop > plan.notes[first].flop:
            heaviest[id(note.choices)] = i
    return tuple(_kernel(i, note, lanes, i == heaviest[id(note.choices)]) for i, note in enumerate(plan.notes))


def _kernel(number: int, note: KernelNote, lanes: int, chosen_for: bool) -> KernelInfo:
    nodes = tuple(NodeInfo(name, op_type) for name, op_type in note.nodes)
    choices = note.choices if chosen_for else ()
    return KernelInfo(
        index=number,
        title=note.title,
        symbol=note.symbol,
        nodes=nodes,
        flop=note.flop,
        bytes_in=note.bytes_in,
        bytes_out=note.bytes_out,
        bytes_weights=note.bytes_weights,
        scratch=note.scratch,
        shares=note.shares,
        work=note.work,
        way=", ".join(c.chosen.name for c in choices),
        cycles=_predicted(note, lanes) if choices else None,
    )


def _predicted(note: KernelNote, lanes: int) -> float | None:
    """The cycles of the first choice, which was made for the whole group. That of a tile may be about one strip of
    rows: then it promises more than a multiply-add for each lane and cycle, which tiles never do."""
    first = note.choices[0]
    in_part = first.key.startswith("tile ") and 2 * lanes * first.chosen.cycles < note.flop
    return None if in_part else first.chosen.cycles


def _absent(ready: Ready, plan: Plan) -> tuple[AbsentNode, ...]:
    computed = {name for note in plan.notes for name, _ in note.nodes}
    return tuple(AbsentNode(*fate) for fate in fates(ready.origins, computed, plan.log.decisions))


def _memory(session: Session, ready: Ready) -> MemoryInfo:
    weights = ready.weights_bytes
    arena = ready.program.arena_bytes
    return MemoryInfo(arena, weights, weights + arena + ready.program.scratch_bytes * ready.program.threads)


def _decisions(plan: Plan) -> tuple[Decision, ...]:
    return tuple(Decision(d.made, d.what, d.where, d.reason) for d in plan.log.decisions)
