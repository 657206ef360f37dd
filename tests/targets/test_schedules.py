"""Do the kernels of every schedule compute what ONNX says, on each instruction set that is here or can be emulated?

The other tests of kernels run on the best that this machine has, or in the interpreter.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from emulator import emulator
from kernel_cases import Array, Case
from narrowed import runnable
from schedule_cases import CASES

from fusewright.codegen.c import print_kernel
from fusewright.kernel.loops import KEPT_BYTES
from fusewright.runtime.compiler import Commands, find_compiler
from fusewright.runtime.loader import address_of, open_library
from fusewright.schedules.task import Lowered
from fusewright.target import missing_features
from fusewright.target.arm import NEON
from fusewright.target.host import host_arch
from fusewright.target.target import Target
from fusewright.target.x86 import AVX2, AVX512, SSE2

THREADS = 2
EXPORTED = '__attribute__((visibility("default"))) void'
ARGUMENTS = "(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch)"
Kernel = Callable[[Sequence[Array], Sequence[int], int, int, int], None]  # arrays, arguments, units, turns, scratch


@dataclass(frozen=True)
class Native:
    """A kernel that runs in this process."""

    address: int

    def __call__(self, arrays: Sequence[Array], args: Sequence[int], units: int, turns: int, scratch: int) -> None:
        memory = np.zeros(KEPT_BYTES + scratch + 64, np.uint8)
        start = memory.ctypes.data + -memory.ctypes.data % 64 + KEPT_BYTES
        pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2, ctypes.c_void_p)(self.address)
        numbers = (ctypes.c_int64 * len(args))(*args)
        for turn, t in product(range(turns), range(THREADS)):
            lo, hi = (turn * units + units * part // THREADS for part in (t, t + 1))
            ctypes.memset(start - KEPT_BYTES, 0, KEPT_BYTES)
            function(pointers, numbers, lo, hi, start)


@dataclass(frozen=True)
class Emulated:
    """A kernel that runs in the emulator."""

    path: Path
    symbol: str

    def __call__(self, arrays: Sequence[Array], args: Sequence[int], units: int, turns: int, scratch: int) -> None:
        guest = emulator()
        address = guest.address_of(guest.load(self.path), self.symbol)
        guest.kernel(address, arrays, args, units, turns, THREADS, scratch)


class Kernels:
    """All kernels of some cases for one target, in one library."""

    def __init__(self, cases: Mapping[str, Case], target: Target, open_extents: bool, folder: Path) -> None:
        self.cases = cases
        self.lowered: dict[str, list[Lowered]] = {
            name: case.lower(target, open_extents=open_extents, threads=THREADS) for name, case in self.cases.items()
        }
        printed = [print_kernel(lowered.kernel) for kernels in self.lowered.values() for lowered in kernels]
        texts = {each.symbol: f"{EXPORTED} {each.symbol}{ARGUMENTS};\n{each.text}" for each in printed}
        self.path = folder / "kernels.so"
        source, made = folder / "kernels.c", folder / "kernels.o"
        source.write_text('#include "fw_prelude.h"\n' + "\n".join(texts.values()))
        compiler, commands = find_compiler(), Commands(folder)
        commands.run(compiler.compile_command(target, str(source), str(made)))
        commands.run(compiler.link_command(target, [str(made)], str(self.path)))
        self._handle = open_library(self.path) if target.arch == host_arch() else None

    def outputs(self, name: str) -> list[Array]:
        def run(lowered: Lowered, arrays: Sequence[Array]) -> None:
            printed = print_kernel(lowered.kernel)
            scratch = max(lowered.scratch, lowered.kernel.scratch_bytes)
            self._kernel(printed.symbol)(arrays, printed.args, lowered.units, lowered.turns, scratch)

        return self.cases[name].compute(self.lowered[name], run)

    def _kernel(self, symbol: str) -> Kernel:
        if self._handle is None:
            return Emulated(self.path, symbol)
        return Native(address_of(self._handle, symbol))


@lru_cache
def _case(name: str) -> Case:
    return CASES[name]()


@lru_cache
def expected(name: str) -> list[Array]:
    with np.errstate(all="ignore"):
        return _case(name).expected()


@pytest.fixture(scope="module", params=[AVX512, AVX2, SSE2, NEON], ids=lambda t: t.name)
def target(request: pytest.FixtureRequest) -> Target:
    found = runnable(request.param)
    if found.arch != host_arch():
        emulator()
    elif missing_features(found):
        pytest.skip(f"this machine lacks {', '.join(sorted(missing_features(found)))}")
    return found


@pytest.fixture(scope="module", params=[False, True], ids=["fixed", "open"])
def kernels(target: Target, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    cases = {name: _case(name) for name in CASES}
    return Kernels(cases, target, request.param, tmp_path_factory.mktemp(target.name))


@pytest.mark.parametrize("name", CASES)
def test_schedule(kernels: Kernels, name: str) -> None:
    compare(kernels.outputs(name), expected(name))


def test_kernels_need_nothing_but_libc(kernels: Kernels) -> None:
    """No function of a compiler's own library, which is not linked: their names begin with two underscores."""
    needed = undefined_symbols(kernels.path)
    assert "sinf" in needed  # what the cases take from libm
    assert not [name for name in needed if name.startswith("__")]


def undefined_symbols(path: Path) -> set[str]:
    """What an ELF library of 64 bits takes from others: the dynamic symbols of no section."""
    data = path.read_bytes()
    (first,), (size, count) = struct.unpack_from("<Q", data, 0x28), struct.unpack_from("<HH", data, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, first + i * size) for i in range(count)]
    found = set()
    for kind, start, length, names in ((s[1], s[4], s[5], sections[s[6]][4]) for s in sections):
        for at in range(start, start + length, 24) if kind == 11 else ():  # SHT_DYNSYM
            name, _, _, section = struct.unpack_from("<IBBH", data, at)
            if name and section == 0:
                found.add(data[names + name : data.index(b"\0", names + name)].decode())
    return found


def compare(outputs: Sequence[Array], expected: Sequence[Array]) -> None:
    for array, wanted in zip(outputs, expected, strict=True):
        assert (array.dtype, array.shape) == (wanted.dtype, wanted.shape)
        if wanted.dtype.kind != "f":
            np.testing.assert_array_equal(array, wanted)
            continue
        tolerance = 1e-3 if wanted.dtype == np.float16 else 1e-5
        scale = max(np.abs(wanted).max(), 1)
        np.testing.assert_allclose(array, wanted, rtol=tolerance, atol=tolerance * scale)
