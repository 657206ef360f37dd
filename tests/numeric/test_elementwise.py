"""Do elementwise operations agree with the ONNX reference, for every dtype, shape and special value?"""

from __future__ import annotations

import itertools
import math
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from cases import Array, Cases, Constant, random_array
from onnx import helper

import fusewright as fw
from fusewright.errors import UnsupportedError
from fusewright.runtime import build

FLOATS = ("float32", "float64", "float16", "bfloat16")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
WHOLE = SIGNED + UNSIGNED
SHAPE = (3, 37)  # one vector, some lanes of a second, several rows

UNARY = (
    "Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Exp", "Erf", "Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Asinh",
    "Sigmoid", "Tanh", "Softplus", "Softsign", "Relu", "Reciprocal", "Mish", "HardSwish", "Identity", "IsNaN", "IsInf",
)  # fmt: skip
POSITIVE = ("Sqrt", "Log")
WITHIN_ONE = ("Asin", "Acos", "Atanh")
PARAMETERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("LeakyRelu", {"alpha": 0.2}), ("Elu", {"alpha": 1.5}), ("Celu", {"alpha": 0.7}), ("Selu", {}),
    ("Selu", {"alpha": 2.0, "gamma": 3.0}), ("ThresholdedRelu", {"alpha": 0.5}), ("HardSigmoid", {"alpha": 0.3}),
    ("Swish", {"alpha": 0.8}), ("Swish", {}), ("Shrink", {"lambd": 0.5, "bias": 0.2}),
)  # fmt: skip
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e30, -1e30, 1e-40, 0.5, -0.5, 2.5, 88.9, -104.0])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_functions_of_one_number(dtype: str, rng: np.random.Generator) -> None:
    cases = Cases()
    x = random_array(rng, SHAPE, dtype)
    for op in UNARY:
        if op == "Erf":  # the reference computes it in float32, whatever the dtype
            cases.add(op, x, expected=[np.vectorize(math.erf)(x.astype(np.float64)).astype(dtype)])
        elif op == "HardSwish":  # the reference has 1/6 in float32
            gate = np.clip(x.astype(np.float64) / 6 + 0.5, 0, 1)
            cases.add(op, x, expected=[(x * gate).astype(dtype)])
        else:
            cases.add(op, x)
    for op in POSITIVE:
        cases.add(op, np.abs(x) + np.array(0.01, dtype))
    for op in WITHIN_ONE:
        cases.add(op, np.clip(x / 4, -0.99, 0.99).astype(dtype))
    cases.add("Acosh", np.abs(x) + np.array(1, dtype))
    for op, attributes in PARAMETERS:
        if op != "Celu" or dtype == "float32":  # the schema has it for float32 alone
            cases.add(op, x, **attributes)
    wide = x.astype(np.float64)  # in float16 the reference rounds 1 + erf(x), and little is left of it
    exact = 0.5 * wide * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
    smooth = 0.5 * wide * (1 + np.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)))
    for approximate, y in (("none", exact), ("tanh", smooth)):
        cases.add("Gelu", x, approximate=approximate, expected=[y.astype(dtype)], tolerance=1e-5)
    cases.check()


def test_special_values_pass_as_onnx_says() -> None:
    cases = Cases()
    x = np.tile(SPECIAL, 3).astype(np.float32)
    exact = ("Abs", "Neg", "Floor", "Ceil", "Round", "Relu", "IsNaN", "IsInf", "Identity", "Sqrt", "Reciprocal")
    for op in (*exact, "Exp", "Log", "Tanh", "Sigmoid", "Erf", "Atan", "Softplus"):
        cases.add(op, x)
    cases.add("IsInf", x, detect_positive=0)
    cases.add("IsInf", x, detect_negative=0)
    cases.add("IsInf", x, detect_negative=0, detect_positive=0)
    cases.add("Clip", x, Constant(np.array(-1, np.float32)), Constant(np.array(2, np.float32)))
    y = np.roll(x, 7)
    for op in ("Max", "Min", "Add", "Sub", "Mul", "Div", "Less", "Equal", "Greater", "LessOrEqual", "GreaterOrEqual"):
        cases.add(op, x, y)
    cases.check()


