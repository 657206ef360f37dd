"""Profile -> the tables that `fusewright profile` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from fusewright.profiling import KernelTime, NodeTime, Profile, Rates
from fusewright.report.tables import amount, show, size, table

_UNDISTURBED = 0.9  # the sum of the kernels is at least so much of a run, where nobody else wants the processors
_RATES = (">GFLOP/s", ">of peak", ">GB/s", ">of memory", "limit")


def show_profile(profile: Profile, top: int) -> None:
    """The machine's roofs, the `top` kernels and nodes by time, and whether the sum is right."""
    p = profile
    shapes = ", ".join(f"{n}={'x'.join(map(str, s)) or 'scalar'}" for n, s in p.shapes.items())
    threads = f"{p.threads} thread{'s' * (p.threads != 1)}"
    show(f"{p.model} ({shapes}), target {p.target}, {threads}, {p.runs} runs in {p.rounds} rounds")
    show("on " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in p.machine.items()))
    show(
        f"roofs: {p.roofs.gflops:.0f} GFLOP/s, memory {p.roofs.memory:.1f} GB/s, cache {p.roofs.cache:.0f} GB/s, "
        f"clock {p.roofs.clock:.2f} GHz"
    )
    show(_kernels(p.kernels, top))
    show(_nodes(p.nodes, top))
    _show_absent(p.nodes)
    limits = {k.rates.limit for k in p.kernels}
    parts = [(sum(k.share for k in p.kernels if k.rates.limit == limit), limit) for limit in limits]
    show("limits: " + ", ".join(f"{limit} {100 * share:.0f} %" for share, limit in sorted(parts, reverse=True)))
    show(
        f"a run: {p.run_ms:.3f} ms ({p.rates.gflops:.1f} GFLOP/s, {100 * p.rates.of_peak:.0f} % of peak); "
        f"sum of its {len(p.kernels)} kernels: {p.kernels_ms:.3f} ms ({p.kernels_ms - p.run_ms:+.3f}); "
        f"profiling adds {p.cost_ms:+.3f} ms; a call from Python: {p.call_ms:.3f} ms"
    )
    if p.kernels_ms < _UNDISTURBED * p.run_ms:
        show("other programs held up these runs: half of the runs of each kernel were faster than a whole run could be")


def _kernels(kernels: Sequence[KernelTime], top: int) -> Table:
    columns = (">#", "kernel", ">ms", ">share", ">FLOP", ">bytes", *_RATES, ">threads", ">busy", "way", ">predicted")
    shown = sorted(kernels, key=lambda k: -k.ms)[:top]
    rows = [
        (
            k.index,
            k.title,
            f"{k.ms:.3f}",
            _percent(k.share, 1),
            amount(k.flop, ""),
            size(k.bytes),
            *_rates(k.rates),
            k.threads,
            "" if k.busy is None else _percent(k.busy),
            k.way,
            "" if k.predicted_ms is None else f"{k.predicted_ms:.3f}",
        )
        for k in shown
    ]
    return table(columns, rows, title=_title("kernels", len(shown), len(kernels)))


def _nodes(nodes: Sequence[NodeTime], top: int) -> Table:
    computed = [n for n in nodes if n.kernels]
    shown = sorted(computed, key=lambda n: -n.ms)[:top]
    rows = [
        (
            n.op_type,
            n.name,
            f"{n.ms:.3f}",
            _percent(n.share, 1),
            amount(n.flop, ""),
            size(n.bytes),
            *(("",) * len(_RATES) if n.rates is None else _rates(n.rates)),
            ", ".join(map(str, n.kernels)),
        )
        for n in shown
    ]
    columns = ("node", "name", ">ms", ">share", ">FLOP", ">bytes", *_RATES, "kernels")
    return table(columns, rows, title=_title("nodes", len(shown), len(computed)))


def _show_absent(nodes: Sequence[NodeTime]) -> None:
    """The nodes that take no time, together where the reason is the same."""
    groups: dict[tuple[str, str], int] = {}
    for n in nodes:
        if not n.kernels:
            groups[n.op_type, n.reason] = groups.get((n.op_type, n.reason), 0) + 1
    if groups:
        rows = [(count, op, why) for (op, why), count in sorted(groups.items(), key=lambda g: (-g[1], g[0]))]
        show(table((">times", "node", "takes no time, because"), rows))


def _rates(r: Rates) -> tuple[str, ...]:
    return (f"{r.gflops:.1f}", _percent(r.of_peak), f"{r.gbytes:.1f}", _percent(r.of_memory), r.limit)


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _title(what: str, shown: int, there: int) -> str:
    return f"{what} by time" if shown == there else f"{what} by time: {shown} of {there}, --top shows more"
