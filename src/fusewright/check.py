"""Does the compiled model compute what the ONNX model says? Compares it with another implementation.

The reference is onnxruntime if it is installed and can run the model, else the evaluator of the package
`onnx`. An output of floats is right if its largest absolute error is at most `tolerance` times the output's
largest magnitude, and NaN and infinities stand at the same places; any other output must be exactly equal.
An absolute error of FLOOR counts as none: an output that is tiny throughout (the probabilities of a detector that
found nothing) is the rest of terms near 1, and onnxruntime's own sigmoid is off by up to 1.8e-7 there.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx

from fusewright.errors import ModelError, UserError

TOLERANCE = 1e-4
FLOOR = 2.0**-22  # two units in the last place of 1.0 in float32
Feed = Mapping[str, np.ndarray]
RunAll = Callable[[Feed], Sequence[np.ndarray]]

_FLOATS_OF_MODULE = ("bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")


@dataclass(frozen=True)
class OutputResult:
    """One output in one case.

    `error` is relative to `magnitude`, the largest of the expected output (for outputs that are no floats it
    is the share of wrong elements); `fault` is empty if the output is right.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    magnitude: float
    error: float
    tolerance: float
    fault: str

    @property
    def ok(self) -> bool:
        return not self.fault


@dataclass(frozen=True)
class CaseResult:
    """All outputs for one set of inputs."""

    case: str
    outputs: tuple[OutputResult, ...]


@dataclass(frozen=True)
class CheckResult:
    """The answer, with the figures behind it."""

    reference: str
    cases: tuple[CaseResult, ...]

    @property
    def ok(self) -> bool:
        return all(output.ok for case in self.cases for output in case.outputs)

    def to_json(self) -> dict[str, Any]:
        return {"ok": self.ok} | asdict(self)


def check(
    run: RunAll,
    reference: tuple[str, RunAll],
    output_names: Sequence[str],
    cases: Mapping[str, Feed],
    tolerance: float = TOLERANCE,
    progress: Callable[[str, int, int], None] | None = None,
) -> CheckResult:
    """Runs every case (its name -> its inputs) on both and compares all outputs."""
    name, expected_of = reference
    results = []
    for done, (case, feed) in enumerate(cases.items()):
        if progress:
            progress(f"comparing with {name}: {case}", done, len(cases))
        try:
            expected = expected_of(feed)
        except Exception as error:  # of another package, on a model that we run: nothing to compare with
            raise UserError(
                f"{name} cannot run the model on {case}: {str(error).strip()}\n"
                "choose another reference with --reference, or other inputs with --inputs"
            ) from error
        got = run(feed)
        outputs = [compare(output, e, g, tolerance) for output, e, g in zip(output_names, expected, got, strict=True)]
        if any(output.error > output.tolerance for output in outputs):
            outputs = explained(outputs, name, feed, expected, expected_of)
        results.append(CaseResult(case, tuple(outputs)))
    return CheckResult(name, tuple(results))


def compare(name: str, expected: np.ndarray, got: np.ndarray, tolerance: float = TOLERANCE) -> OutputResult:
    """How far is one output from what it must be?"""
    expected, got = np.asarray(expected), np.asarray(got)
    magnitude, error, fault = 0.0, 0.0, ""
    is_float = _is_float(expected.dtype)
    if is_float and expected.dtype.itemsize < 4:
        # Two correct ways to round to a narrow type may differ by a unit in the last place.
        tolerance = max(tolerance, 2 * float(ml_dtypes.finfo(expected.dtype).eps))
    if expected.shape != got.shape:
        fault = f"shape is {got.shape}, expected {expected.shape}"
    elif expected.dtype != got.dtype:
        fault = f"dtype is {got.dtype}, expected {expected.dtype}"
    elif is_float:
        magnitude = _magnitude(expected)
        if expected.dtype.itemsize >= 4 and magnitude:
            tolerance = max(tolerance, FLOOR / magnitude)
        error, fault = _compare_floats(expected, got, magnitude, tolerance)
    else:
        differ = expected != got
        error = float(np.mean(differ)) if differ.size else 0.0
        if error:
            count = int(np.sum(differ))
            fault = f"{count} of {differ.size} elements differ, the first {_first(differ, expected, got)}"
    return OutputResult(name, expected.dtype.name, expected.shape, magnitude, error, tolerance, fault)