@pytest.mark.parametrize("dtype", FLOATS + WHOLE)
def test_arithmetic(dtype: str, rng: np.random.Generator) -> None:
    cases = Cases()
    a, b = random_array(rng, SHAPE, dtype), random_array(rng, (37,), dtype)
    for op in ("Add", "Sub", "Mul", "Max", "Min"):
        cases.add(op, a, b)
    divisor = np.where(np.abs(b.astype(np.float64)) < 0.1, 3, b.astype(np.float64)).astype(b.dtype)
    cases.add("Div", a, divisor)
    for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"):
        cases.add(op, a, b)
    cases.add("Where", rng.random((3, 1)) < 0.5, a, b)
    cases.add("Clip", a, Constant(np.array(2, a.dtype)), Constant(np.array(50, a.dtype)))
    cases.add("Clip", a, None, Constant(np.array(1, a.dtype)))
    if dtype in FLOATS + SIGNED:
        cases.add("Neg", a)
    cases.add("Abs", a)
    if dtype in WHOLE:
        cases.add("Mod", a, divisor)
        for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
            cases.add(op, a, b)
        cases.add("BitwiseNot", a)
    if dtype != "bfloat16":
        cases.add("Mod", a, divisor, fmod=1)
        cases.add("Sign", a)
    if dtype in UNSIGNED:
        for direction in ("LEFT", "RIGHT"):
            cases.add("BitShift", a, np.arange(37).astype(dtype), direction=direction)
    if dtype in ("float32", "float64", "float16"):
        for op in ("Sum", "Mean"):
            cases.add(op, a, b, a)
        cases.add("PRelu", a, b)
    cases.check()


def test_logic(rng: np.random.Generator) -> None:
    cases = Cases()
    a, b = random_array(rng, SHAPE, "bool"), random_array(rng, (3, 1), "bool")
    for op in ("And", "Or", "Xor", "Equal"):
        cases.add(op, a, b)
    cases.add("Not", a)
    cases.add("Where", a, b, np.logical_not(b))
    cases.check()


def test_powers(rng: np.random.Generator) -> None:
    cases = Cases()
    x = np.abs(random_array(rng, SHAPE, "float32")) + np.float32(0.1)
    for exponent in (1.0, 2.0, 3.0, -1.0, 0.5, -2.5):
        cases.add("Pow", x, Constant(np.array(exponent, np.float32)))
        cases.add("Pow", x, Constant(np.array([exponent], np.float64)))
    cases.add("Pow", x, rng.integers(-3, 4, SHAPE))
    cases.add("Pow", -x, rng.integers(-3, 4, (37,)).astype(np.int32))
    cases.add("Pow", x.astype(np.float16), rng.standard_normal(SHAPE).astype(np.float16))
    whole = rng.integers(-6, 7, SHAPE)
    cases.add("Pow", whole, rng.integers(0, 5, SHAPE))
    cases.add("Pow", whole.astype(np.int32), rng.integers(0, 5, (37,)).astype(np.int32))
    cases.add("Pow", np.abs(whole).astype(np.int32) + np.int32(1), rng.random(SHAPE).astype(np.float32))
    cases.check()


def test_every_cast(rng: np.random.Generator) -> None:
    cases = Cases()
    kinds = (*FLOATS, *WHOLE, "bool")
    for source, target in itertools.product(kinds, kinds):
        x = random_array(rng, (5, 17), source)
        if target in UNSIGNED and source in FLOATS:
            x = np.abs(x)  # C leaves negative floats as unsigned numbers open
        dtype = np.dtype(ml_dtypes.bfloat16) if target == "bfloat16" else np.dtype(target)
        cases.add("Cast", x, to=helper.np_dtype_to_tensor_dtype(dtype), expected=[x.astype(dtype)])
    cases.check()


