"""Which graphs would nobody think of? Random chains and joins of everything that passes look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir

from fusewright.graph.opset import OPSET

Shape = tuple[int, ...]
BATCH = 2
"""The extent of the first dimension when the graph runs; it may be open in the graph itself."""


@dataclass
class Builder:
    """A graph in the making: every value has a known shape whose first extent is BATCH."""

    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    values: list[tuple[str, Shape]] = field(default_factory=list)

    def pick(self, rank: int | None = None) -> tuple[str, Shape] | None:
        """A value, more often a young one than an old one."""
        fit = [value for value in self.values if rank is None or len(value[1]) == rank]
        return fit[-1 - min(int(self.rng.geometric(0.5)) - 1, len(fit) - 1)] if fit else None

    def weight(self, array: npt.NDArray[Any]) -> str:
        """A new initializer."""
        name = f"w{len(self.weights)}"
        self.weights.append(onnx.numpy_helper.from_array(array, name))
        return name

    def floats(self, *shape: int) -> str:
        """A weight of numbers that keep values small."""
        return self.weight(self.rng.uniform(0.2, 0.8, shape).astype(np.float32))

    def ints(self, *items: int) -> str:
        """A shape, axes or pads."""
        return self.weight(np.array(items, np.int64))

    def add(self, op: str, inputs: list[str], shape: Shape, **attributes: Any) -> None:
        """Append a node with one output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(op, inputs, [name], name=f"n_{name}", **attributes))
        self.values.append((name, shape))


def _image(b: Builder) -> tuple[str, Shape] | None:
    return b.pick(4)


