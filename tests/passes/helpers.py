"""What does a pass make of a graph given as text, and does the graph still compute the same?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import onnxruntime

from fusewright.graph.copy import shallow_copy
from fusewright.graph.decisions import Log
from fusewright.graph.text import format_model, parse_model
from fusewright.passes.base import Pass, run_passes

Array = npt.NDArray[Any]

SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0)


@dataclass
class Outcome:
    """A model after some passes, and what they recorded."""

    model: ir.Model
    changed: bool
    log: Log = field(default_factory=Log)

    @property
    def nodes(self) -> list[str]:
        """One line of text for each node."""
        return nodes(self.model)

    @property
    def ops(self) -> list[str]:
        """The operation of each node."""
        return [node.op_type for node in self.model.graph]

    @property
    def reasons(self) -> list[str]:
        """Why something was refused."""
        return [decision.reason for decision in self.log.decisions if not decision.made]

    def weight(self, name: str) -> Array:
        """The elements of an initializer."""
        tensor = self.model.graph.initializers[name].const_value
        assert tensor is not None, name
        array: Array = tensor.numpy()
        return array


def nodes(model: ir.Model) -> list[str]:
    """The lines between the graph's braces, without the names of the nodes."""
    lines = [line.strip() for line in format_model(model).splitlines()]
    first = next(i for i, line in enumerate(lines) if line.endswith("{"))
    return [re.sub(r"^\[.*?\] ", "", line) for line in lines[first + 1 : -1]]


def rewrite(text: str, *passes: Pass, dims: dict[str, int] | None = None, special: bool = False) -> Outcome:
    """Run the passes on the graph, and check that the result is valid and computes the same.

    `dims` gives extents to open dimensions; with `special`, inputs hold NaN, infinities and signed zeros too,
    and outputs must agree to the bit.
    """
    before = parse_model(text)
    if any(output.type is None for output in before.graph.outputs):
        before = ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(before)))
    after = shallow_copy(before)
    log = Log()
    changed = run_passes(after, passes, log)
    proto = ir.to_proto(after)
    onnx.checker.check_model(proto, full_check=True)
    first, second = ir.to_proto(before).graph, proto.graph
    assert [v.name for v in first.input] == [v.name for v in second.input]
    assert [v.name for v in first.output] == [v.name for v in second.output]
    if changed:
        same_numbers(before, after, dims or {}, special)
    else:
        assert nodes(before) == nodes(after), "a pass changed the graph and said that it did not"
    return Outcome(after, changed, log)


def same_numbers(before: ir.Model, after: ir.Model, dims: dict[str, int], special: bool) -> None:
    """Both models give the same outputs for the same random inputs."""
    rng = np.random.default_rng(0)
    feeds = {str(value.name): _random(value, dims, rng, special) for value in before.graph.inputs}
    expected, got = run(before, feeds), run(after, feeds)
    for name, want in expected.items():
        have = got[name]
        assert want.dtype == have.dtype and want.shape == have.shape, name
        if special or want.dtype.kind not in "f":
            np.testing.assert_array_equal(have, want, err_msg=name)
            if want.dtype.kind == "f":
                np.testing.assert_array_equal(np.signbit(have), np.signbit(want), err_msg=name)
        else:
            tolerance = 4e-3 if want.dtype == np.float16 else 2e-5
            scale = float(np.abs(want).max()) if want.size else 0.0
            np.testing.assert_allclose(have, want, rtol=tolerance, atol=tolerance * scale, err_msg=name)


def run(model: ir.Model, feeds: dict[str, Array]) -> dict[str, Array]:
    """The outputs by name, computed by onnxruntime with its own optimisations off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    data = ir.to_proto(model).SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def _random(value: ir.Value, dims: dict[str, int], rng: np.random.Generator, special: bool) -> Array:
    assert value.shape is not None and value.dtype is not None, value
    shape = [dim if isinstance(dim, int) else dims[str(dim.value)] for dim in value.shape]
    dtype = value.dtype.numpy()
    if dtype.kind in "iu":
        return rng.integers(0, 3, shape).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    array = rng.standard_normal(shape).astype(dtype)
    if special and array.size:
        flat = array.reshape(-1)
        flat[: len(SPECIAL)] = SPECIAL[: flat.size]
    return array
