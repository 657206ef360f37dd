"""Which C compiler, with which arguments? And a way to run it that leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from fusewright.errors import BuildError
from fusewright.settings import settings
from fusewright.target import Target
from fusewright.target.host import host_arch

# No -ffast-math: NaN and infinity must pass through as ONNX says. What is given up is only what C demands
# beyond that: errno, floating-point exceptions as side effects, and rounding between product and sum.
CFLAGS = (
    "-O3",
    "-g0",
    "-std=gnu11",
    "-fPIC",
    "-fno-math-errno",
    "-ffp-contract=fast",
    "-fno-trapping-math",
    "-fno-semantic-interposition",
    "-fvisibility=hidden",
    "-fno-stack-protector",
)
LAST_LINES = 20  # of a failed compiler's output, in the error

compiler_starts = 0  # processes started to compile or to link, for tests and reports
_starts_lock = threading.Lock()


@dataclass(frozen=True)
class Compiler:
    """A compiler: its command, its family (`zig`, `clang`, `gcc`), and what tells its builds apart."""

    command: tuple[str, ...]
    family: str
    identity: str

    def machine_flags(self, target: Target) -> tuple[str, ...]:
        """The arguments that choose the processor."""
        if self.family == "zig":
            return ("-target", target.triple, *target.cflags)
        if self.family == "clang":
            return (f"--target={target.triple}", *target.cflags)
        if target.arch != host_arch():
            raise BuildError(
                f"{self.command[0]} (FUSEWRIGHT_CC) makes code for {host_arch()} only, but "
                f"target {target.name} needs {target.arch}. Unset it to use the compiler that comes with Fusewright."
            )
        # gcc notes that vectors pass between functions differently without AVX; ours are all inlined.
        return (*target.gcc_flags, "-Wno-psabi")

    def compile_command(self, target: Target, source: str, output: str, mode: str = "-c") -> list[str]:
        """Arguments that make an object (`-c`) or assembly (`-S`) of one C file."""
        return [
            *self.command, *self.machine_flags(target), *CFLAGS, f"-DFW_LANES={target.lanes}", f"-I{csrc()}",
            mode, source, "-o", output,
        ]  # fmt: skip

    def link_command(self, target: Target, objects: Sequence[str], output: str) -> list[str]:
        """Arguments that make a library of objects; what it lacks is found in the process that loads it."""
        missing = ("-Wl,-undefined,dynamic_lookup",) if target.triple.endswith("macos") else ("-s",)
        return [
            *self.command, *self.machine_flags(target),
            "-shared", "-nostdlib", *missing, *objects, "-o", output,
        ]  # fmt: skip


def csrc() -> Path:
    """The folder of the C that ships."""
    return Path(__file__).parent / "csrc"


def find_compiler() -> Compiler:
    """The compiler that the settings name, or the one of the ziglang package.

    Raises BuildError when it is not there.
    """
    named = settings().compiler
    return _ziglang() if named is None else _system_compiler(named, os.environ.get("PATH", ""))


@lru_cache(maxsize=1)
def _ziglang() -> Compiler:
    package = find_spec("ziglang")
    if package is None or package.origin is None:
        raise BuildError(
            "no C compiler: the Python package ziglang is not installed. Install it (pip install ziglang), "
            "or name a C compiler of the system in FUSEWRIGHT_CC."
        )
    program = Path(package.origin).parent / ("zig.exe" if sys.platform == "win32" else "zig")
    if not program.is_file():
        raise BuildError(
            f"no C compiler: {program} is missing. Install the Python package ziglang again, or name a C "
            "compiler of the system in FUSEWRIGHT_CC."
        )
    return Compiler((str(program), "cc"), "zig", f"ziglang {metadata.version('ziglang')}")


@lru_cache(maxsize=8)
def _system_compiler(named: str, path: str) -> Compiler:
    program = shutil.which(named, path=path)
    if program is None:
        raise BuildError(
            f"no C compiler: {named!r} (FUSEWRIGHT_CC) is not a program on the PATH. Install it, or unset "
            "FUSEWRIGHT_CC to use the compiler that comes with Fusewright."
        )
    command = [program, "--version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"the C compiler does not start: {shlex.join(command)}: {error}") from None
    if done.returncode != 0:
        raise BuildError(f"the C compiler failed: {shlex.join(command)}\n{_tail(done.stdout + done.stderr)}")
    lines = done.stdout.splitlines()
    family = "clang" if "clang" in done.stdout.lower() else "gcc"
    return Compiler((program,), family, lines[0] if lines else program)


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-LAST_LINES:])


class Commands:
    """Runs compilers, several at a time, in one temporary folder; `kill` ends all that still run.

    Each process gets a session of its own: Ctrl-C then reaches only us, and we end the compiler together
    with the processes that it started.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self.stopped = False
        # zig keeps every object that it ever made; ours is the cache that counts.
        self._environment = {
            **os.environ,
            "ZIG_LOCAL_CACHE_DIR": str(folder / "zig"),
            "ZIG_GLOBAL_CACHE_DIR": str(folder / "zig"),
        }

    def run(self, command: Sequence[str], repeat: Sequence[str] | None = None) -> None:
        """Run one command to its end; `repeat` is the command to name in an error, if not the same.

        Raises BuildError with that command and the last lines of what the compiler said.
        """
        global compiler_starts
        shown = shlex.join(repeat or command)
        with (self._folder / f"log-{threading.get_ident()}").open("w+b") as log:
            with self._lock:
                if self.stopped:
                    raise BuildError("the build was stopped")
                try:
                    process = subprocess.Popen(
                        list(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        env=self._environment, cwd=self._folder, start_new_session=True,
                    )  # fmt: skip
                except OSError as error:
                    raise BuildError(f"the C compiler does not start: {shown}: {error}") from None
                self._running.add(process)
            with _starts_lock:
                compiler_starts += 1
            try:
                status = process.wait()
            except BaseException:  # Ctrl-C in the thread that waits
                _kill_group(process)
                raise
            finally:
                with self._lock:
                    self._running.discard(process)
            if status != 0:
                log.seek(0)
                text = _tail(log.read().decode(errors="replace"))
                raise BuildError(f"the C compiler failed (status {status}). To repeat it:\n  {shown}\n{text}")

    def kill(self) -> None:
        """End every command that runs, and refuse new ones."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
