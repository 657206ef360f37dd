"""Do fw_vec.h, fw_math.h and fw_scalar.h keep what their comments promise, on each instruction set?

One library is compiled for each of AVX-512, AVX2 and baseline x86-64; those that this machine cannot run are compiled
only. NEON runs in an emulator where there is one. Functions of one float are compared with double precision at every
997th of all 2**32 bit patterns (emulated: a sixteenth of these).
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from emulator import emulator
from vector_library import (
    AVX2,
    AVX512,
    BASELINE,
    BINARY_F32,
    C_NAMES,
    DTYPES,
    HALVES,
    INTEGER_BINARY,
    INTEGERS,
    NEON,
    UNARY_F32,
    Array,
    EmulatedLibrary,
    GuardedPage,
    Isa,
    Library,
    compile_object,
    runs_here,
)

STRIDE = 997  # a prime: every exponent and many patterns of low bits
EMULATED_STRIDE = 16  # of these
AnyLibrary = Library | EmulatedLibrary
FLUSHED = 1.7e-38  # results below it may be 0 where the bound says so
SILU_FLUSHED = 1.6e-36


@dataclass(frozen=True)
class Bound:
    """Largest error in ulp of the result; results smaller than `flush` may be 0; `more` tells what is added to it for
    each argument."""

    reference: Callable[[Array], Array]
    ulp: float
    flush: float = 0.0
    more: Callable[[Isa, Array], Array | float] = lambda isa, x: 0.0


def sigmoid(x: Array) -> Array:
    return np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))


def silu_log2(x: Array) -> Array:
    y = x * -math.log(2)
    return np.multiply(y, sigmoid(y))


def far(x: Array) -> Array:
    """How far x is above 0, where results are not 0 yet."""
    size: Array = np.clip(np.nan_to_num(x), 0, 100)
    return size


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def erf(x: Array) -> Array:
    """math.erf is slow by element: the ends, where erf is x * 2/sqrt(pi) or 1 to double precision, go without."""
    size = np.abs(x)
    result = np.where(size < 1e-9, x * (2 / math.sqrt(math.pi)), np.copysign(1.0, x))
    middle = (size >= 1e-9) & (size < 6)
    result[middle] = [math.erf(value) for value in x[middle]]
    return np.where(np.isnan(x), x, result)


# The bounds that the table in fw_math.h states.
BOUNDS = {
    "exp": Bound(np.exp, 2.5, flush=FLUSHED),
    "sigmoid": Bound(sigmoid, 4, flush=FLUSHED),
    "silu": Bound(lambda x: x * sigmoid(x), 4, SILU_FLUSHED, lambda isa, x: (isa is AVX512) * (4.5 + 1.25 * far(-x))),
    "silu_log2": Bound(silu_log2, 4, SILU_FLUSHED, lambda isa, x: 6 * (isa is AVX512)),
    "tanh": Bound(np.tanh, 6),
    "erf": Bound(erf, 7),
    "log": Bound(np.log, 1),
    "log1p": Bound(np.log1p, 2),
    "softplus": Bound(softplus, 4, flush=FLUSHED),
    "expm1": Bound(np.expm1, 4.5),
    "sin": Bound(np.sin, 2.5),
    "cos": Bound(np.cos, 2.5),
    "tan": Bound(np.tan, 4.5),
    "asin": Bound(np.arcsin, 3),
    "acos": Bound(np.arccos, 2),
    "atan": Bound(np.arctan, 2),
    "sinh": Bound(np.sinh, 3.5),
    "cosh": Bound(np.cosh, 3.5),
    "asinh": Bound(np.arcsinh, 3),
    "acosh": Bound(np.arccosh, 2.5),
    "atanh": Bound(np.arctanh, 3),
    "sqrt": Bound(np.sqrt, 0.5),
    "rsqrt": Bound(lambda x: 1 / np.sqrt(x), 1.5),
    "floor": Bound(np.floor, 0),
    "ceil": Bound(np.ceil, 0),
    "trunc": Bound(np.trunc, 0),
    "round": Bound(np.rint, 0),
    "abs": Bound(np.abs, 0),
    "neg": Bound(np.negative, 0),
    "sign": Bound(np.sign, 0),
}


@pytest.fixture(scope="module", params=[AVX512, AVX2, BASELINE, NEON], ids=lambda isa: isa.name)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Library | EmulatedLibrary:
    isa: Isa = request.param
    folder = tmp_path_factory.mktemp(isa.name)
    if isa is NEON:
        return EmulatedLibrary(isa, folder, emulator())
    if not runs_here(isa):
        compile_object(isa, folder)
        pytest.skip(f"compiled, but this machine lacks {isa.name}")
    return Library(isa, folder)


def test_neon_compiles(tmp_path: Path) -> None:
    assert compile_object(NEON, tmp_path).stat().st_size > 0


@functools.cache
def every_exponent() -> Array:
    bits = np.arange(0, 2**32, STRIDE, dtype=np.uint64).astype(np.uint32)
    return bits[: len(bits) // 256 * 256].view(np.float32)  # whole vectors, also of every sixteenth


@functools.cache
def reference(name: str) -> Array:
    with np.errstate(all="ignore"):
        return BOUNDS[name].reference(every_exponent().astype(np.float64))


def ulp_errors(got: Array, wanted: Array) -> Array:
    """Errors in units of the last place of the result; wrong infinities and NaN count as infinite."""
    with np.errstate(all="ignore"):
        rounded = wanted.astype(np.float32)
        finite = np.isfinite(rounded) & np.isfinite(got)
        unit = np.spacing(np.where(finite, np.abs(rounded), 1)).astype(np.float64)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        return np.where(finite, np.abs(got - wanted) / unit, np.where(same, 0, np.inf))


@pytest.mark.parametrize("name", UNARY_F32)
def test_error_over_every_exponent(library: AnyLibrary, name: str) -> None:
    few = slice(None, None, EMULATED_STRIDE if isinstance(library, EmulatedLibrary) else 1)
    bound, x, wanted = BOUNDS[name], every_exponent()[few], reference(name)[few]
    got = library(f"v_{name}_f32", x)
    errors = ulp_errors(got, wanted)
    errors[(np.abs(wanted) < bound.flush) & (got == 0)] = 0
    errors -= bound.more(library.isa, x)
    worst = int(np.argmax(errors))
    assert errors[worst] <= bound.ulp, f"{name}({x[worst]!r}) = {got[worst]!r}, should be {wanted[worst]!r}"
    zeros = (got == 0) & (wanted == 0)
    assert np.array_equal(np.signbit(got[zeros]), np.signbit(wanted[zeros])), "sign of zero"


INF, NAN = math.inf, math.nan
SPECIAL: dict[str, dict[float, float]] = {
    "exp": {0.0: 1, INF: INF, -INF: 0, 88.72284: INF, -104.0: 0},
    "sigmoid": {0.0: 0.5, INF: 1, -INF: 0, 40.0: 1, -1000.0: 0},
    "silu": {INF: INF, -INF: NAN, 1e30: 1e30, -1e30: -0.0, 100.0: 100},
    "silu_log2": {INF: NAN, -INF: INF, 1e30: -0.0, 0.0: -0.0},
    "tanh": {INF: 1, -INF: -1, 9.1: 1, -20.0: -1, 1e-45: 1e-45},
    "erf": {INF: 1, -INF: -1, 4.0: 1, -4.0: -1},
    "log": {1.0: 0, 0.0: -INF, INF: INF, -1.0: NAN, -INF: NAN},
    "log1p": {-1.0: -INF, -1.5: NAN, INF: INF, -INF: NAN},
    "softplus": {INF: INF, -INF: 0, 100.0: 100},
    "expm1": {INF: INF, -INF: -1},
    "sin": {INF: NAN, -INF: NAN},
    "cos": {0.0: 1, INF: NAN},
    "tan": {INF: NAN},
    "asin": {1.0: 1.5707964, -1.0: -1.5707964, 1.0000001: NAN, -2.0: NAN, INF: NAN},
    "acos": {1.0: 0.0, -1.0: 3.1415927, 0.0: 1.5707964, 1.0000001: NAN, -INF: NAN},
    "atan": {INF: 1.5707964, -INF: -1.5707964},
    "sinh": {INF: INF, -INF: -INF, 90.0: INF},
    "cosh": {0.0: 1, INF: INF, -INF: INF, 90.0: INF},
    "asinh": {INF: INF, -INF: -INF},
    "acosh": {1.0: 0.0, 0.5: NAN, -3.0: NAN, INF: INF, -INF: NAN},
    "atanh": {1.0: INF, -1.0: -INF, 1.5: NAN, -INF: NAN},
    "sqrt": {-1.0: NAN, INF: INF},
    "rsqrt": {0.0: INF, INF: 0, -1.0: NAN, 4.0: 0.5},
    "round": {0.5: 0.0, 1.5: 2, 2.5: 2, -0.5: -0.0, -2.5: -2, 8388609.0: 8388609, INF: INF, -INF: -INF},
    "floor": {-0.5: -1, INF: INF},
    "ceil": {-0.5: -0.0, 0.5: 1, -INF: -INF},
    "trunc": {-0.5: -0.0, 1.9: 1, -1.9: -1},
    "sign": {-INF: -1, 1e-45: 1},
    "abs": {-INF: INF},
    "neg": {INF: -INF},
}
KEEP_ZERO = {"silu", "tanh", "erf", "log1p", "expm1", "sin", "tan", "asin", "atan", "sinh", "asinh", "atanh", "sqrt",
             "round", "floor", "ceil", "trunc", "sign"}  # fmt: skip


def special_cases(name: str) -> tuple[Array, Array]:
    """Arguments and the exact results; zeros of both signs stay what they are in KEEP_ZERO."""
    pairs = [*SPECIAL[name].items(), (NAN, NAN)] + ([(0.0, 0.0), (-0.0, -0.0)] if name in KEEP_ZERO else [])
    arguments, results = np.array(pairs, np.float32).T
    return arguments.copy(), results.copy()


@pytest.mark.parametrize("name", UNARY_F32)
def test_special_values(library: AnyLibrary, name: str) -> None:
    arguments, wanted = special_cases(name)
    got = library(f"v_{name}_f32", np.resize(arguments, 64))[: len(wanted)]
    np.testing.assert_array_equal(got, wanted)
    zeros = wanted == 0
    assert np.array_equal(np.signbit(got[zeros]), np.signbit(wanted[zeros]))


@pytest.mark.parametrize("name", UNARY_F32)
def test_scalar_is_the_vector_lane(library: AnyLibrary, name: str) -> None:
    """The scalar loop steps by whole vectors: its results are the lanes 0."""
    x = every_exponent()[::64][: 16 * 1024].copy()
    vector, scalar = (library(f"{kind}_{name}_f32", x)[:: library.isa.lanes] for kind in "vs")
    assert np.array_equal(vector, scalar, equal_nan=True)


@pytest.mark.parametrize("kind", ["v", "s"])
def test_exp_low_is_exp(library: AnyLibrary, kind: str) -> None:
    x = every_exponent()
    x = x[~(x > 89)][:: 16 * 4]
    x = x[: len(x) // 16 * 16].copy()
    assert np.isnan(x).any() and (x > 88).any()
    step = library.isa.lanes if kind == "s" else 1
    low, plain = (library(f"{kind}_{name}_f32", x)[::step] for name in ("exp_low", "exp"))
    assert np.array_equal(low, plain, equal_nan=True)


@pytest.mark.parametrize("name", ["tanh", "erf", "sigmoid"])
def test_never_beyond_the_limit(library: AnyLibrary, name: str) -> None:
    x = np.linspace(2, 20, 1 << 20, dtype=np.float32)
    assert np.max(library(f"v_{name}_f32", x)) == 1


FUNCTIONS_F64: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp, "exp_low": np.exp, "tanh": np.tanh, "erf": erf, "sigmoid": sigmoid, "softplus": softplus,
    "round": np.rint, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "sqrt": np.sqrt, "sign": np.sign,
}  # fmt: skip


@pytest.mark.parametrize("name", list(FUNCTIONS_F64))
def test_double_precision(library: AnyLibrary, name: str) -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.standard_normal(1000) * 10, [0.0, -0.0, INF, -INF, NAN, 0.5, 2.5, -1.5, 2.0**52 + 1] * 8])
    x = np.resize(x, 1072 // 16 * 16)
    with np.errstate(all="ignore"):
        wanted = FUNCTIONS_F64[name](x)
    np.testing.assert_allclose(library(f"v_{name}_f64", x), wanted, rtol=1e-14, atol=1e-300)
    scalar = library(f"s_{name}_f64", x)[:: library.isa.lanes]
    np.testing.assert_allclose(scalar, wanted[:: library.isa.lanes], rtol=1e-14, atol=1e-300)


def float_pairs() -> tuple[Array, Array]:
    """Every pair of awkward values, then random ones."""
    awkward = [0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, INF, -INF, NAN, 1e-40, -1e-40, 3e38, -3e38, 1e9, 16777216,
               -16777215, 0.99999994, 1.0000001]  # fmt: skip
    grid = np.array(np.meshgrid(awkward, awkward), np.float32).reshape(2, -1)
    rng = np.random.default_rng(2)
    wild = rng.integers(0, 2**32, 1 << 16, dtype=np.uint32).view(np.float32)
    x = np.concatenate([grid[0], wild, np.exp(rng.standard_normal(1 << 16) * 3).astype(np.float32)])
    y = np.concatenate([grid[1], np.round(rng.standard_normal(1 << 16) * 9), rng.standard_normal(1 << 16) * 9])
    whole = len(x) // 16 * 16
    return x[:whole].copy(), y[:whole].astype(np.float32)


@pytest.mark.parametrize("name", BINARY_F32)
def test_two_floats(library: AnyLibrary, name: str) -> None:
    x, y = float_pairs()
    functions = {"max": np.maximum, "min": np.minimum, "pow": np.power, "copysign": np.copysign, "mod": np.mod,
                 "fmod": np.fmod}  # fmt: skip
    precise = np.float64 if name == "pow" else np.float32  # the others are exact in float32
    with np.errstate(all="ignore"):
        wanted = functions[name](x.astype(precise), y.astype(precise))
    if name == "mod":  # with an infinite divisor NumPy's result depends on its version
        plain = np.isfinite(x) & np.isfinite(y)
        x, y, wanted = (np.resize(a[plain], plain.sum() // 16 * 16) for a in (x, y, wanted))
    got = library(f"v_{name}_f32", x, y)
    assert np.max(ulp_errors(got, wanted)) <= (0.51 if name == "pow" else 0)
    lanes = slice(None, None, library.isa.lanes)
    assert np.array_equal(library(f"s_{name}_f32", x, y)[lanes], got[lanes], equal_nan=True)


def integer_expected(name: str, a: int, b: int) -> int:
    """In unbounded integers; the caller wraps."""
    if name in ("max", "min"):
        return max(a, b) if name == "max" else min(a, b)
    if name == "pow":
        if b >= 0:
            return pow(a, b, 2**64)
        return {1: 1, -1: -1 if b % 2 else 1}.get(a, 0)
    if b == 0:
        return 0
    truncated = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return {"div": truncated, "fmod": a - truncated * b, "mod": a % b}[name]


@pytest.mark.parametrize("element", list(INTEGERS))
@pytest.mark.parametrize("name", INTEGER_BINARY)
def test_two_integers(library: AnyLibrary, name: str, element: str) -> None:
    dtype = INTEGERS[element]
    limits, rng = np.iinfo(dtype), np.random.default_rng(3)
    edge = [limits.min, limits.min + 1, 0, 1, 2, 3, 7, limits.max - 1, limits.max]
    edge += [-1, -2, -7] if limits.min else []
    pairs = [(a, b) for a in edge for b in edge]
    bases = rng.integers(limits.min, limits.max, 112, dtype).tolist()
    pairs += zip(bases, rng.integers(0, 9, 112).tolist(), strict=True)
    pairs = pairs[: len(pairs) // 16 * 16]
    x, y = (np.array(side, dtype) for side in zip(*pairs, strict=True))
    bits = 8 * x.itemsize
    wanted = np.array([integer_expected(name, a, b) % 2**bits for a, b in pairs], f"u{x.itemsize}").view(dtype)
    got = library(f"v_{name}_{element}", x, y)
    assert got.tolist() == wanted.tolist()
    lanes = slice(None, None, library.isa.lanes)
    assert library(f"s_{name}_{element}", x, y)[lanes].tolist() == wanted[lanes].tolist()


@pytest.mark.parametrize("element", list(INTEGERS))
def test_one_integer(library: AnyLibrary, element: str) -> None:
    limits = np.iinfo(INTEGERS[element])
    x = np.array([limits.min, limits.max, 0, 1, *([-1, -7] if limits.min else [2, 9]), *range(10)], limits.dtype)
    for name, wanted in {"abs": np.abs(x), "sign": np.sign(x)}.items():
        assert library(f"v_{name}_{element}", x).tolist() == wanted.tolist()
        lanes = slice(None, None, library.isa.lanes)
        assert library(f"s_{name}_{element}", x)[lanes].tolist() == wanted[lanes].tolist()


@pytest.mark.parametrize("element", [e for e in INTEGERS if e.startswith("u")])
def test_shifts_of_any_count(library: AnyLibrary, element: str) -> None:
    dtype = INTEGERS[element]
    x = np.array([0b1011_0101] * 16, dtype)
    y = np.array([0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 200], dtype)
    for name, shift in {"shl": int.__lshift__, "shr": int.__rshift__}.items():
        wanted = [shift(a, b) % 2 ** (8 * dtype.itemsize) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        assert library(f"v_{name}_{element}", x, y).tolist() == wanted


@pytest.mark.parametrize("element", list(C_NAMES))
def test_partial_access_touches_only_its_lanes(library: AnyLibrary, element: str) -> None:
    dtype = DTYPES[element]
    lanes, page = library.isa.lanes, 4096
    if isinstance(library, EmulatedLibrary):
        for n in range(lanes + 1):
            x = np.arange(1, n + 1).astype(dtype)
            assert library(f"whole_{element}", x, n=n, size=lanes).tolist() == [*range(1, n + 1), *[0] * (lanes - n)]
            assert library(f"part_{element}", x, n=n).tolist() == list(range(2, n + 2))
        return
    with GuardedPage(page) as guarded:
        for n in range(lanes + 1):
            at_end = np.ctypeslib.as_array(guarded.view).view(dtype)[page // dtype.itemsize - n :]
            at_end[:] = np.arange(1, n + 1)
            result = np.full(lanes, 99, dtype)
            pointers = ctypes.c_void_p(result.ctypes.data), ctypes.c_void_p(guarded.address + page - n * dtype.itemsize)
            getattr(library.loaded, f"whole_{element}")(*pointers, None, ctypes.c_int64(n))
            assert result.tolist() == [*range(1, n + 1), *[0] * (lanes - n)]
            result[:] = 99
            getattr(library.loaded, f"part_{element}")(*pointers, None, ctypes.c_int64(n))
            assert result.tolist() == [*range(2, n + 2), *[99] * (lanes - n)]
            getattr(library.loaded, f"part_{element}")(*pointers[1:] * 2, None, ctypes.c_int64(n))
            assert at_end.tolist() == list(range(2, n + 2))


@pytest.mark.parametrize("element", ["f32", "f64", "i32", "i64"])
def test_across_lanes(library: AnyLibrary, element: str) -> None:
    dtype = DTYPES[element]
    lanes = library.isa.lanes
    x = np.array([3, -5, 2, 1, 1, -2, 1, 4, 1, 1, -1, 1, 2, 1, 1, -3][:lanes], dtype)
    wanted = {"hsum": x.sum(), "hprod": x.prod(), "hmax": x.max(), "hmin": x.min()}
    assert {name: library(f"{name}_{element}", x)[0] for name in wanted} == wanted
    if element.startswith("f"):
        for lane in range(lanes):
            y = x.copy()
            y[lane] = NAN
            assert all(np.isnan(library(f"{name}_{element}", y)[0]) for name in wanted)


def test_select_and_bool(library: AnyLibrary) -> None:
    x, y = float_pairs()
    with np.errstate(all="ignore"):
        less = x < y
    assert np.array_equal(library("select", x, y), np.where(less, x, np.float32(7)), equal_nan=True)
    assert np.array_equal(library("boolean", x, y, out=np.uint8), less.astype(np.uint8))


def between_halves(half: str) -> Array:
    """Each finite half, the middles between neighbours, and the float32 next to all of these; NaN and infinity."""
    with np.errstate(invalid="ignore"):
        values = np.arange(1 << 16, dtype=np.uint16).view(HALVES[half]).astype(np.float64)
    finite = np.unique(values[np.isfinite(values)])
    middles = (finite[1:] + finite[:-1]) / 2
    over = finite[-1] + (finite[-1] - finite[-2]) / 2  # what is at least as large becomes infinity
    points = np.concatenate([finite, middles, [over, -over]]).astype(np.float32)
    edges = np.array([np.inf, -np.inf, np.nan, -np.nan, 3e38, 1e-45, -1e-45, 0.0, -0.0], np.float32)
    return np.concatenate([points, np.nextafter(points, np.inf), np.nextafter(points, -np.inf), edges])


def same_halves(made: Array, wanted: Array, half: str) -> None:
    with np.errstate(invalid="ignore"):
        a, b = made.view(HALVES[half]).astype(np.float32), wanted.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
    known = ~np.isnan(b)
    np.testing.assert_array_equal(made[known], wanted.view(np.uint16)[known])


@pytest.mark.parametrize("kind", ["v", "s"])
@pytest.mark.parametrize("half", list(HALVES))
def test_halves_and_their_values(library: AnyLibrary, half: str, kind: str) -> None:
    """Every half has its value; every float32 is rounded to the nearest half, ties to even."""
    every = np.arange(1 << 16, dtype=np.uint16)
    with np.errstate(invalid="ignore"):
        values = every.view(HALVES[half]).astype(np.float32)
    np.testing.assert_array_equal(library(f"{kind}_value_{half}", every, out=np.float32), values)
    x = between_halves(half)
    x = np.concatenate([x, np.zeros(-len(x) % 16, np.float32)])
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = x.astype(HALVES[half])
    same_halves(library(f"{kind}_bits_{half}", x, out=np.uint16), wanted, half)


def test_a_double_becomes_a_half_in_one_rounding_or_in_two(library: AnyLibrary) -> None:
    middles = between_halves("f16").astype(np.float64)
    x = np.concatenate([middles, middles * (1 + 2.0**-40), middles * (1 - 2.0**-40), [1e300, -1e300, 1e-300, 0.0]])
    x = np.concatenate([x, np.zeros(-len(x) % 16)])
    with np.errstate(over="ignore", invalid="ignore"):
        once, twice = x.astype(np.float16), x.astype(np.float32).astype(np.float16)
    assert np.any(once.view(np.uint16) != twice.view(np.uint16))
    same_halves(library("s_odd_f16", x, out=np.uint16), once, "f16")
    same_halves(library("s_twice_f16", x, out=np.uint16), twice, "f16")


@pytest.mark.parametrize("half", list(HALVES))
def test_partial_access_to_halves(library: AnyLibrary, half: str) -> None:
    x = np.arange(16, dtype=np.float32).astype(HALVES[half])
    for n in range(library.isa.lanes + 1):
        made = library(f"part_{half}", x.view(np.uint16), n=n).view(HALVES[half])
        np.testing.assert_array_equal(made[:n].astype(np.float32), x[:n].astype(np.float32) + 1)
        assert not made[n:].astype(np.float32).any()
