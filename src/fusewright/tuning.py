"""Model in, measurements out: which ways of making its kernels are the fastest here, kept for later compilations."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.errors import InternalError, UserError
from fusewright.passes.pipeline import prepare
from fusewright.plan.weights import WeightStore, private_memory
from fusewright.planning import ModelPlanning
from fusewright.session import Ready, Session, numpy_dtype
from fusewright.settings import settings
from fusewright.target import Target, host
from fusewright.tune.database import Database, here, place, read_or_new, write
from fusewright.tune.search import Path as Choices
from fusewright.tune.tuner import Report, TuneResult, tune

SECONDS = 60.0


class Variant:
    """The model planned with some options, on one set of arrays: a `tune.tuner.Candidate`."""

    def __init__(self, session: Session, ready: Ready, arrays: Sequence[np.ndarray]) -> None:
        if ready.plan is None:
            raise InternalError("a session that was planned just now has no plan")
        self.paths: Sequence[Choices] = [note.choices for note in ready.plan.notes]
        ready.constants[:] = [_aligned(a) for a in ready.constants]
        self._executor = ready.executor
        self._inputs = [*arrays, *ready.constants]
        self._outputs = [np.empty(p.shape, numpy_dtype(p.dtype)) for p in ready.program.outputs]

    def run(self) -> None:
        self._executor.run(self._inputs, self._outputs)

    def profile(self) -> list[float]:
        return [nanoseconds / 1000 for nanoseconds in self._executor.profile(self._inputs, self._outputs)]


def _aligned(array: np.ndarray) -> np.ndarray:
    """The array in memory like that of weights, of which a variant's own constants are a part."""
    if array.nbytes == 0:
        return array
    memory = np.frombuffer(private_memory(array.nbytes), array.dtype, array.size).reshape(array.shape)
    memory[...] = array
    return memory


def tune_model(
    model: ir.Model,
    arrays: Mapping[str, np.ndarray],
    threads: int,
    target: Target | None = None,
    *,
    seconds: float = SECONDS,
    database: Path | None = None,
    report: Report = lambda stage, done, total: None,
) -> dict[str, Any]:
    """Measure the kernels of `model` on `arrays` (all its inputs), and add what was found to a database.

    `database` is the user's own (FUSEWRIGHT_TUNING) if it is not named. Returns what `describe_tuning` says.
    Raises UserError for a database that cannot be read or written, before anything is measured.
    """
    file = database or place()
    if file is None:
        raise UserError("FUSEWRIGHT_TUNING is off, so there is no database to write; name one with --database")
    target = target or host()
    found = Database({here(target, threads): {}})
    found.merge(read_or_new(file))
    write(file, found)  # whether this can be done at all shows before the work
    smaller = prepare(model)
    weights = WeightStore()  # one for all variants: what they pack alike is there once
    addresses: dict[str, int] = {}

    def make(options: Mapping[str, str]) -> Variant:
        gc.collect()  # the variant before, with what it packed
        planner = ModelPlanning(
            smaller, target, threads, weights=weights, addresses=addresses, measured=options,
            error_limit=settings().winograd,
        )  # fmt: skip
        session = Session(planner.inputs, planner.outputs, target, threads, planner=planner)
        given = [arrays[p.name] for p in session.inputs]
        ready = session.prepare({n: a.shape for n, a in arrays.items()}, arrays)
        return Variant(session, ready, given)

    result = tune(make, seconds, report)
    latest = read_or_new(file)  # another process may have written it since
    latest.merge(Database({here(target, threads): result.measured()}))
    write(file, latest)
    return describe_tuning(result, file, str(here(target, threads)))


def describe_tuning(result: TuneResult, file: Path, machine: str) -> dict[str, Any]:
    """All that there is to say: for each key its options, the cheapest by prediction first, as ratios to the default
    (`predicted`, `measured`) and in microseconds (null: not measured)."""
    kernels: dict[str, Any] = {}
    for key, row in result.measured().items():
        expected, took = row.predicted[row.default], row.microseconds.get(row.default)
        kernels[key] = {
            "best": row.best,
            "default": row.default,
            "options": [
                {
                    "name": name,
                    "cycles": cycles,
                    "predicted": cycles / expected if expected else 1.0,
                    "microseconds": row.microseconds.get(name),
                    "measured": row.microseconds[name] / took if took and name in row.microseconds else None,
                }
                for name, cycles in sorted(row.predicted.items(), key=lambda item: item[1])
            ],
        }
    return {
        "kernels": kernels,
        "model_microseconds": {"default": result.default_us, "tuned": result.tuned_us},
        "ratio": result.ratio,
        "variants": result.variants,
        "seconds": result.seconds,
        "stopped": result.stopped,
        "not_confirmed": result.reverted,
        "database": str(file),
        "machine": machine,
    }
