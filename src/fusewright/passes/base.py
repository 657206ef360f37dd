"""What is a pass, and how is a list of them run?

A pass is a frozen dataclass whose fields are its options. It changes the model in place and says whether:

    @dataclass(frozen=True)
    class RemoveIdentity(Pass):
        \"\"\"y = Identity(x); use(y) -> use(x)\"\"\"
        keep_names: bool = True

        def run(self, model: ir.Model, log: Log) -> bool: ...

The model is valid ONNX before and after. A pass never renames or removes a graph input or output, and never
writes into a weight (weights are shared between copies of a model): it puts a new initializer in its place.
"""

from __future__ import annotations

import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from fusewright.graph.decisions import Log
from fusewright.graph.text import format_model
from fusewright.settings import settings


class Pass(ABC):
    """One rewrite of a graph; subclasses are frozen dataclasses."""

    @property
    def name(self) -> str:
        """The name in logs and dumps: the class name in kebab case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()

    @abstractmethod
    def run(self, model: ir.Model, log: Log) -> bool:
        """Rewrite `model` in place; True when anything changed."""


@dataclass(frozen=True)
class Repeat(Pass):
    """Runs a list of passes again and again until none changes anything (or `limit` rounds have passed)."""

    passes: tuple[Pass, ...]
    limit: int = 8

    def run(self, model: ir.Model, log: Log) -> bool:
        changed = False
        for _ in range(self.limit):
            if not run_passes(model, self.passes, log):
                break
            changed = True
        return changed


def run_passes(model: ir.Model, passes: Sequence[Pass], log: Log) -> bool:
    """Run `passes` in order on `model`, in place; True when any of them changed it.

    FUSEWRIGHT_DEBUG=1 prints names and times to stderr, 2 also the graph after each change, 3 also decisions.
    FUSEWRIGHT_DUMP=DIR writes NN-pass.onnx after each change.
    """
    changed_any = False
    for step in passes:
        if isinstance(step, Repeat):  # its members report for themselves
            changed_any |= step.run(model, log)
            continue
        seen = len(log.decisions)
        start = time.perf_counter()
        with log.within(step.name):
            changed = step.run(model, log)
        seconds = time.perf_counter() - start
        changed_any |= changed
        report_step(step.name, lambda: model, log, seen, seconds, changed)
    return changed_any


def report_step(
    name: str, model: Callable[[], ir.Model], log: Log, seen: int, seconds: float, changed: bool = True
) -> None:
    """Print and write what the settings ask for: `model()` is what the step has made, decisions count from `seen`."""
    debug, dump = settings().debug, settings().dump
    if debug >= 1 or (changed and dump is not None):
        made = model()
        if debug >= 1:
            line = f"{name:<28} {1e3 * seconds:8.1f} ms  {len(made.graph):5d} nodes"
            print(f"{line}  {'changed' if changed else '-'}", file=sys.stderr)
        if debug >= 3:
            for decision in log.decisions[seen:]:
                print(f"  {decision}", file=sys.stderr)
        if changed and debug >= 2:
            print(format_model(made), file=sys.stderr)
        if changed and dump is not None:
            _write(made, dump / f"{log.steps:02d}-{name}.onnx")
    log.steps += 1


def _write(model: ir.Model, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    outside = any(isinstance(v.const_value, ir.ExternalTensor) for v in model.graph.initializers.values())
    ir.save(model, path, external_data=f"{path.name}.data" if outside else None)
