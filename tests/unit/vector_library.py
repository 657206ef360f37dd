"""What C do the tests of the vector headers compile, and how do they call it from NumPy?"""

from __future__ import annotations

import ctypes
import functools
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from emulator import Emulator
from numpy.typing import NDArray

CSRC = Path(__file__).parents[2] / "src" / "fusewright" / "runtime" / "csrc"
Array = NDArray[Any]
X86 = platform.machine().lower() in ("x86_64", "amd64")


@dataclass(frozen=True)
class Isa:
    name: str
    lanes: int
    triple: str
    flags: tuple[str, ...]
    needs: frozenset[str] = frozenset()  # names in /proc/cpuinfo


AVX512 = Isa(
    "avx512",
    16,
    "x86_64-linux-gnu",
    ("-march=x86_64_v4", "-mprefer-vector-width=512"),
    frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"}),
)
AVX2 = Isa("avx2", 8, "x86_64-linux-gnu", ("-march=x86_64_v3",), frozenset({"avx2", "fma"}))
BASELINE = Isa("baseline", 4, "x86_64-linux-gnu", ("-march=x86_64",))
NEON = Isa("neon", 4, "aarch64-linux-gnu", ())

UNARY_F32 = (
    "exp",
    "sigmoid",
    "silu",
    "silu_log2",
    "tanh",
    "erf",
    "log",
    "log1p",
    "softplus",
    "expm1",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "asinh",
    "acosh",
    "atanh",
    "sqrt",
    "rsqrt",
    "floor",
    "ceil",
    "trunc",
    "round",
    "abs",
    "neg",
    "sign",
)
FUNCTIONS_F64 = (
    "exp", "exp_low", "tanh", "erf", "sigmoid", "softplus", "round", "floor", "ceil", "trunc", "sqrt", "sign"
)  # fmt: skip
BINARY_F32 = ("max", "min", "pow", "copysign", "mod", "fmod")
INTEGERS: dict[str, np.dtype[Any]] = {
    f"{kind}{8 * size}": np.dtype(f"{kind}{size}") for size in (1, 2, 4, 8) for kind in "iu"
}
DTYPES: dict[str, np.dtype[Any]] = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64), **INTEGERS}
INTEGER_BINARY = ("max", "min", "div", "mod", "fmod", "pow")
HALVES: dict[str, np.dtype[Any]] = {"f16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}
C_NAMES = {"f32": "float", "f64": "double", **{k: f"{v.name}_t" for k, v in INTEGERS.items()}}


def source() -> str:
    """One exported loop for each function under test."""
    lines = ['#include "fw_kernel.h"', "#define X(i) (x + (i))"]

    def loop(name: str, element: str, body: str, out: str | None = None, step: str = "FW_LANES") -> None:
        types = f"{C_NAMES[out or element]} *r, const {C_NAMES[element]} *x, const {C_NAMES[element]} *y, int64_t n"
        lines.append(f"void {name}({types}) {{ (void)y; for (int64_t i = 0; i < n; i += {step}) {{ {body} }} }}")

    for name in (*UNARY_F32, "exp_low"):
        loop(f"v_{name}_f32", "f32", f"fw_store_f32(r + i, fw_{name}_f32(fw_load_f32(x + i)));")
        loop(f"s_{name}_f32", "f32", f"r[i] = fws_{name}_f32(x[i]);")
    for name in FUNCTIONS_F64:
        loop(f"v_{name}_f64", "f64", f"fw_store_f64(r + i, fw_{name}_f64(fw_load_f64(x + i)));")
        loop(f"s_{name}_f64", "f64", f"r[i] = fws_{name}_f64(x[i]);")
    pairs = [("f32", b) for b in BINARY_F32] + [(s, b) for s in INTEGERS for b in INTEGER_BINARY]
    for element, name in pairs:
        vector = f"fw_{name}_{element}(fw_load_{element}(x + i), fw_load_{element}(y + i))"
        loop(f"v_{name}_{element}", element, f"fw_store_{element}(r + i, {vector});")
        loop(f"s_{name}_{element}", element, f"r[i] = fws_{name}_{element}(x[i], y[i]);")
    for element in INTEGERS:
        for name in ("abs", "sign"):
            loop(
                f"v_{name}_{element}",
                element,
                f"fw_store_{element}(r + i, fw_{name}_{element}(fw_load_{element}(x + i)));",
            )
            loop(f"s_{name}_{element}", element, f"r[i] = fws_{name}_{element}(x[i]);")
    for element in (e for e in INTEGERS if e.startswith("u")):
        for name in ("shl", "shr"):
            vector = f"fw_{name}_{element}(fw_load_{element}(x + i), fw_load_{element}(y + i))"
            loop(f"v_{name}_{element}", element, f"fw_store_{element}(r + i, {vector});")
    for element in C_NAMES:
        lines.append(
            f"void part_{element}({C_NAMES[element]} *r, const {C_NAMES[element]} *x, const void *y, int64_t n) "
            f"{{ (void)y; fw_store_{element}_n(r, fw_load_{element}_n(x, n) + fw_splat_{element}(1), n); }}"
        )
        lines.append(
            f"void whole_{element}({C_NAMES[element]} *r, const {C_NAMES[element]} *x, const void *y, int64_t n) "
            f"{{ (void)y; fw_store_{element}(r, fw_load_{element}_n(x, n)); }}"
        )
    for element in ("f32", "f64", "i32", "i64"):
        for name in ("hsum", "hprod", "hmax", "hmin"):
            loop(f"{name}_{element}", element, f"*r = fw_{name}_{element}(fw_load_{element}(x));")
    for half in HALVES:
        loop(f"v_value_{half}", "u16", f"fw_store_f32(r + i, fw_load_{half}(x + i));", "f32")
        loop(f"s_value_{half}", "u16", f"r[i] = fws_value_{half}(x[i]);", "f32", "1")
        loop(f"v_bits_{half}", "f32", f"fw_store_{half}(r + i, fw_load_f32(x + i));", "u16")
        loop(f"s_bits_{half}", "f32", f"r[i] = fws_bits_{half}(x[i]);", "u16", "1")
        lines.append(
            f"void part_{half}(uint16_t *r, const uint16_t *x, const void *y, int64_t n) "
            f"{{ (void)y; fw_store_{half}_n(r, fw_load_{half}_n(x, n) + 1, n); }}"
        )
    loop("s_odd_f16", "f64", "r[i] = fws_bits_f16(fws_to_odd(x[i]));", "u16", "1")
    loop("s_twice_f16", "f64", "r[i] = fws_bits_f16((float)x[i]);", "u16", "1")
    loop("select", "f32", "fw_store_f32(r + i, fw_sel_f32(fw_load_f32(x + i) < fw_load_f32(y + i), "
         "fw_load_f32(x + i), fw_splat_f32(7)));")  # fmt: skip
    loop("boolean", "f32", "fw_store_u8(r + i, fw_bool_from_mask(fw_load_f32(x + i) < fw_load_f32(y + i)));", "u8")
    return "\n".join(lines) + "\n"


def zig(*arguments: str) -> None:
    command = [sys.executable, "-m", "ziglang", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"


def compile_object(isa: Isa, folder: Path) -> Path:
    text, made = folder / "math.c", folder / f"{isa.name}.o"
    text.write_text(source())
    flags = ["-O2", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    zig("cc", *flags, "-target", isa.triple, *isa.flags, f"-DFW_LANES={isa.lanes}", f"-I{CSRC}", "-c", str(text),
        "-o", str(made))  # fmt: skip
    return made


@functools.cache
def cpu_flags() -> frozenset[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


class Library:
    """The compiled loops of one instruction set, called with NumPy arrays."""

    def __init__(self, isa: Isa, folder: Path) -> None:
        made = folder / f"{isa.name}.so"
        zig("cc", "-target", isa.triple, "-shared", "-nostdlib", str(compile_object(isa, folder)), "-o", str(made))
        self.isa, self.loaded = isa, ctypes.CDLL(str(made))

    def __call__(self, name: str, x: Array, y: Array | None = None, out: Any = None, n: int | None = None) -> Array:
        result = np.zeros(x.shape, out or x.dtype)
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (result, x, x if y is None else y)]
        getattr(self.loaded, name)(*pointers, ctypes.c_int64(x.size if n is None else n))
        return result


class EmulatedLibrary:
    """The same, run by the emulator; every array ends where a page begins that may not be touched."""

    def __init__(self, isa: Isa, folder: Path, guest: Emulator) -> None:
        made = folder / f"{isa.name}.so"
        zig("cc", "-target", isa.triple, "-shared", "-nostdlib", str(compile_object(isa, folder)), "-o", str(made))
        self.isa, self._guest, self._handle = isa, guest, guest.load(made)

    def __call__(
        self,
        name: str,
        x: Array,
        y: Array | None = None,
        out: Any = None,
        n: int | None = None,
        size: int | None = None,
    ) -> Array:
        """`size` elements of the result, unless they are as many as those of `x`."""
        result = np.zeros(x.shape if size is None else size, out or x.dtype)
        address = self._guest.address_of(self._handle, name)
        self._guest.call(address, result, x, x if y is None else y, x.size if n is None else n)
        return result


class GuardedPage:
    """One readable page followed by one that faults when touched."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __enter__(self) -> GuardedPage:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_size_t]
        private_anonymous, readable_writable = 0x22, 3
        self.address: int = libc.mmap(None, 2 * self.size, readable_writable, private_anonymous, -1, 0)
        assert libc.mprotect(ctypes.c_void_p(self.address + self.size), ctypes.c_size_t(self.size), 0) == 0
        self.view = (ctypes.c_uint8 * self.size).from_address(self.address)
        return self

    def __exit__(self, *_: object) -> None:
        ctypes.CDLL(None).munmap(ctypes.c_void_p(self.address), ctypes.c_size_t(2 * self.size))


def runs_here(isa: Isa) -> bool:
    return X86 and sys.platform == "linux" and isa.needs <= cpu_flags()
