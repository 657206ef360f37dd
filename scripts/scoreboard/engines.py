"""Who answers the cases? Each engine prepares a model, runs it, and says which errors are clear refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import onnx

Run = Callable[[dict[str, Any]], list[Any]]


@dataclass(frozen=True)
class Engine:
    """`refusals` are errors that tell the user clearly what is not supported; `bugs` among them are not."""

    prepare: Callable[[onnx.ModelProto], Run]
    refusals: tuple[type[Exception], ...]
    bugs: tuple[type[Exception], ...] = ()


def fusewright_engine(threads: int) -> Engine:
    import fusewright
    from fusewright.errors import BuildError, UserError

    def prepare(model: onnx.ModelProto) -> Run:
        session = fusewright.compile(model, threads=threads)
        return lambda inputs: list(session.run(None, inputs))

    # A compiler is there when this runs: if it fails, then on C that Fusewright wrote.
    return Engine(prepare, (UserError,), (BuildError,))


def onnxruntime_engine(threads: int) -> Engine:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    def prepare(model: onnx.ModelProto) -> Run:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        data = model.SerializeToString()
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return lambda inputs: list(session.run(None, inputs))

    refusals = (errors.NotImplemented, errors.InvalidGraph, errors.InvalidArgument, errors.Fail)
    return Engine(prepare, refusals)


def reference_engine(threads: int) -> Engine:
    from onnx.reference import ReferenceEvaluator

    def prepare(model: onnx.ModelProto) -> Run:
        evaluator = ReferenceEvaluator(model)
        return lambda inputs: list(evaluator.run(None, inputs))

    return Engine(prepare, (NotImplementedError,))


ENGINES: dict[str, Callable[[int], Engine]] = {
    "fusewright": fusewright_engine,
    "onnxruntime": onnxruntime_engine,
    "reference": reference_engine,
}
