"""A session as a file: what goes into an artifact (`fusewright.opening` reads it back).

A file for a model without open dimensions holds its programs. One with open dimensions also holds the optimised model,
so that new input shapes can be planned where it is loaded; its kernels serve all sizes, so no compiler is needed.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.errors import ArtifactError
from fusewright.plan.program import Program, Ref, Space
from fusewright.planning import ModelPlanning
from fusewright.runtime import artifact
from fusewright.runtime.build import build
from fusewright.session import Ready, Session

INLINE_BYTES = 4096  # constants up to this size stay in the model's own bytes
ALIGN = 64


def save(session: Session, path: Path) -> None:
    """Write the session's programs, kernels and weights. Raises ArtifactError."""
    planner = session.planner
    if not isinstance(planner, ModelPlanning):
        raise ArtifactError(f"this session was loaded from a compiled file; copy that file to {path}")
    readies = session.programs
    if not readies and not session.open:
        raise ArtifactError(f"nothing has been planned yet, so there is nothing to write to {path}")
    parts: list[np.ndarray] = [np.frombuffer(planner.weights.block, np.uint8)]
    size = parts[0].nbytes
    index = {key: (e.offset, e.bytes) for key, e in planner.weights.entries.items()}

    def append(array: np.ndarray) -> int:
        nonlocal size
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        start = -(-size // ALIGN) * ALIGN
        parts.append(np.zeros(start - size, np.uint8))
        parts.append(raw)
        size = start + raw.nbytes
        return start

    programs = [_with_constants(session, ready, append) for ready in readies]
    model = None
    if session.open and planner.model is not None:
        model = _model_bytes(planner.model, index, append)
    sources = {s: t for ready in readies if ready.plan is not None for s, t in ready.plan.sources.items()}
    meta: dict[str, Any] = {
        "name": session.name,
        "threads": session.threads,
        "measured": dict(planner.measured),
        "error_limit": planner.error_limit,
        "inputs": [asdict(p) for p in session.inputs],
        "outputs": [asdict(p) for p in session.outputs],
        "descriptions": [session.describe(_shapes(session, r)).to_json() for r in readies],
        "constants": [[name, key, offset, length] for (name, key), (offset, length) in index.items()],
        "model": None if model is None else base64.b64encode(model).decode(),
    }
    library = build(sources, session.target).image()
    artifact.write(
        path, programs=programs, library=library, weights=np.concatenate(parts), target=session.target, meta=meta
    )


def _shapes(session: Session, ready: Ready) -> dict[str, tuple[int, ...]]:
    return {p.name: p.shape for p in ready.program.inputs[: len(session.inputs)]}


def _with_constants(session: Session, ready: Ready, append: Any) -> Program:
    """The program with the constants of its shapes moved from extra inputs into the weights."""
    count = len(session.inputs)
    offsets = [append(a) for a in ready.constants]

    def moved(ref: Ref) -> Ref:
        if ref.space is Space.INPUT and ref.index >= count:
            return Ref(Space.WEIGHTS, offsets[ref.index - count] + ref.offset)
        return ref

    calls = tuple(replace(c, refs=tuple(moved(r) for r in c.refs)) for c in ready.program.calls)
    return replace(ready.program, calls=calls, inputs=ready.program.inputs[:count])


def _model_bytes(model: ir.Model, index: dict[tuple[str, str], tuple[int, int]], append: Any) -> bytes:
    """The optimised model with its larger weights left out: they lie in the weights of the file, as they are."""
    lean = ir.Model(model.graph.clone(), ir_version=model.ir_version)
    for name, value in list(lean.graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or tensor.nbytes <= INLINE_BYTES:
            continue
        if (name, "as it is") not in index:
            index[name, "as it is"] = (append(np.asarray(tensor.numpy())), tensor.nbytes)
        value.const_value = ir.ExternalTensor(
            "weights", 0, tensor.nbytes, tensor.dtype, shape=ir.Shape(tensor.shape.numpy()), name=name
        )
    data: bytes = ir.to_proto(lean).SerializeToString()
    return data
