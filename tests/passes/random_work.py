"""What fusion has to decide about, as steps of random graphs: reductions, activations, normalisation, movement."""

from __future__ import annotations

import numpy as np
import onnx

from .random_graphs import Builder, Shape, Step


def activation(b: Builder, x: str, s: Shape) -> None:
    b.add(str(b.rng.choice(["HardSwish", "HardSigmoid", "Tanh", "Softplus", "Abs", "Elu", "Erf", "Gelu"])), [x], s)


def silu(b: Builder, x: str, s: Shape) -> None:
    b.add("Sigmoid", [x], s)
    pair = [x, b.values[-1][0]]
    b.add("Mul", pair if b.rng.random() < 0.5 else pair[::-1], s)


def clip(b: Builder, x: str, s: Shape) -> None:
    b.add("Clip", [x, b.floats(), ""], s)


def reduction(b: Builder, x: str, s: Shape) -> None:
    if len(s) < 2:
        return
    count = int(b.rng.integers(1, len(s)))
    axes = sorted(int(a) + 1 for a in b.rng.choice(len(s) - 1, size=count, replace=False))
    op = str(b.rng.choice(["ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2"]))
    kept = int(b.rng.integers(2)) if len(s) - count >= 2 else 1  # other steps need channels
    shape = tuple(1 if d in axes else e for d, e in enumerate(s) if kept or d not in axes)
    b.add(op, [x, b.ints(*axes)], shape, keepdims=kept)


def around_a_reduction(b: Builder, x: str, s: Shape) -> None:
    """x - mean(x), and x / sum(x): what decomposed normalisations are made of."""
    axis = int(b.rng.integers(1, len(s))) if len(s) > 1 else 0
    op = str(b.rng.choice(["ReduceMean", "ReduceMax", "ReduceSum"]))
    b.add(op, [x, b.ints(axis)], tuple(1 if d == axis else e for d, e in enumerate(s)), keepdims=1)
    b.add(str(b.rng.choice(["Sub", "Add"])), [x, b.values[-1][0]], s)


def softmax(b: Builder, x: str, s: Shape) -> None:
    b.add(str(b.rng.choice(["Softmax", "LogSoftmax"])), [x], s, axis=int(b.rng.integers(len(s))))


def layer_norm(b: Builder, x: str, s: Shape) -> None:
    b.add("LayerNormalization", [x, b.floats(s[-1]), b.floats(s[-1])], s, axis=-1)


def squeeze_and_excite(b: Builder, x: str, s: Shape) -> None:
    if len(s) != 4:
        return
    b.add("GlobalAveragePool", [x], (*s[:2], 1, 1))
    b.add("Conv", [b.values[-1][0], b.floats(s[1], s[1], 1, 1)], (*s[:2], 1, 1))
    b.add("HardSigmoid", [b.values[-1][0]], (*s[:2], 1, 1))
    b.add("Mul", [x, b.values[-1][0]], s)


def smaller_operand(b: Builder, x: str, s: Shape) -> None:
    """An operand with extents of 1 that a run computes."""
    if len(s) < 2:
        return
    b.add("ReduceMax", [x, b.ints(len(s) - 1)], (*s[:-1], 1), keepdims=1)
    b.add(str(b.rng.choice(["Neg", "Sigmoid"])), [b.values[-1][0]], (*s[:-1], 1))
    b.add("Mul", [b.values[-1][0], x], s)


def sliced(b: Builder, x: str, s: Shape) -> None:
    axis = int(b.rng.integers(1, len(s))) if len(s) > 1 else 0
    if s[axis] < 2 or axis == 0:
        return
    shape = tuple(e - 1 if d == axis else e for d, e in enumerate(s))
    b.add("Slice", [x, b.ints(1), b.ints(2**31), b.ints(axis)], shape)


def halves(b: Builder, x: str, s: Shape) -> None:
    """Split, and its two parts joined the other way round."""
    axis = len(s) - 1
    if axis == 0 or s[axis] % 2:
        return
    half = (*s[:-1], s[-1] // 2)
    first = len(b.nodes)
    names = [f"s{first}a", f"s{first}b"]
    b.nodes.append(onnx.helper.make_node("Split", [x], names, axis=axis, num_outputs=2, name=f"n_s{first}"))
    b.values += [(n, half) for n in names]
    b.add("Concat", names[::-1], s, axis=axis)


def best(b: Builder, x: str, s: Shape) -> None:
    """The values of TopK, or what lies where they are; the other result is not read."""
    axis = int(b.rng.integers(len(s)))
    k = int(b.rng.integers(1, s[axis] + 1)) if axis else s[0]
    shape = tuple(k if d == axis else e for d, e in enumerate(s))
    name = f"v{len(b.nodes)}"
    b.nodes.append(onnx.helper.make_node("TopK", [x, b.ints(k)], [name, f"{name}_at"], name=f"n_{name}", axis=axis))
    if b.rng.random() < 0.5:
        b.values.append((name, shape))
    else:
        b.add("GatherElements", [x, f"{name}_at"], shape, axis=axis)


def number_like(b: Builder, x: str, s: Shape) -> None:
    """A number of another type, cast like what it scales."""
    name = f"v{len(b.nodes)}"
    number = b.weight(np.array(-1, np.int32))
    b.nodes.append(onnx.helper.make_node("CastLike", [number, x], [name], name=f"n_{name}"))
    b.add("Mul", [x, name], s)


def filters_of_a_picture(b: Builder, x: str, s: Shape) -> None:
    """The corner of the first picture, as filters that slide over all."""
    if len(s) != 4 or min(s[2:]) < 3:
        return
    b.add("Slice", [x, b.ints(0, 0, 0), b.ints(1, 3, 3), b.ints(0, 2, 3)], (1, s[1], 3, 3))
    b.add("Reshape", [b.values[-1][0], b.ints(s[1], 1, 3, 3)], (s[1], 1, 3, 3))
    filters = b.values.pop()[0]  # its first extent is not the batch's
    b.values.pop()
    b.add("Conv", [x, filters], s, group=s[1], pads=[1, 1, 1, 1])


def gated_product(b: Builder, x: str, s: Shape) -> None:
    """Neg(x) * Tanh(x) in front of a product: of the three some may go into its kernel."""
    if len(s) != 4:
        return
    b.add("Neg", [x], s)
    negative = b.values[-1][0]
    others = [name for name, shape in b.values if shape == s]
    b.add("Tanh", [str(b.rng.choice(others))], s)
    b.add("Mul", [negative, b.values[-1][0]], s)
    b.add("Conv", [b.values[-1][0], b.floats(s[1], s[1], 1, 1)], s)


MORE: tuple[Step, ...] = (
    activation,
    silu,
    clip,
    reduction,
    around_a_reduction,
    softmax,
    layer_norm,
    squeeze_and_excite,
    smaller_operand,
    sliced,
    halves,
    best,
    number_like,
    filters_of_a_picture,
    gated_product,
)
