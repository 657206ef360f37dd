"""A compiled file, a model and its opponents -> BenchResult. The one function that `fusewright bench` calls."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from fusewright.bench.machine import machine_facts
from fusewright.bench.peak import build_peak
from fusewright.bench.process import Engine, EngineError
from fusewright.bench.result import BenchResult, engine_result, ratios, spread
from fusewright.bench.rounds import alternate
from fusewright.errors import UserError

OPPONENTS = ("onnxruntime", "openvino")
Progress = Callable[[str, int, int], None]


def bench(
    *,
    model: Path | None,
    artifact: Path | None,
    feed: Mapping[str, np.ndarray],
    dims: Mapping[str, int],
    against: Sequence[str],
    threads: int,
    seconds: float,
    flop: int | None,
    compile_seconds: float | None = None,
    progress: Progress | None = None,
) -> BenchResult:
    """Measures the compiled `artifact` (if given) and the opponents on `model`, in alternation.

    `dims` are the values of open dimensions by name. An opponent that cannot run the model is listed among the
    failures; raises UserError if one is unknown or not installed, or if none is left to measure.
    """
    check_opponents(against, model)
    names = (["fusewright"] if artifact is not None else []) + list(against)
    facts = machine_facts()
    with tempfile.TemporaryDirectory(prefix="fusewright-bench-") as folder, ExitStack() as stack:
        loop = build_peak(Path(folder))
        job = {
            "model": str(model),
            "artifact": str(artifact),
            "threads": threads,
            "dims": dict(dims),
            **_store(feed, Path(folder)),
        }
        peak_job = {"library": str(loop.library), "flop_per_round": loop.flop_per_round, "threads": threads}
        engines, failures = [], {}
        for done, name in enumerate([*names, "peak"]):
            if progress:
                progress(f"loading {name}", done, len(names) + 1)
            engine = stack.enter_context(Engine(name, peak_job if name == "peak" else job, Path(folder)))
            try:
                engine.load()
                engines.append(engine)
            except EngineError as error:
                if error.missing == name:
                    raise UserError(_not_installed(name)) from None
                if name in ("fusewright", "peak"):
                    raise
                failures[name] = str(error)
                engine.close()
        measured = [e.name for e in engines if e.name != "peak"]
        if not measured:
            raise UserError("no engine can run this model:\n" + "\n".join(failures.values()))
        rounds = alternate(engines, seconds, progress)
        loop_flop = engines[-1].facts["flop"]
        peaks = [loop_flop / r["peak"].median for r in rounds]
        results = tuple(
            engine_result(e.name, e.facts, rounds, flop, peaks, compile_seconds if e.name == "fusewright" else None)
            for e in engines[:-1]
        )
    return BenchResult(
        model=str(model or artifact),
        shapes={name: array.shape for name, array in feed.items()},
        threads=threads,
        rounds=len(rounds),
        seconds=seconds,
        flop=flop,
        peak_gflops=spread(peaks),
        engines=results,
        ratios=ratios(measured, rounds),
        failures=failures,
        machine=facts,
    )


def check_opponents(against: Sequence[str], model: Path | None) -> None:
    """Raises UserError for names that are no engines, and for opponents without a model to run."""
    unknown = [name for name in against if name not in OPPONENTS]
    if unknown:
        raise UserError(f"--against {','.join(unknown)}: expected some of {', '.join(OPPONENTS)}, or none")
    if against and model is None:
        raise UserError(
            "opponents cannot run a compiled file: give the model instead, or measure it alone with --against none"
        )


def _not_installed(name: str) -> str:
    return (
        f"{name} is not installed: pip install 'fusewright[bench]' brings all opponents; or leave it out with --against"
    )


def _store(feed: Mapping[str, np.ndarray], folder: Path) -> dict[str, Any]:
    """Writes the inputs where the workers find them; a file cannot name bfloat16, so dtypes go separately."""
    path = folder / "inputs.npz"
    arrays: dict[str, Any] = {}
    for index, array in enumerate(feed.values()):
        plain = array.dtype.kind in "biufc"
        arrays[f"a{index}"] = array if plain else array.view(f"u{array.itemsize}")
    np.savez(path, **arrays)
    return {"arrays": str(path), "ports": [(name, array.dtype.name) for name, array in feed.items()]}
