"""Description -> what `fusewright inspect` prints: ports, kernels in order, memory, and the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from fusewright.report.description import Decision, Description, KernelInfo, PortInfo
from fusewright.report.tables import amount, show, size, table

_EXAMPLES = 3  # places named for each group of equal decisions; --reasons names all
_NODES_SHOWN = 6


def show_description(description: Description, all_reasons: bool = False) -> None:
    """Prints the whole of it."""
    d = description
    show(f"{d.model}: target {d.target}, {d.threads} thread{'s' * (d.threads != 1)}")
    show(_ports("inputs", d.inputs), _ports("outputs", d.outputs))
    if d.memory is None:
        show("kernels and memory depend on open dimensions: bind them with --shape to see them\n")
    else:
        if d.shapes:
            bound = ", ".join(f"{name}={_shape(s)}" for name, s in d.shapes.items())
            show(f"for the shapes {bound}")
        show(_kernels(d.kernels))
        calls = sum(k.calls for k in d.kernels)
        work = sum(k.flop for k in d.kernels)
        show(f"{len(d.kernels)} kernels, {calls} calls, {amount(work, 'FLOP')} a run")
        show(f"memory: weights {size(d.memory.weights)}, arena {size(d.memory.arena)}, peak {size(d.memory.peak)}\n")
    show_decisions(d.decisions, all_reasons)


def show_decisions(decisions: Sequence[Decision], all_reasons: bool = False) -> None:
    """Made and refused, equal ones together, most frequent first."""
    for made, title in ((True, "made"), (False, "refused")):
        groups: dict[tuple[str, str], list[str]] = {}
        for decision in decisions:
            if decision.made == made:
                groups.setdefault((decision.what, decision.reason), []).append(decision.where)
        if groups:
            ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
            rows = ((len(where), what, reason, _places(where, all_reasons)) for (what, reason), where in ordered)
            show(table((">times", "what", "reason", "where"), rows, title=title))


def _places(where: Sequence[str], all_of_them: bool) -> str:
    shown = where if all_of_them else where[:_EXAMPLES]
    return ", ".join(shown) + (f", and {len(where) - len(shown)} more" if len(shown) < len(where) else "")


def _ports(title: str, ports: Iterable[PortInfo]) -> Table:
    return table((title, "dtype", "shape"), ((p.name, p.dtype, _shape(p.shape)) for p in ports))


def _shape(shape: Sequence[int | str | None]) -> str:
    return "x".join("?" if e is None else str(e) for e in shape) or "scalar"


def _kernels(kernels: Sequence[KernelInfo]) -> Table:
    total = sum(k.flop for k in kernels)
    columns = (">#", "kernel", ">calls", ">FLOP", ">share", ">in", ">out", ">weights", ">threads", "computes")
    rows = [
        (
            k.index,
            k.title,
            k.calls,
            amount(k.flop, ""),
            f"{100 * k.flop / total:.1f} %" if total else "",
            size(k.bytes_in),
            size(k.bytes_out),
            size(k.bytes_weights),
            k.shares,
            _nodes(k),
        )
        for k in kernels
    ]
    return table(columns, rows)


def _nodes(kernel: KernelInfo) -> str:
    """The operations, with the name of the first node that has one, by which it is found in the model."""
    ops = [n.op_type for n in kernel.nodes]
    text = "+".join(ops[:_NODES_SHOWN]) + (f"+{len(ops) - _NODES_SHOWN} more" if len(ops) > _NODES_SHOWN else "")
    name = next((n.name for n in kernel.nodes if n.name), "")
    return f"{text} ({name})" if name else text
