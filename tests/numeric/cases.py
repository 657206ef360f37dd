"""Many single-operation cases in one model, compiled once and held against the ONNX reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import fusewright as fw

OPSET = 26
TOLERANCE = {"float16": 2.0**-9, "bfloat16": 2.0**-6, "float32": 4e-6, "float64": 1e-12}  # relative
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Constant:
    """An operand that is a weight of the model, not an input."""

    array: Array


def ints(*values: int) -> Constant:
    return Constant(np.array(values, np.int64))


@dataclass
class Cases:
    """`add` one node after the other; `check` compiles all of them at once and compares every output."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    feeds: dict[str, Array] = field(default_factory=dict)
    given: dict[str, Array] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    loose: dict[str, float] = field(default_factory=dict)

    def add(
        self,
        op: str,
        *operands: Array | Constant | None,
        outputs: int = 1,
        open_dims: bool = False,
        expected: Sequence[Array] | None = None,
        tolerance: float = 0.0,
        **attributes: Any,
    ) -> None:
        """`expected` where the reference is wrong or lacks the case; `tolerance` widens that of the dtype."""
        number = len(self.nodes)
        names = [self._operand(operand, f"{number}_{i}", open_dims) for i, operand in enumerate(operands)]
        results = [f"y{number}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, names, results, **attributes))
        arrays = [o.array if isinstance(o, Constant) else o for o in operands if o is not None]
        shown = ", ".join(f"{a.dtype}{list(a.shape)}" for a in arrays)
        for i, name in enumerate(results):
            self.outputs.append(helper.make_empty_tensor_value_info(name))
            self.titles[name] = f"{op}({shown}) {attributes or ''} output {i}"
            self.loose[name] = tolerance
            if expected is not None:
                self.given[name] = expected[i]

    def _operand(self, operand: Array | Constant | None, suffix: str, open_dims: bool) -> str:
        if operand is None:
            return ""
        name = f"x{suffix}"
        if isinstance(operand, Constant):
            self.weights.append(numpy_helper.from_array(operand.array, name))
            return name
        dims = [f"{name}d{d}" if open_dims else n for d, n in enumerate(operand.shape)]
        dtype = helper.np_dtype_to_tensor_dtype(operand.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, dtype, dims))
        self.feeds[name] = operand
        return name

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "cases", self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        return onnx.shape_inference.infer_shapes(model)

    def check(self, threads: int = 1, session: fw.Session | None = None) -> fw.Session:
        """Compare with the reference; returns the session, for the same cases at other sizes."""
        model = self.model()
        session = session or fw.compile(model, threads=threads)
        wanted = [o.name for o in self.outputs if o.name not in self.given]
        with np.errstate(all="ignore"):
            found = ReferenceEvaluator(model).run(wanted, self.feeds) if wanted else []
        expected = {**dict(zip(wanted, found, strict=True)), **self.given}
        before = {name: array.copy() for name, array in self.feeds.items()}
        for output, actual in zip(self.outputs, session.run(None, self.feeds), strict=True):
            self._compare(output.name, actual, np.asarray(expected[output.name]))
        for name, array in before.items():
            assert array.tobytes() == self.feeds[name].tobytes(), f"input {name} was written to"
        return session

    def _compare(self, name: str, actual: Array, expected: Array) -> None:
        title = self.titles[name]
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape), title
        if expected.dtype.name not in TOLERANCE:
            np.testing.assert_array_equal(actual, expected, err_msg=title)
            return
        tolerance = max(TOLERANCE[expected.dtype.name], self.loose[name])
        wide = np.float64
        np.testing.assert_allclose(
            actual.astype(wide), expected.astype(wide), rtol=tolerance, atol=tolerance * 0.1, err_msg=title
        )


def random_array(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> Array:
    """Numbers that the operations of the tests are defined for: floats around 0, integers over all of their range."""
    if dtype == "bool":
        return rng.random(tuple(shape)) < 0.5
    if dtype == "bfloat16":
        return rng.standard_normal(tuple(shape)).astype(np.float32).astype(ml_dtypes.bfloat16)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return (rng.standard_normal(tuple(shape)) * 2).astype(kind)
    info = np.iinfo(kind)
    return rng.integers(max(info.min, -100), min(info.max, 100), tuple(shape)).astype(kind)
