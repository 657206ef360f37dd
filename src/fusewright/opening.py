"""A compiled file becomes a session; without the half of the package that compiles, for it must start quickly."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

from fusewright.errors import ArtifactError
from fusewright.plan.program import Call, Program
from fusewright.plan.weights import Entry, WeightStore
from fusewright.report.description import description_from_json
from fusewright.runtime import artifact
from fusewright.runtime.executor import Executor
from fusewright.runtime.pool import pool
from fusewright.session import Port, Ready, Session
from fusewright.target import get


def load(path: str | Path, *, threads: int | None = None) -> Session:
    """Open a file that `Session.save` wrote; no compiler is needed.

    threads: at most that many take part in a run (default: as many as it was compiled for).
    Raises ArtifactError when the file is not whole, not ours, or not for this machine.
    """
    opened = artifact.read(path)
    meta = opened.meta
    try:
        inputs, outputs = ([_port(p) for p in meta[k]] for k in ("inputs", "outputs"))
        weights = WeightStore(
            entries={(n, k): Entry(o, b, None) for n, k, o, b in meta["constants"]},
            block=opened.weights.data,
            sealed=True,
            size=opened.weights.nbytes,
        )
        model = None if meta["model"] is None else base64.b64decode(meta["model"])
        descriptions = [description_from_json(d) for d in meta["descriptions"]]
        count = min(threads, meta["threads"]) if threads else meta["threads"]
        name, measured, error_limit = meta["name"], meta["measured"], meta["error_limit"]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path} lacks what this Fusewright expects in it ({error}); compile the model again"
        ) from None
    addresses, target = opened.load(), get(opened.target)
    planner = None
    if model is not None:  # shapes may come that the file has no program for; only then is the compiler's half imported
        from fusewright.planning import ModelPlanning, model_from_bytes

        planner = ModelPlanning(
            model_from_bytes(model, weights), target, count, weights=weights, addresses=addresses, measured=measured,
            error_limit=error_limit,
        )  # fmt: skip
    session = Session(inputs, outputs, target, count, name, planner)
    for program, description in zip(opened.programs, descriptions, strict=True):
        executor = Executor(_limited(program, count), addresses, weights.block, pool(count))
        session.add(Ready(program, executor, [], weights.size, description=description))
    return session


def _limited(program: Program, threads: int) -> Program:
    calls: tuple[Call, ...] = tuple(replace(c, shares=min(c.shares, threads)) for c in program.calls)
    return replace(program, calls=calls, threads=threads)


def _port(data: dict[str, Any]) -> Port:
    return Port(data["name"], data["dtype"], tuple(data["shape"]))
