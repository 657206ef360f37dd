"""Model in, session out: the one function that walks the whole way."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import onnx
import onnx_ir as ir

from fusewright.frontend.onnx import load as load_onnx
from fusewright.graph.blockers import ValueDependentError
from fusewright.graph.decisions import Log
from fusewright.graph.fates import origins
from fusewright.passes.pipeline import bind, prepare
from fusewright.planning import ModelPlanning
from fusewright.runtime.build import Progress
from fusewright.session import Session
from fusewright.settings import settings
from fusewright.target import get, host
from fusewright.tune.database import known

Source: TypeAlias = str | Path | bytes | onnx.ModelProto | ir.Model


def compile(
    model: Source,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    threads: int | None = None,
    target: str | None = None,
    fixed: bool = False,
    progress: Progress | None = None,
) -> Session:
    """Compile a model for this processor (or `target`), ready to run.

    model: a path, the bytes of a file, an `onnx.ModelProto` or an `onnx_ir.Model` (neither is changed).
    shapes: extents of open input dimensions, by input name; inputs without open dimensions need none. What is not
    bound here is bound by the arrays of each call; kernels then serve every size.
    threads: how many threads a run uses (default: the setting FUSEWRIGHT_THREADS, else all cores).
    fixed: `shapes` are the only ones that will come. All extents are then written into the kernels, which makes
    them faster; a call with others raises InputError. Without effect on a model that has no open dimensions.

    Raises ModelError, UnsupportedError, ShapeError, BuildError.
    """
    named = target or settings().target
    chosen = get(named) if named else host()
    loaded = load_onnx(model)
    name = Path(model).stem if isinstance(model, (str, Path)) else loaded.graph.name or "model"
    given = {n: tuple(int(d) for d in s) for n, s in (shapes or {}).items()}
    log = Log()
    nodes = origins(loaded)
    if fixed:
        loaded = bind(loaded, given, log)
    count = threads or settings().threads
    measured = known(chosen, count, log)
    planner = ModelPlanning(
        prepare(loaded, log), chosen, count, progress=progress, log=log, nodes=nodes, measured=measured,
        error_limit=settings().winograd,
    )
    session = Session(planner.inputs, planner.outputs, chosen, planner.threads, name, planner)
    bound = {p.name: given.get(p.name, p.shape) for p in session.inputs}
    if all(isinstance(d, int) for s in bound.values() for d in s):
        with contextlib.suppress(ValueDependentError):  # a shape follows from an input's values: the first call plans
            session.prepare({n: [int(d) for d in s if isinstance(d, int)] for n, s in bound.items()})
    return session
