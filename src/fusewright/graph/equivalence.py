"""Do two models compute the same?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.errors import InternalError
from fusewright.graph.copy import shallow_copy

Array = np.ndarray[Any, Any]


def compare(before: ir.Model, after: ir.Model, inputs: Mapping[str, Array]) -> float:
    """The largest error of any output of `after`, relative to the largest magnitude of that output of `before`.

    Infinite when a name, type, shape, or the place of a NaN or infinity differs.
    """
    expected, got = run(before, inputs), run(after, inputs)
    if list(expected) != list(got):
        return float("inf")
    return max((relative_error(expected[name], got[name]) for name in expected), default=0.0)


def run(model: ir.Model, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of `model` by name, from onnxruntime where it is installed, else from the ONNX reference."""
    proto = ir.to_proto(ir.external_data.load_to_model(shallow_copy(model)))
    feeds = {value.name: inputs[str(value.name)] for value in model.graph.inputs if value.name in inputs}
    names = [str(value.name) for value in model.graph.outputs]
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        results = ReferenceEvaluator(proto).run(names, feeds)
    else:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Without its optimisations: what is compared is our graph, not what it becomes there.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        results = session.run(names, feeds)
    return dict(zip(names, map(np.asarray, results), strict=True))


def relative_error(expected: Array, got: Array) -> float:
    """max |got - expected| / max |expected|, over finite values; infinite when the two are not comparable."""
    if expected.dtype != got.dtype or expected.shape != got.shape:
        return float("inf")
    if expected.dtype.kind in "OSU" or expected.dtype == np.bool_:
        return 0.0 if np.array_equal(expected, got) else float("inf")
    left, right = np.asarray(expected, np.complex128 if expected.dtype.kind == "c" else np.float64), got
    finite = np.isfinite(left)
    if not np.array_equal(left[~finite], np.asarray(right, left.dtype)[~finite], equal_nan=True):
        return float("inf")
    left, right = left[finite], np.asarray(right, left.dtype)[finite]
    if left.size == 0:
        return 0.0
    if not np.isfinite(right).all():
        return float("inf")
    scale = float(np.abs(left).max())
    error = float(np.abs(left - right).max())
    return error / scale if scale > 0 else (0.0 if error == 0 else float("inf"))


def random_inputs(model: ir.Model, seed: int = 0) -> dict[str, Array]:
    """Values for the inputs of a model without open dimensions: normal numbers, or small integers."""
    rng = np.random.default_rng(seed)
    inputs: dict[str, Array] = {}
    for value in model.graph.inputs:
        if value.shape is None or not value.shape.is_static() or value.dtype is None:
            raise InternalError(f"random_inputs needs bound shapes; {value.name!r} is {value.dtype}{value.shape}")
        shape, dtype = value.shape.numpy(), value.dtype.numpy()
        if np.issubdtype(dtype, np.integer) or dtype == np.bool_:
            inputs[str(value.name)] = rng.integers(0, 2, shape).astype(dtype)
        else:
            inputs[str(value.name)] = rng.standard_normal(shape).astype(dtype)
    return inputs
