"""CheckResult -> the table that `fusewright check` prints."""

from __future__ import annotations

from fusewright.check import CheckResult
from fusewright.report.tables import show, table


def show_check(result: CheckResult) -> None:
    """One row an output and case, then the answer."""
    rows = []
    for case in result.cases:
        for output in case.outputs:
            shape = "x".join(str(e) for e in output.shape) or "scalar"
            verdict = "ok" if output.ok else output.fault
            figures = (f"{output.magnitude:.4g}", f"{output.error:.3g}", f"{output.tolerance:.3g}")
            rows.append((case.case, output.name, f"{output.dtype} {shape}", *figures, verdict))
    show(table(("inputs", "output", "type", ">magnitude", ">error", ">allowed", "result"), rows))
    wrong = sum(not output.ok for case in result.cases for output in case.outputs)
    if result.ok:
        show(f"right: all {len(rows)} outputs agree with {result.reference}")
    else:
        show(f"WRONG: {wrong} of {len(rows)} outputs differ from {result.reference}")
