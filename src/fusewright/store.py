"""A session as a file, and back: what goes into an artifact and what a new session takes from it.

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
from fusewright.plan.program import Call, Program, Ref, Space
from fusewright.plan.weights import Entry, WeightStore
from fusewright.report.description import description_from_json
from fusewright.runtime import artifact
from fusewright.runtime.build import build
from fusewright.session import Port, Ready, Session
from fusewright.target import get

INLINE_BYTES = 4096  # constants up to this size stay in the model's own bytes
ALIGN = 64


def save(session: Session, path: Path) -> None:
    """Write the session's programs, kernels and weights. Raises ArtifactError."""
    readies = session.programs
    if not readies and not session.open:
        raise ArtifactError(f"nothing has been planned yet, so there is nothing to write to {path}")
    parts: list[np.ndarray] = [np.frombuffer(session.weights.block, np.uint8)]
    size = parts[0].nbytes
    index = {key: (e.offset, e.bytes) for key, e in session.weights.entries.items()}

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
    if session.open and session.model is not None:
        model = _model_bytes(session.model, index, append)
    sources = {s: t for ready in readies if ready.plan is not None for s, t in ready.plan.sources.items()}
    meta: dict[str, Any] = {
        "name": session.name,
        "threads": session.threads,
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
        value.const_value = ir.ExternalTensor("weights", 0, tensor.nbytes, tensor.dtype, shape=tensor.shape, name=name)
    return ir.to_proto(lean).SerializeToString()


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
            block=memoryview(opened.weights),
            sealed=True,
            size=opened.weights.nbytes,
        )
        model = None if meta["model"] is None else _model(base64.b64decode(meta["model"]), weights)
        descriptions = [description_from_json(d) for d in meta["descriptions"]]
        count = min(threads, meta["threads"]) if threads else meta["threads"]
        name = meta["name"]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} lacks what this Fusewright expects in it ({error}); compile the model again") from None
    session = Session(model, inputs, outputs, get(opened.target), count, name, weights, opened.load())
    for program, description in zip(opened.programs, descriptions, strict=True):
        session.add_program(_limited(program, count), description)
    return session


def _limited(program: Program, threads: int) -> Program:
    calls: tuple[Call, ...] = tuple(replace(c, shares=min(c.shares, threads)) for c in program.calls)
    return replace(program, calls=calls, threads=threads)


def _port(data: dict[str, Any]) -> Port:
    return Port(data["name"], data["dtype"], tuple(data["shape"]))


def _model(data: bytes, weights: WeightStore) -> ir.Model:
    model = ir.from_proto(_proto(data))
    for name, value in model.graph.initializers.items():
        tensor = value.const_value
        if isinstance(tensor, ir.ExternalTensor):
            entry = weights.entries[name, "as it is"]
            raw = np.frombuffer(weights.block, np.uint8)[entry.offset : entry.offset + entry.bytes]
            array = raw.view(tensor.dtype.numpy()).reshape(tuple(int(d) for d in tensor.shape))
            value.const_value = ir.tensor(array, dtype=tensor.dtype, name=name)
    return model


def _proto(data: bytes) -> Any:
    import onnx

    return onnx.ModelProto.FromString(data)


