"""Profile -> a trace that Perfetto (ui.perfetto.dev) and chrome://tracing open: one track for each thread.

The format is Chrome's trace events: complete events ("X") with start and length in microseconds. It shows the run that
stands for all; gaps between events of a thread are its waiting for the others, or for work.
"""

from __future__ import annotations

import json
from typing import Any

from fusewright.profiling import KernelTime, Profile

_PROCESS = 1


def trace_text(profile: Profile) -> str:
    """The trace as JSON text."""
    threads = range(max((span.thread for span in profile.timeline), default=0) + 1)
    names = ["caller", *(f"worker {t}" for t in threads if t)]
    events = [_name("process_name", 0, f"{profile.model} ({profile.target})")]
    events += [_name("thread_name", t, names[t]) for t in threads]
    for span in profile.timeline:
        kernel = profile.kernels[span.kernel]
        events.append(
            {
                "ph": "X",
                "pid": _PROCESS,
                "tid": span.thread,
                "name": kernel.title,
                "cat": kernel.rates.limit,
                "ts": span.start_us,
                "dur": span.us,
                "args": _facts(kernel),
            }
        )
    about = {"model": profile.model, "threads": profile.threads, "run_ms": profile.run_ms, **profile.machine}
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms", "otherData": about})


def _name(what: str, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "pid": _PROCESS, "tid": thread, "name": what, "args": {"name": name}}


def _facts(kernel: KernelTime) -> dict[str, Any]:
    """What Perfetto shows for the event that is clicked on."""
    return {
        "kernel": kernel.index,
        "symbol": kernel.symbol,
        "nodes": ", ".join(f"{op} {name}".strip() for name, op in zip(kernel.nodes, kernel.ops, strict=True)),
        "flop": kernel.flop,
        "bytes": kernel.bytes,
        "choice": kernel.way,
        "limit": kernel.rates.limit,
        "median_ms": kernel.ms,
        "GFLOP/s": round(kernel.rates.gflops, 2),
        "GB/s": round(kernel.rates.gbytes, 2),
    }