def test_casts_round_once() -> None:
    half = np.float16(1) + np.arange(9, dtype=np.float64) * 2.0**-11
    tricky = np.concatenate([half + 2.0**-40, half - 2.0**-40, [65519.99, 65520.0, 1e-8, 5.96e-8, 2.0**-25, 1e300]])
    cases = Cases()
    for x in (tricky, -tricky):
        with np.errstate(over="ignore"):
            cases.add("Cast", x, to=onnx.TensorProto.FLOAT16, expected=[x.astype(np.float16)])
    cases.check()


def test_quantization(rng: np.random.Generator) -> None:
    cases = Cases()
    x = random_array(rng, (2, 5, 19), "float32")
    scale = (rng.random(5) / 20 + 0.01).astype(np.float32)
    for dtype in ("uint8", "int8", "uint16", "int16"):
        zero = random_array(rng, (5,), dtype)
        cases.add("QuantizeLinear", x, Constant(scale[0:1]), Constant(zero[0:1]))
        cases.add("QuantizeLinear", x, Constant(scale), Constant(zero), axis=1)
        q = random_array(rng, (2, 5, 19), dtype)
        cases.add("DequantizeLinear", q, Constant(scale[0:1]), Constant(zero[0:1]))
        cases.add("DequantizeLinear", q, Constant(scale), Constant(zero), axis=-2)
    blocks = (rng.random((2, 5, 4)) + 0.1).astype(np.float32)
    cases.add("DequantizeLinear", random_array(rng, (2, 5, 16), "int8"), Constant(blocks), axis=2, block_size=4)
    cases.check()


def broadcast_pairs(rng: np.random.Generator, count: int) -> list[tuple[tuple[int, ...], ...]]:
    """Shapes that broadcast together: ranks 0 to 5, extents of 0, 1, and around the width of a vector."""
    made = []
    for _ in range(count):
        chances = [0.04] + [0.96 / 7] * 7
        shape = tuple(int(d) for d in rng.choice([0, 1, 2, 3, 7, 16, 17, 33], rng.integers(0, 5), p=chances))
        operands = []
        for _ in range(3):
            start = rng.integers(0, len(shape) + 1)
            operands.append(tuple(1 if rng.random() < 0.3 and d != 0 else d for d in shape[start:]))
        made.append(tuple(operands))
    return made


@pytest.mark.parametrize("threads", [1, 2])
def test_broadcasting(threads: int, rng: np.random.Generator) -> None:
    cases = Cases()
    for a, b, c in broadcast_pairs(rng, 24):
        x, y = (random_array(rng, s, "float32") for s in (b, c))
        cases.add("Where", random_array(rng, a, "bool"), x, y)
        cases.add("Sum", *(random_array(rng, s, "int32").astype(np.float32) for s in (a, b, c)))
        cases.add("Add", random_array(rng, a, "int64"), random_array(rng, b, "int64"))
    cases.check(threads)


def sized(rng: np.random.Generator, rows: int, columns: int) -> Cases:
    cases = Cases()
    x = random_array(rng, (rows, columns), "float32")
    cases.add("Gelu", x, open_dims=True, tolerance=1e-5)
    cases.add("Add", x, random_array(rng, (columns,), "float32"), open_dims=True)
    return cases


def test_new_sizes_call_no_compiler(rng: np.random.Generator) -> None:
    session = sized(rng, 5, 30).check()
    started = build.compiler_starts
    for rows, columns in ((2, 17), (33, 100), (70, 6)):
        sized(rng, rows, columns).check(session=session)
    assert build.compiler_starts == started


def test_dropout_keeps_everything(rng: np.random.Generator) -> None:
    x: Array = random_array(rng, SHAPE, "float32")
    cases = Cases()
    cases.add("Dropout", x, outputs=2)
    cases.check()


def test_unsupported_dtypes_are_refused() -> None:
    cases = Cases()
    cases.add("Cast", np.ones(3, np.float32), to=onnx.TensorProto.FLOAT8E4M3FN, expected=[np.ones(3)])
    with pytest.raises(UnsupportedError, match="float8e4m3fn"):
        fw.compile(cases.model())
