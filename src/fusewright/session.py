"""A model that runs: NumPy in, NumPy out. Plans once for each new set of input shapes and keeps the plan."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import ml_dtypes
import numpy as np

from fusewright.errors import InputError, ShapeError
from fusewright.plan.program import Program
from fusewright.report.description import Description
from fusewright.runtime.executor import Executor
from fusewright.runtime.outputs import maker
from fusewright.target.target import Target

if TYPE_CHECKING:
    from fusewright.graph.fates import Origin
    from fusewright.plan.planner import Plan

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Port:
    """An input or output of the model; an open dimension is its name, or None where it has none."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


@dataclass
class Ready:
    """What a set of input shapes needs to run. `values` are inputs taken as constants, which these then hold for."""

    program: Program
    executor: Executor
    constants: list[np.ndarray]
    weights_bytes: int
    plan: Plan | None = None
    values: tuple[str, ...] = ()
    description: Description | None = None
    origins: tuple[Origin, ...] = ()  # the nodes of the model as it was read


class Planning(Protocol):
    """Makes what a new set of input shapes needs: `fusewright.planning`, absent where all shapes are known."""

    def __call__(self, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, np.ndarray] | None) -> Ready: ...


_Run = Callable[[Mapping[str, Any]], "list[np.ndarray] | None"]


def _repeated(like: Mapping[str, np.ndarray], ready: Ready) -> _Run:
    """Runs calls whose arrays look like those of `like`; gives None where they may differ in anything, so that they
    have to be checked.

    After a run the caches are full of tensors, and every Python object that a call touches comes from memory: the way
    through `_check` and `prepare` takes 0.1 ms then, 4 % of a small model. Hence one function, and what it needs bound
    to names of its own.
    """
    inputs = tuple((name, array.dtype, array.shape) for name, array in like.items())
    outputs = tuple(maker(p.shape, numpy_dtype(p.dtype)) for p in ready.program.outputs)
    count, constants, run = len(inputs), ready.constants, ready.executor.run_unchecked
    kind = np.ndarray

    def repeat(feed: Mapping[str, Any]) -> list[np.ndarray] | None:
        if len(feed) != count:
            return None
        arrays = []
        for name, dtype, shape in inputs:
            array = feed.get(name)
            if type(array) is not kind or array.dtype is not dtype or array.shape != shape:
                return None
            if not array.flags.c_contiguous:
                return None
            arrays.append(array)
        arrays += constants
        results = [make() for make in outputs]
        run(arrays, results)
        return results

    return repeat


