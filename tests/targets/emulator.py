"""How do kernels for a processor that is not here run? In a process of qemu's user mode, which driver.c serves.

Libraries are built as ever; only loading them, finding their functions and running programs happens in that process.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewright.planning
from fusewright.plan.program import Program
from fusewright.runtime import build
from fusewright.runtime.cache import user_cache
from fusewright.runtime.compiler import Commands, csrc, find_compiler
from fusewright.runtime.executor import encode
from fusewright.runtime.pool import Pool
from fusewright.session import numpy_dtype
from fusewright.target.arm import NEON

Array = np.ndarray[Any, Any]
QEMU = "qemu-aarch64"
SYSTEM = Path(os.environ.get("QEMU_LD_PREFIX", "/usr/aarch64-linux-gnu"))  # where Debian's packages put it
DRIVER = Path(__file__).with_name("driver.c")


def missing() -> str:
    """What keeps programs for 64-bit Arm from running here; empty if nothing."""
    if shutil.which(QEMU) is None:
        return f"{QEMU} is not installed (Debian: apt-get install qemu-user libc6-arm64-cross)"
    if not (SYSTEM / "lib" / "ld-linux-aarch64.so.1").exists():
        return f"no C library for 64-bit Arm in {SYSTEM} (Debian: apt-get install libc6-arm64-cross)"
    return ""


class Emulator:
    """The process, and what it can be asked for. A kernel that touches memory that is not its own ends it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fusewright-neon-")
        self._errors = tempfile.TemporaryFile()
        driver = Path(self._folder.name) / "driver"
        driver.write_bytes(_driver().read_bytes())
        driver.chmod(0o700)  # an entry of the cache is no program, and qemu insists on one
        self._process = subprocess.Popen(
            [QEMU, "-L", str(SYSTEM), str(driver)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        self._runtime = 0

    def runs(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()
        self._folder.cleanup()

    def load(self, path: str | os.PathLike[str]) -> int:
        return self._ask("L", _text(os.fspath(path)))

    def address_of(self, handle: int, symbol: str) -> int:
        return self._ask("S", _int(handle), _text(symbol))

    def kernel(
        self,
        address: int,
        arrays: Sequence[Array],
        args: Sequence[int],
        units: int,
        turns: int,
        shares: int,
        scratch: int,
    ) -> None:
        """Run one kernel in `turns` of `shares`; the arrays become what it leaves in them."""
        self._send(
            "K", _int(address), _ints(args), _int(units), _int(turns), _int(shares), _int(scratch),
            _int(len(arrays)), *map(_block, arrays),
        )  # fmt: skip
        for array in arrays:
            self._fill(array)

    def call(self, address: int, result: Array, x: Array, y: Array, count: int) -> None:
        """f(result, x, y, count); the arrays become what it leaves in them."""
        arrays = (result, x, y)
        self._send("V", _int(address), _int(count), *map(_block, arrays))
        for array in arrays:
            self._fill(array)

    def program(self, program: Program, addresses: Mapping[str, int], weights: Array) -> int:
        if not self._runtime:
            self._runtime = self.load(build.library_path(build.runtime_units(NEON), None, None))
        kernels = _ints([addresses[name] for name in program.kernels])
        made = self._ask("P", _int(self._runtime), _ints(encode(program)), _block(weights), kernels)
        assert made > 0, f"fw_check finds fault {-made}"
        return made

    def run(self, program: int, threads: int, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        sizes = _ints([array.nbytes for array in outputs])
        self._send("R", _int(program), _int(threads), _int(len(inputs)), *map(_block, inputs), sizes)
        for array in outputs:
            self._fill(array)

    def _ask(self, command: str, *parts: bytes) -> int:
        self._send(command, *parts)
        return int(struct.unpack("q", self._receive(8))[0])

    def _send(self, command: str, *parts: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"".join((command.encode(), *parts)))
            self._process.stdin.flush()
        except BrokenPipeError:
            self._died()

    def _receive(self, count: int) -> bytes:
        assert self._process.stdout is not None
        data = self._process.stdout.read(count)
        if len(data) < count:
            self._died()
        return data

    def _fill(self, array: Array) -> None:
        (count,) = struct.unpack("q", self._receive(8))
        array[...] = np.frombuffer(self._receive(count), array.dtype).reshape(array.shape)

    def _died(self) -> None:
        code = self._process.wait()
        self._errors.seek(0)
        raise AssertionError(f"the emulated process ended with {code}: {self._errors.read().decode()[-1000:]}")


class EmulatedExecutor:
    """`fusewright.runtime.executor.Executor`, elsewhere."""

    def __init__(
        self, emulator: Emulator, program: Program, addresses: Mapping[str, int], weights: Any, pool: Pool
    ) -> None:
        self.program = program
        self._emulator, self._threads = emulator, pool.threads
        block = np.frombuffer(weights, np.uint8) if len(weights) else np.zeros(0, np.uint8)
        self._number = emulator.program(program, addresses, block)

    def run(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        for ports, arrays in ((self.program.inputs, inputs), (self.program.outputs, outputs)):
            for port, array in zip(ports, arrays, strict=True):
                assert array.nbytes == numpy_dtype(port.dtype).itemsize * int(np.prod(port.shape)), port
        self._emulator.run(self._number, self._threads, inputs, outputs)

    run_unchecked = run


_emulator: Emulator | None = None


def emulator() -> Emulator:
    """The one of this process; a new one if it died. Skips the test where there can be none."""
    global _emulator
    if missing():
        pytest.skip(missing())
    if _emulator is None or not _emulator.runs():
        _emulator = Emulator()
    return _emulator


@pytest.fixture
def neon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Within the test, `fusewright.compile` makes code for NEON, and its sessions run in the emulator."""
    guest = emulator()

    def executor(program: Program, addresses: Mapping[str, int], weights: Any, pool: Pool) -> EmulatedExecutor:
        return EmulatedExecutor(guest, program, addresses, weights, pool)

    monkeypatch.setenv("FUSEWRIGHT_TARGET", NEON.name)
    monkeypatch.setattr(fusewright.planning, "Executor", executor)
    monkeypatch.setattr(build, "open_library", guest.load)
    monkeypatch.setattr(build, "address_of", guest.address_of)
    monkeypatch.setattr(build, "_loaded", build._Loaded())  # addresses of one process mean nothing in the other
    yield guest


@lru_cache(maxsize=1)
def _driver() -> Path:
    """The driver, from the cache or made now: the first program for another system takes its linker some seconds."""
    compiler, cache = find_compiler(), user_cache()
    texts = [DRIVER.read_text(), (csrc() / "fw_runtime.h").read_text(), compiler.identity]
    key = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    found = cache.find(key)
    if found is None:
        with cache.workspace() as work:
            made = work / "driver"
            flags = ("-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{csrc()}")
            command = [*compiler.command, *compiler.machine_flags(NEON), *flags, str(DRIVER), "-o", str(made)]
            Commands(work).run(command)
            found = cache.publish(key, made.read_bytes())
    return found


def _int(value: int) -> bytes:
    return struct.pack("q", value)


def _ints(values: Sequence[int]) -> bytes:
    return struct.pack(f"q{len(values)}q", len(values), *values)


def _text(text: str) -> bytes:
    return _int(len(text.encode())) + text.encode()


def _block(array: Array) -> bytes:
    return _int(array.nbytes) + array.tobytes()