def explained(
    outputs: Sequence[OutputResult], name: str, feed: Feed, expected: Sequence[np.ndarray], expected_of: RunAll
) -> list[OutputResult]:
    """The results with what tells a mistake from rounding that the model enlarges: how far the reference itself moves
    when each number of its inputs moves to the next. No verdict changes."""
    nudged = {k: _next(v) for k, v in feed.items() if v.dtype.kind == "f"}
    if not nudged:
        return list(outputs)
    told = []
    for output, before, after in zip(outputs, expected, expected_of({**feed, **nudged}), strict=True):
        if output.error > output.tolerance and np.asarray(before).dtype.kind == "f":
            moved = compare(output.name, before, after).error
            more = f"; {name} itself moves by {moved:.3g} when its inputs move by their last bit"
            told.append(replace(output, fault=output.fault + more))
        else:
            told.append(output)
    return told


def _next(array: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.nextafter(array, np.array(np.inf, array.dtype))
    return result


def _magnitude(array: np.ndarray) -> float:
    """The largest finite magnitude."""
    wide = np.abs(array.astype(np.complex128 if array.dtype.kind == "c" else np.float64))
    return float(np.max(wide, where=np.isfinite(wide), initial=0.0))


def _compare_floats(expected: np.ndarray, got: np.ndarray, magnitude: float, tolerance: float) -> tuple[float, str]:
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    e, g = expected.astype(wide), got.astype(wide)
    finite = np.isfinite(e)
    special = np.where(np.isnan(e), ~np.isnan(g), (e != g) & ~finite) | (finite & ~np.isfinite(g))
    if np.any(special):
        count = int(np.sum(special))
        fault = f"NaN or infinity disagree at {count} of {e.size} elements, the first {_first(special, e, g)}"
        return float("inf"), fault
    with np.errstate(invalid="ignore"):
        distance = np.where(finite, np.abs(e - g), 0.0)
    error = float(np.max(distance, initial=0.0)) / (magnitude or 1.0)
    if error <= tolerance:
        return error, ""
    worst = distance == np.max(distance)
    return error, f"outside the tolerance, worst {_first(worst, e, g)}"


def _first(where: np.ndarray, expected: np.ndarray, got: np.ndarray) -> str:
    index = tuple(int(i) for i in np.argwhere(where)[0])
    return f"at {list(index)}: expected {expected[index]}, got {got[index]}"


def _is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "fc" or dtype.name in _FLOATS_OF_MODULE


def reference_for(model: Path | onnx.ModelProto, engine: str | None = None) -> tuple[str, RunAll]:
    """The implementation to compare with: its name, and a function from inputs to all outputs in order.

    `engine` is "onnxruntime" or "onnx"; None takes onnxruntime, unless it is missing or refuses the model.
    Raises UserError if neither can run it, with what both said.
    """
    refusals: list[str] = []
    for name, make in (("onnxruntime", _onnxruntime), ("onnx", _onnx_evaluator)):
        if engine not in (None, name):
            continue
        if importlib.util.find_spec(name) is None:
            refusals.append(f"{name}: not installed; pip install {name}")
            continue
        try:
            return name, make(model)
        except UserError:
            raise
        except Exception as error:  # whatever another package raises, it means that it cannot run the model
            refusals.append(f"{name}: {str(error).strip()}")
    raise UserError("there is no reference to compare with:\n" + "\n".join(f"  {r}" for r in refusals))


def _onnxruntime(model: Path | onnx.ModelProto) -> RunAll:
    import onnxruntime as ort

    options = ort.SessionOptions()
    # The model as it is written: the rewrites of another optimiser are no part of its meaning.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def run(feed: Feed) -> Sequence[np.ndarray]:
        return list(session.run(None, dict(feed)))

    return run


def _onnx_evaluator(model: Path | onnx.ModelProto) -> RunAll:
    from onnx.reference import ReferenceEvaluator

    try:
        proto = onnx.load(model) if isinstance(model, Path) else model
    except Exception as error:
        raise ModelError(f"{model}: cannot be read as an ONNX model: {error}") from error
    evaluator = ReferenceEvaluator(proto)

    def run(feed: Feed) -> Sequence[np.ndarray]:
        return list(evaluator.run(None, dict(feed)))

    return run