class Session:
    """A compiled model. Safe to call from several threads at once.

    Made by `fusewright.compile` and `fusewright.load`. `inputs` and `outputs` are the model's ports.
    """

    def __init__(
        self,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        target: Target,
        threads: int,
        name: str = "model",
        planner: Planning | None = None,
    ) -> None:
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.target = target
        self.threads = threads
        self.name = name
        self.planner = planner
        self.open = any(not isinstance(d, int) for p in self.inputs for d in p.shape)
        self._ready: dict[tuple[Shapes, tuple[bytes, ...]], Ready] = {}
        self._value_inputs: dict[Shapes, tuple[str, ...]] = {}
        self._repeat: _Run | None = None
        self._lock = threading.Lock()

    # -- planning ---------------------------------------------------------------------------------------------
    def prepare(self, shapes: Mapping[str, Sequence[int]], values: Mapping[str, np.ndarray] | None = None) -> Ready:
        """Plan and build for these input shapes; a known set costs a look-up.

        `values` are the arrays of a call: where the model computes a shape from an input's values, the plan holds for
        these values only.
        """
        key = tuple(tuple(int(d) for d in shapes[p.name]) for p in self.inputs)
        found = self._ready.get((key, self._value_key(key, values)))
        if found is not None:
            return found
        with self._lock:
            found = self._ready.get((key, self._value_key(key, values)))
            if found is None:
                with _collector_paused():
                    found = self._plan(key, values)
                self._value_inputs[key] = found.values
                self._ready[key, self._value_key(key, values)] = found
            return found

    def _value_key(self, key: Shapes, values: Mapping[str, np.ndarray] | None) -> tuple[bytes, ...]:
        names = self._value_inputs.get(key, ())
        return tuple(values[n].tobytes() for n in names) if values is not None else ()

    def _plan(self, key: Shapes, values: Mapping[str, np.ndarray] | None) -> Ready:
        if self.planner is None:
            known = "; ".join(str(shapes) for shapes, _ in self._ready)
            raise ShapeError(f"this compiled file holds programs for other input shapes only: {known}")
        return self.planner({p.name: s for p, s in zip(self.inputs, key, strict=True)}, values)

    def add(self, ready: Ready) -> None:
        """A program that is planned and built already (out of a compiled file)."""
        key = tuple(p.shape for p in ready.program.inputs[: len(self.inputs)])
        self._ready[key, ()] = ready

    @property
    def programs(self) -> list[Ready]:
        """What has been planned so far, in order."""
        return list(self._ready.values())

    # -- looking inside and keeping ---------------------------------------------------------------------------
    def describe(
        self, shapes: Mapping[str, Sequence[int]] | None = None, values: Mapping[str, np.ndarray] | None = None
    ) -> Description:
        """What was made of the model: kernels, memory and decisions (see `report.description`).

        `values` are the arrays of a call, for models that compute a shape from an input's elements.
        """
        from fusewright.describe import describe  # describe reads sessions: the other way round would be a circle

        return describe(self, shapes, values)

    def save(self, path: str | Path) -> None:
        """Write what has been planned so far as one file that `fusewright.load` opens without compiling.

        Raises ArtifactError when the file cannot be written; nothing is left behind then.
        """
        from fusewright.store import save

        save(self, Path(path))

    # -- running ----------------------------------------------------------------------------------------------
    def run(self, names: Sequence[str] | None, feed: Mapping[str, Any]) -> list[np.ndarray]:
        """The outputs called `names` (all if None), as onnxruntime's sessions do.

        Raises InputError for a missing or unknown name, a wrong dtype or shape.
        """
        if names is None:
            repeat = self._repeat  # as in `_call`, which is one more function
            results = None if repeat is None else repeat(feed)
            return self._run(self._check(feed)) if results is None else results
        known = {p.name: i for i, p in enumerate(self.outputs)}
        for n in names:
            if n not in known:
                raise InputError(f"the model has no output {n!r}; it has {', '.join(map(repr, known))}")
        results = self._call(feed)
        return [results[known[n]] for n in names]

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """Inputs by position or name; one array if the model has one output, else a tuple."""
        if len(arrays) > len(self.inputs):
            raise InputError(f"the model has {len(self.inputs)} inputs, got {len(arrays)} arrays")
        feed = {p.name: a for p, a in zip(self.inputs, arrays, strict=False)}
        for n in named:
            if n in feed:
                raise InputError(f"input {n!r} is given twice, by position and by name")
        results = self._call({**feed, **named})
        return results[0] if len(results) == 1 else tuple(results)

    def _call(self, feed: Mapping[str, Any]) -> list[np.ndarray]:
        repeat = self._repeat
        results = None if repeat is None else repeat(feed)
        return self._run(self._check(feed)) if results is None else results

    def _check(self, feed: Mapping[str, Any]) -> list[np.ndarray]:
        expected = ", ".join(f"{p.name!r}" for p in self.inputs)
        unknown = [n for n in feed if n not in {p.name for p in self.inputs}]
        if unknown:
            raise InputError(f"the model has no input {unknown[0]!r}; its inputs are {expected or 'none'}")
        arrays = []
        for p in self.inputs:
            if p.name not in feed:
                raise InputError(f"input {p.name!r} is missing; the model's inputs are {expected}")
            arrays.append(_checked(p, feed[p.name]))
        return arrays

    def _run(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        named = {p.name: a for p, a in zip(self.inputs, arrays, strict=True)}
        ready = self.prepare({n: a.shape for n, a in named.items()}, named)
        if not ready.values:  # else the plan holds for these values only
            self._repeat = _repeated(named, ready)
        results = [np.empty(p.shape, numpy_dtype(p.dtype)) for p in ready.program.outputs]
        ready.executor.run([*arrays, *ready.constants], results)
        return results


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Planning makes many small objects and no garbage: looking for it would take a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def numpy_dtype(name: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)


def _checked(port: Port, given: Any) -> np.ndarray:
    """`given` as a contiguous array of the port's dtype, or an InputError that says what is wrong."""
    try:
        array = np.asarray(given)
    except ValueError:  # a list of arrays of several shapes
        raise InputError(
            f"input {port.name!r} is a {type(given).__name__} of unequal parts, expected one array"
        ) from None
    wanted = numpy_dtype(port.dtype)
    if array.dtype != wanted:
        raise InputError(
            f"input {port.name!r} has dtype {array.dtype}, the model expects {wanted}; "
            f"convert it with .astype({wanted.name!r})"
        )
    text = "x".join("?" if d is None else str(d) for d in port.shape)
    if array.ndim != len(port.shape):
        raise InputError(
            f"input {port.name!r} has {array.ndim} dimensions {list(array.shape)}, "
            f"the model expects {len(port.shape)}: {text or 'a scalar'}"
        )
    named: dict[str, int] = {}
    for i, (d, got) in enumerate(zip(port.shape, array.shape, strict=True)):
        wanted_extent = named.setdefault(d, got) if isinstance(d, str) else d
        if wanted_extent is not None and wanted_extent != got:
            raise InputError(f"input {port.name!r} has extent {got} in dimension {i}, expected {d} (shape {text})")
    return np.asarray(array, order="C")  # ascontiguousarray would make a scalar an array of one