def conv(b: Builder, x: str, s: Shape) -> None:
    groups = int(b.rng.choice([1, s[1]]))
    inputs = [x, b.floats(s[1] * 2 if s[1] < 4 else s[1], s[1] // groups, 1, 1)]
    channels = s[1] * 2 if s[1] < 4 else s[1]
    if b.rng.random() < 0.5:
        inputs.append(b.floats(channels))
    b.add("Conv", inputs, (s[0], channels, s[2], s[3]), group=groups)


def conv3(b: Builder, x: str, s: Shape) -> None:
    b.add("Conv", [x, b.floats(s[1], s[1], 3, 3)], s, pads=[1, 1, 1, 1])


def padded_conv(b: Builder, x: str, s: Shape) -> None:
    b.add("Pad", [x, b.ints(0, 0, 1, 0, 0, 0, 1, 2)], (s[0], s[1], s[2] + 2, s[3] + 2))
    b.add("Conv", [b.values[-1][0], b.floats(s[1], s[1], 3, 3)], s)


def padded_pool(b: Builder, x: str, s: Shape) -> None:
    op = str(b.rng.choice(["MaxPool", "AveragePool"]))
    if b.rng.random() < 0.5:
        b.add("Relu", [x], s)
    b.add(
        "Pad",
        [b.values[-1][0] if b.values[-1][1] == s else x, b.ints(0, 0, 1, 1, 0, 0, 1, 1)],
        (*s[:2], s[2] + 2, s[3] + 2),
    )
    b.add(op, [b.values[-1][0]], s, kernel_shape=[3, 3])


def batch_norm(b: Builder, x: str, s: Shape) -> None:
    b.add("BatchNormalization", [x, *(b.floats(s[1]) for _ in range(4))], s)


def constant_operand(b: Builder, x: str, s: Shape) -> None:
    channel = (1,) * 0 + ((s[1], *[1] * (len(s) - 2)) if len(s) > 1 else ())
    last = (s[-1],)
    shape = [(), (1,), channel, last, (1, *channel)][int(b.rng.integers(5))]
    operands = [x, b.floats(*shape)]
    op = str(b.rng.choice(["Add", "Sub", "Mul", "Div"]))
    if op != "Div" and b.rng.random() < 0.5:
        operands.reverse()
    if len(shape) <= len(s):
        b.add(op, operands, s)


def neutral_operand(b: Builder, x: str, s: Shape) -> None:
    op, number = [("Mul", 1.0), ("Add", -0.0), ("Sub", 0.0), ("Div", 1.0), ("Add", 0.0)][int(b.rng.integers(5))]
    b.add(op, [x, b.weight(np.array(number, np.float32))], s)


def join(b: Builder, x: str, s: Shape) -> None:
    others = [name for name, shape in b.values if shape == s]
    b.add(str(b.rng.choice(["Add", "Mul"])), [x, str(b.rng.choice(others))], s)


def unary(b: Builder, x: str, s: Shape) -> None:
    b.add(str(b.rng.choice(["Relu", "Neg", "Sigmoid", "Identity", "Dropout"])), [x], s)


def no_op(b: Builder, x: str, s: Shape) -> None:
    choice = int(b.rng.integers(4))
    if choice == 0:
        b.add("Cast", [x], s, to=1)
    elif choice == 1:
        b.add("Concat", [x], s, axis=0)
    elif choice == 2:
        b.add("Slice", [x, b.ints(0), b.ints(2**63 - 1)], s)
    else:
        b.add("Tile", [x, b.ints(*[1] * len(s))], s)


def transpose(b: Builder, x: str, s: Shape) -> None:
    perm = [0, *(int(axis) + 1 for axis in b.rng.permutation(len(s) - 1))]
    b.add("Transpose", [x], tuple(s[axis] for axis in perm), perm=perm)


def flatten(b: Builder, x: str, s: Shape) -> None:
    b.add("Flatten", [x], (s[0], int(np.prod(s[1:]))))


def unsqueeze(b: Builder, x: str, s: Shape) -> None:
    axis = int(b.rng.integers(1, len(s) + 1))
    if len(s) < 5:
        b.add("Unsqueeze", [x, b.ints(axis)], (*s[:axis], 1, *s[axis:]))


def squeeze(b: Builder, x: str, s: Shape) -> None:
    ones = [axis for axis in range(1, len(s)) if s[axis] == 1]
    if ones:
        axis = int(b.rng.choice(ones))
        b.add("Squeeze", [x, b.ints(axis)], s[:axis] + s[axis + 1 :])


def reshape(b: Builder, x: str, s: Shape) -> None:
    size = int(np.prod(s[1:]))
    columns = int(b.rng.choice([n for n in range(1, size + 1) if size % n == 0]))
    first = int(b.rng.choice([0, -1]))
    told = (first, columns, size // columns) if b.rng.random() < 0.7 or first == -1 else (0, -1, size // columns)
    b.add("Reshape", [x, b.ints(*told)], (s[0], columns, size // columns))


def product(b: Builder, x: str, s: Shape) -> None:
    columns = int(b.rng.integers(1, 6))
    if len(s) == 2 and b.rng.random() < 0.5:
        turned = int(b.rng.integers(2))
        shape = (columns, s[1]) if turned else (s[1], columns)
        b.add("Gemm", [x, b.floats(*shape), b.floats(columns)], (s[0], columns), transB=turned, beta=0.5)
        return
    weight = b.floats(s[-1], columns)
    if b.rng.random() < 0.3:
        b.nodes.append(
            onnx.helper.make_node("Transpose", [b.floats(columns, s[-1])], [f"t{len(b.nodes)}"], perm=[1, 0])
        )
        weight = b.nodes[-1].output[0]
    b.add("MatMul", [x, weight], (*s[:-1], columns))
    if b.rng.random() < 0.7:
        b.add("Add", [b.values[-1][0], b.floats(columns)], (*s[:-1], columns))


def again(b: Builder, x: str, s: Shape) -> None:
    """The node that made x once more."""
    made = [node for node in b.nodes if node.output[0] == x]
    if made and len(made[0].output) == 1:
        twin = onnx.NodeProto()
        twin.CopyFrom(made[0])
        twin.output[0], twin.name = f"v{len(b.nodes)}", f"n_v{len(b.nodes)}"
        b.nodes.append(twin)
        b.values.append((twin.output[0], s))


Step = Callable[[Builder, str, Shape], None]
ON_IMAGES: tuple[Step, ...] = (conv, conv3, padded_conv, padded_pool)
ON_ANY: tuple[Step, ...] = (
    constant_operand,
    neutral_operand,
    join,
    unary,
    no_op,
    transpose,
    flatten,
    unsqueeze,
    squeeze,
    reshape,
    product,
    batch_norm,
    again,
)


def random_model(seed: int, steps: int = 24, more: Sequence[Step] = ()) -> ir.Model:
    """A valid model with one or two inputs, a few outputs (some in mid-chain), and perhaps an open batch.

    `more` steps are taken besides those of ON_ANY.
    """
    rng = np.random.default_rng(seed)
    b = Builder(rng)
    inputs = [("x0", (BATCH, 2, 4, 4)), ("x1", (BATCH, 6))][: int(rng.integers(1, 3))]
    b.values.extend(inputs)
    for _ in range(steps):
        image = b.pick(4)
        if image is not None and rng.random() < 0.45:
            ON_IMAGES[int(rng.integers(len(ON_IMAGES)))](b, *image)
        else:
            value = b.pick()
            assert value is not None
            on_any = (*ON_ANY, *more)
            on_any[int(rng.integers(len(on_any)))](b, *value)
        if int(np.prod(b.values[-1][1])) > 4096:
            b.values.pop()
    made = [value for value in b.values if value[0].startswith("v")]
    chosen = {made[-1][0]: made[-1][1]}
    for index in rng.choice(len(made), size=min(2, len(made)), replace=False):
        chosen[made[int(index)][0]] = made[int(index)][1]
    batch = "N" if rng.random() < 0.5 else BATCH

    def info(name: str, shape: Shape) -> onnx.ValueInfoProto:
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, *shape[1:]])

    graph = onnx.helper.make_graph(
        b.nodes, "g", [info(*value) for value in inputs], [info(*item) for item in chosen.items()], b.weights
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=10)
    result: ir.Model = ir.from_proto(onnx.shape_inference.infer_shapes(model))
    return result
