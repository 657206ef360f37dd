"""Optimised model and input shapes in, what a session needs to run them out: specialise, plan, build."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir

from fusewright.errors import ShapeError, UnsupportedError
from fusewright.graph.decisions import Log
from fusewright.graph.fates import Origin, origins
from fusewright.graph.group import dtype_of
from fusewright.passes.pipeline import bound_values, specialize
from fusewright.plan.planner import NUMPY, plan
from fusewright.plan.support import check_support
from fusewright.plan.weights import WeightStore
from fusewright.runtime.build import Progress, build
from fusewright.runtime.executor import Executor
from fusewright.runtime.pool import pool
from fusewright.session import Port, Ready
from fusewright.target import Target


class ModelPlanning:
    """Plans one model for any input shapes; all plans share its weights and kernels.

    `model` is optimised and is let go after the first plan when no other shapes can come. `measured` names the best
    way to make a kernel where it was measured (`schedules.choice.Chooser`). `error_limit` is that of
    ways with another arithmetic (0: there are none; None: as `plan` says). `log` is what was decided before, `nodes`
    what the model was made of then.
    """

    def __init__(
        self,
        model: ir.Model,
        target: Target,
        threads: int,
        *,
        weights: WeightStore | None = None,
        addresses: dict[str, int] | None = None,
        progress: Progress | None = None,
        measured: Mapping[str, str] | None = None,
        error_limit: float | None = None,
        log: Log | None = None,
        nodes: tuple[Origin, ...] | None = None,
    ) -> None:
        self.model: ir.Model | None = model
        self.target = target
        self.threads = threads
        self.weights = weights if weights is not None else WeightStore()
        self.addresses = addresses if addresses is not None else {}
        self.progress = progress
        self.measured = measured or {}
        self.error_limit = error_limit
        self.log = log or Log()
        self.nodes = origins(model) if nodes is None else nodes
        self.inputs = [port_of(v) for v in model.graph.inputs]
        self.outputs = [port_of(v) for v in model.graph.outputs]
        self.open = any(not isinstance(d, int) for p in self.inputs for d in p.shape)
        self._own = {id(v.const_value) for v in model.graph.initializers.values()}

    def __call__(self, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, np.ndarray] | None) -> Ready:
        if self.model is None:
            raise ShapeError(f"the model was planned for fixed shapes, got {dict(shapes)}")
        log = Log(list(self.log.decisions), self.log.steps)
        model = specialize(self.model, shapes, log, values)
        check_support(model)
        made = plan(
            model, self.target, self.threads, self.weights, array_of, self._is_weight,
            open_extents=self.open, log=log, measured=self.measured, error_limit=self.error_limit,
        )  # fmt: skip
        missing = {s: text for s, text in made.sources.items() if s not in self.addresses}
        if missing:
            self.addresses.update(build(missing, self.target, progress=self.progress).addresses)
        self.weights.seal()
        bound = bound_values(model)
        if not self.open and not bound:
            self.model = None  # its weights are packed: keeping them would double what a session holds
        executor = Executor(made.program, self.addresses, self.weights.block, pool(self.threads))
        size = len(self.weights.block) + sum(a.nbytes for a in made.constants)
        return Ready(made.program, executor, made.constants, size, made, bound, origins=self.nodes)

    def _is_weight(self, value: ir.Value) -> bool:
        return id(value.const_value) in self._own


def array_of(value: ir.Value) -> np.ndarray | None:
    """The constant behind a value, or None."""
    if value.const_value is None or value.is_graph_input():
        return None
    return np.asarray(value.const_value.numpy())


def port_of(value: ir.Value) -> Port:
    dims: list[int | str | None] = []
    if value.type is not None and not isinstance(value.type, ir.TensorType):
        raise UnsupportedError(f"{value.name!r} is a {value.type}; Fusewright compiles models of plain tensors")
    if value.shape is None:
        raise ShapeError(
            f"nothing in the model tells how many dimensions {value.name!r} has; expected a declared shape, whose "
            "extents may be open"
        )
    for d in value.shape:
        dims.append(d if isinstance(d, int) else d.value)
    return Port(value.name or "", NUMPY[dtype_of(value)], tuple(dims))


def model_from_bytes(data: bytes, weights: WeightStore) -> ir.Model:
    """The optimised model that `fusewright.store` wrote: its larger weights lie in `weights`, as they are."""
    model: ir.Model = ir.from_proto(onnx.ModelProto.FromString(data))
    for name, value in model.graph.initializers.items():
        tensor = value.const_value
        if isinstance(tensor, ir.ExternalTensor):
            entry = weights.entries[name, "as it is"]
            raw = np.frombuffer(weights.block, np.uint8)[entry.offset : entry.offset + entry.bytes]
            array = raw.view(tensor.dtype.numpy()).reshape(tensor.shape.numpy())
            value.const_value = ir.tensor(array, dtype=tensor.dtype, name=name)
    return model
