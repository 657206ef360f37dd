"""Small groups of nodes, lowered by their schedule and run by the interpreter, beside what ONNX says they compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from fusewright.graph.group import Group, dtype_of, shape_of
from fusewright.kernel.interpret import interpret
from fusewright.kernel.meaning import NUMPY
from fusewright.ops.registry import find
from fusewright.schedules import lower
from fusewright.schedules.pack import PIECE
from fusewright.schedules.task import Lowered, Pack, Strides, Task, Temp
from fusewright.target.arm import NEON
from fusewright.target.target import Target
from fusewright.target.x86 import AVX2, AVX512, SSE2

Array = np.ndarray[Any, Any]
TARGETS = (NEON, SSE2, AVX2, AVX512)  # 4 lanes (many registers and few), 8 and 16
targets = pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
widths = pytest.mark.parametrize("target", (NEON, AVX2, AVX512), ids=lambda t: t.name)
extents = pytest.mark.parametrize("open_extents", [False, True], ids=["fixed", "open"])
layouts = pytest.mark.parametrize("layout", ["first", "last"])


@dataclass
class Case:
    """Nodes that make one group; `feeds` are its inputs, `constants` its weights.

    Node number `anchor` decides how the group loops. `layout` is where channels lie in tensors of rank 3 and more:
    `first` (as ONNX writes the shape) or `last`, but for the values in `planes`, where they lie first. `shapes` are
    those that ONNX does not infer. `reference` is what says what is right: `onnx` (NumPy, as in the standard's pages)
    or `onnxruntime`, where the former is wrong or fails.
    """

    nodes: Sequence[onnx.NodeProto]
    feeds: Mapping[str, Array]
    outputs: Sequence[str] = ("y",)
    constants: Mapping[str, Array] = field(default_factory=dict)
    layout: str = "first"
    anchor: int = 0
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    reference: str = "onnx"
    schedule: str = ""
    planes: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.proto = self._model()
        self.model = ir.from_proto(self.proto)
        graph = self.model.graph
        self.values = {
            v.name: v
            for v in (*graph.inputs, *graph.initializers.values(), *(o for n in graph for o in n.outputs))
            if v.name
        }
        inside = list(graph)
        anchor = inside[self.anchor]
        definition = find(anchor.domain, anchor.op_type)
        assert definition is not None
        self.group = Group(
            0, definition.kind.value, anchor, inside,
            [v for n, v in self.values.items() if n in self.feeds or n in self.constants],
            [self.values[n] for n in self.outputs],
            self.schedule,
        )  # fmt: skip

    def _model(self) -> onnx.ModelProto:
        def info(name: str, array: Array) -> onnx.ValueInfoProto:
            return onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )

        graph = onnx.helper.make_graph(
            list(self.nodes),
            "case",
            [info(n, a) for n, a in self.feeds.items()],
            [
                onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, self.shapes[n])
                if n in self.shapes
                else onnx.helper.make_empty_tensor_value_info(n)
                for n in self.outputs
            ],
            [onnx.numpy_helper.from_array(a, n) for n, a in self.constants.items()],
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 23)], ir_version=10)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)

    def strides_of(self, value: ir.Value) -> Strides:
        shape = shape_of(value)
        order = list(range(len(shape)))
        if self.layout == "last" and len(shape) >= 3 and value.name not in (*self.constants, *self.planes):
            order = [0, *order[2:], 1]
        strides, step = [0] * len(shape), 1
        for d in reversed(order):
            strides[d] = step
            step *= shape[d]
        return tuple(strides)

    def array_of(self, value: ir.Value) -> Array | None:
        return self.constants.get(value.name or "")

    def task(self, target: Target, *, open_extents: bool = False, threads: int = 1) -> Task:
        return Task(self.group, target, self.strides_of, self.array_of, open_extents, threads)

    def lower(self, target: Target, *, open_extents: bool = False, threads: int = 1) -> list[Lowered]:
        return lower(self.task(target, open_extents=open_extents, threads=threads))

    def expected(self) -> list[Array]:
        feeds = dict(self.feeds)
        if self.reference == "onnx":
            return [np.asarray(a) for a in ReferenceEvaluator(self.proto).run(None, feeds)]
        session = onnxruntime.InferenceSession(self.proto.SerializeToString(), providers=["CPUExecutionProvider"])
        return [np.asarray(a) for a in session.run(None, feeds)]

    def interpret(
        self, target: Target, *, open_extents: bool = False, threads: int = 1, shares: int | None = None
    ) -> list[Array]:
        """The outputs, computed in `shares` (default: one) runs of the units, each on memory of its own.

        Asserts that no two shares write the same element.
        """
        kernels = self.lower(target, open_extents=open_extents, threads=threads)
        return self.compute(kernels, lambda lowered, arrays: run_in_shares(lowered, arrays, shares or 1))

    def compute(self, kernels: Sequence[Lowered], run: Callable[[Lowered, Sequence[Array]], None]) -> list[Array]:
        """The outputs of this case's kernels; `run` runs one of them on the memory of its operands."""
        memory: dict[int, Array] = {}
        for lowered in kernels:
            pairs = zip(lowered.operands, lowered.kernel.buffers, strict=True)
            run(lowered, [self._memory(operand, buffer.dtype, memory) for operand, buffer in pairs])
        return [self._read(v, memory[id(v)]) for v in self.group.outputs]

    def _memory(self, operand: ir.Value | Pack | Temp, dtype: str, memory: dict[int, Array]) -> Array:
        if isinstance(operand, Pack):
            array = self.array_of(operand.value)
            assert array is not None
            return np.ascontiguousarray(operand.make(array)).reshape(-1)
        if id(operand) not in memory:
            if isinstance(operand, Temp):
                memory[id(operand)] = poisoned(dtype, operand.bytes // NUMPY[dtype].itemsize)
            else:
                memory[id(operand)] = self._written(operand)
        return memory[id(operand)]

    def _written(self, value: ir.Value) -> Array:
        """The memory of a value: a given array in its layout, poison for one that is to be computed."""
        shape, strides = shape_of(value), self.strides_of(value)
        flat = poisoned(dtype_of(value), int(np.prod(shape)))
        given = self.feeds.get(value.name or "", self.constants.get(value.name or ""))
        if given is None and value.const_value is not None:  # a table that the schedule made
            given = value.const_value.numpy()
        if given is not None:
            flat.view(bits(flat))[...] = _laid_out(given, strides).view(bits(flat))
        return flat

    def _read(self, value: ir.Value, flat: Array) -> Array:
        return np.lib.stride_tricks.as_strided(
            flat, shape_of(value), [s * flat.itemsize for s in self.strides_of(value)]
        ).copy()


def _laid_out(array: Array, strides: Strides) -> Array:
    order = sorted(range(array.ndim), key=lambda d: (-strides[d], d))
    return np.ascontiguousarray(array.transpose(order)).reshape(-1)


def bits(array: Array) -> np.dtype[Any]:
    return np.dtype(f"u{array.dtype.itemsize}")


def poisoned(dtype: str, count: int) -> Array:
    """Memory with a value that no test computes: a NaN of its own for floats."""
    kind = NUMPY[dtype]
    pattern = 0xA5A5A5A5A5A5A5A5 >> (64 - 8 * kind.itemsize)
    if kind.kind == "f" or kind == ml_dtypes.bfloat16:
        pattern |= 0x7FF << (8 * kind.itemsize - 12) if kind.itemsize == 8 else 0x7FC0 << (8 * kind.itemsize - 16)
    return np.full(count, pattern, np.dtype(f"u{kind.itemsize}")).view(kind)


def run_in_shares(lowered: Lowered, arrays: Sequence[Array], shares: int) -> None:
    """Run all turns, each with its units in separate shares."""
    for turn in range(lowered.turns):
        run_turn(lowered, arrays, shares, turn * lowered.units)


def run_turn(lowered: Lowered, arrays: Sequence[Array], shares: int, first: int) -> None:
    """Run the units from `first` on, each share on its own copy of what is written, and put the results together."""
    buffers = lowered.kernel.buffers
    before = [a.copy() for a in arrays]
    written = [np.zeros(a.shape, bool) for a in arrays]
    for t in range(shares):
        own = [a.copy() if b.role == "out" else a for a, b in zip(before, buffers, strict=True)]
        lo, hi = first + lowered.units * t // shares, first + lowered.units * (t + 1) // shares
        interpret(
            lowered.kernel, dict(zip(buffers, own, strict=True)), lowered.units, lo, hi, scratch_bytes=lowered.scratch,
            functions=functions(lowered.kernel.lanes),
        )  # fmt: skip
        for array, old, new, seen in zip(arrays, before, own, written, strict=True):
            changed = new.view(bits(new)) != old.view(bits(old))
            assert not (changed & seen).any(), "two shares write the same element"
            seen |= changed
            array[changed] = new[changed]


def functions(lanes: int) -> dict[str, Callable[..., None]]:
    """What schedules call of csrc/fw_algorithms.h."""
    return {
        "fw_transpose_f32": partial(transpose, lanes),
        "fw_columns_f32": columns,
        "fw_turn_f32": turn,
        "fw_balance_f32": balance,
        "fw_balance_scaled_f32": balance_scaled,
        "fw_balance_rows_f32": balance_rows,
        "fw_balance_twins_f32": balance_twins,
        "fw_balance_twins_scaled_f32": balance_twins_scaled,
        "fw_prefetch_l1_f32": lambda source, at, count: None,
        "fw_prefetch_l2_f32": lambda source, at, count: None,
    }


def transpose(
    lanes: int, source: Array, at: int, step: int, rows: int, depth: int, target: Array, place: int, to_step: int
) -> None:
    """What `fw_transpose_f32` of csrc/fw_algorithms.h does."""
    for d in range(depth):
        target[place + d * to_step :][:lanes] = [source[at + r * step + d] if r < rows else 0 for r in range(lanes)]


def turn(
    source: Array, at: int, step: int, rows: int, depth: int, target: Array, place: int, to_step: int
) -> None:  # fmt: skip
    """What `fw_turn_f32` of csrc/fw_algorithms.h does."""
    for d in range(depth):
        for r in range(rows):
            assert 0 <= at + r * step + d < len(source) and 0 <= place + d * to_step + r < len(target)
            target[place + d * to_step + r] = source[at + r * step + d]


def columns(
    source: Array, at: int, inner: int, inner_step: int, outer_step: int, rows: int, first: int, last: int, depth: int,
    target: Array, place: int, to_step: int,
) -> None:  # fmt: skip
    """What `fw_columns_f32` of csrc/fw_algorithms.h does."""
    for d in range(depth):
        for r in range(rows):
            start = at + r // inner * outer_step + r % inner * inner_step
            assert not first <= r < last or 0 <= start <= len(source) - depth
            target[place + d * to_step + r] = source[start + d] if first <= r < last else 0


def balance(source: Array, at: int, k: int, target: Array, place: int, step: int) -> None:
    """What `fw_balance_f32` of csrc/fw_algorithms.h does."""
    assert 0 <= at <= len(source) - k
    row = source[at : at + k].astype(np.float64)
    mean_square = np.mean(row**2)
    scale = 2.0 ** -(np.floor(np.log2(mean_square) / 2) + 1) if mean_square > 0 else 1.0
    before = 0.0
    for piece in range(0, k, PIECE):
        steps = row[piece : piece + PIECE] * scale
        pairs = len(steps) // 6 * 2
        products = steps[:pairs] * steps[pairs : 2 * pairs]
        before -= float(np.sum(products[::2]) - np.sum(products[1::2]))
        target[place + piece // PIECE * step :][: len(steps)] = steps
    for i, value in enumerate((before, 1 / scale), start=k):
        target[place + i // PIECE * step + i % PIECE] = value


def balance_rows(source: Array, at: int, step: int, k: int, rows: int, target: Array, place: int) -> None:
    """What `fw_balance_rows_f32` of csrc/fw_algorithms.h does."""
    lying = [source[at + r * step :][:k].astype(np.float64) for r in range(rows)]
    moved = [bool(np.mean(row**2)) and not 2.0**-6 < np.mean(row**2) < 2.0**4 for row in lying]
    behind = place + rows * step
    for r, row in enumerate(lying):
        made = np.zeros((k + 2 + PIECE) // PIECE * PIECE, np.float32)
        balance(source, at + r * step, k, made, 0, PIECE)
        scale = 1.0 if not moved[r] else 1 / made[k + 1]
        if any(moved):
            target[place + r * step :][:k] = row * scale
        target[behind + 2 * r] = made[k] * (made[k + 1] * scale) ** 2
        target[behind + 2 * r + 1] = (1 / scale) * bool(np.mean(row**2))
    target[behind + 2 * rows] = 2 if any(moved) else 1 - all(np.any(row) for row in lying)


def balance_scaled(source: Array, at: int, factors: Array, k: int, target: Array, place: int, step: int) -> None:
    """What `fw_balance_scaled_f32` of csrc/fw_algorithms.h does."""
    balance(source[at : at + k] * factors[:k], 0, k, target, place, step)


def balance_twins(source: Array, at: int, other: int, k: int, target: Array, place: int, step: int) -> None:
    """What `fw_balance_twins_f32` of csrc/fw_algorithms.h does."""
    for r, start in enumerate((at, other)):
        made = np.zeros((k + 2 + PIECE) // PIECE * PIECE, np.float32)
        balance(source, start, k, made, 0, PIECE)
        for i, value in enumerate(made[: k + 2]):
            target[place + i // PIECE * step + i % PIECE * 2 + r] = value


def balance_twins_scaled(
    source: Array, at: int, other: int, factors: Array, k: int, target: Array, place: int, step: int
) -> None:
    """What `fw_balance_twins_scaled_f32` of csrc/fw_algorithms.h does."""
    rows = np.stack([source[start : start + k] * factors[:k] for start in (at, other)])
    balance_twins(rows.reshape(-1), 0, k, k, target, place, step)


def floats(*shape: int, seed: int = 0) -> Array:
    """Values in [-2, 2), without zeros."""
    values = np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float32)
    return np.where(values == 0, np.float32(1), values)


def check(
    case: Case, target: Target, *, open_extents: bool = False, shares: Sequence[int] = (1, 3), tolerance: float = 2e-5
) -> None:
    """The case gives what ONNX says, however many threads share it."""
    expected = case.expected()
    for threads in shares:
        got = case.interpret(target, open_extents=open_extents, threads=threads, shares=threads)
        for array, wanted in zip(got, expected, strict=True):
            np.testing.assert_allclose(
                array, wanted, rtol=tolerance, atol=tolerance, err_msg=f"{threads} threads", strict=True
            )


node = onnx.helper.make_node
