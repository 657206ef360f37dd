"""How do kernels' C texts become functions of this process, compiling only what no one has compiled?

C texts ─ key ─► loaded already? ─► linked library in the cache? ─► objects in the cache? ─► compiler
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from pathlib import Path

from fusewright.errors import BuildError, InternalError
from fusewright.runtime import compiler as compilers
from fusewright.runtime.cache import Cache, user_cache
from fusewright.runtime.compiler import Commands, Compiler, csrc, find_compiler
from fusewright.runtime.loader import address_of, open_library
from fusewright.settings import settings, usable_cpus
from fusewright.target import Target

Progress = Callable[[int, int], None]  # (done, total), called as each object is there

_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_OWN_LANES = re.compile(r"\A#undef FW_LANES\n#define FW_LANES \d+\n")
_RUNTIME_HEADERS = ("fw_pool.h", "fw_runtime.h")  # kernels do not include them
RUNTIME_FILES = ("fw_pool.c", "fw_runtime.c")

DEBUG_C = 4
DEBUG_ASSEMBLY = 5


@dataclass(frozen=True)
class Unit:
    """One C file to compile: what it is called (a kernel's symbol, or a file of the runtime) and its text."""

    name: str
    text: str
    target: Target

    @property
    def of_runtime(self) -> bool:
        return any(f'#include "{name}"' in self.text for name in _RUNTIME_HEADERS)

    def key(self, compiler: Compiler) -> str:
        """A hash of all that decides the object's bytes."""
        parts = (
            "object", self.name, self.text, _headers(self.of_runtime), compiler.family, compiler.identity,
            str(self.target.lanes), *compiler.machine_flags(self.target), *compilers.CFLAGS,
        )  # fmt: skip
        return _digest(parts)


@dataclass(frozen=True)
class Library:
    """Kernels that are loaded in this process: the address of each symbol, and the units they came from."""

    target: Target
    addresses: dict[str, int]
    units: tuple[Unit, ...] = field(repr=False)

    def image(self) -> bytes:
        """One native library with all these kernels and the runtime: what an artifact carries."""
        return _image(self.units, self.target, None, None)


class _Loaded:
    """Every unit that this process has loaded, by key: the address of its symbol."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.addresses: dict[str, int] = {}
        self.handles: list[ctypes.CDLL] = []  # never closed: addresses are handed out

    def load(self, path: Path, units: Iterable[tuple[str, str]]) -> None:
        """Load a library and remember the (key, symbol) pairs that it defines."""
        try:
            handle = open_library(path)
        except OSError as error:
            raise BuildError(
                f"a compiled library does not load: {error}. If the cache lies on a file system that forbids "
                "execution, set FUSEWRIGHT_CACHE_DIR to another folder."
            ) from None
        self.handles.append(handle)
        for key, symbol in units:
            self.addresses[key] = address_of(handle, symbol)


_loaded = _Loaded()
_dumped = count()


def _renew_lock() -> None:
    _loaded.lock = threading.RLock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_renew_lock)


def build(
    sources: Mapping[str, str],
    target: Target,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Library:
    """Make each kernel callable in this process; compile those that neither it nor the cache knows.

    `sources` maps the C symbol of a kernel to the C text of its function (without the prelude).
    Raises BuildError when there is no compiler or it fails.
    """
    units = tuple(Unit(symbol, _kernel_file(symbol, text), target) for symbol, text in sources.items())
    compiler = find_compiler()
    keys = {unit.name: unit.key(compiler) for unit in units}
    with _loaded.lock:
        missing = [unit for unit in units if keys[unit.name] not in _loaded.addresses]
        if missing:
            _show(missing, compiler)
            path = library_path(missing, jobs, progress)
            _loaded.load(path, [(keys[unit.name], unit.name) for unit in missing])
        return Library(target, {unit.name: _loaded.addresses[keys[unit.name]] for unit in units}, units)


def build_image(
    sources: Mapping[str, str],
    target: Target,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> bytes:
    """The native library of these kernels and the runtime, for any machine; nothing of it is loaded here."""
    units = tuple(Unit(symbol, _kernel_file(symbol, text), target) for symbol, text in sources.items())
    return _image(units, target, jobs, progress)


def _image(units: Sequence[Unit], target: Target, jobs: int | None, progress: Progress | None) -> bytes:
    return library_path((*units, *runtime_units(target)), jobs, progress).read_bytes()


def runtime_units(target: Target) -> tuple[Unit, ...]:
    """The runtime's own C files, for the base of the target's architecture: one build serves all targets."""
    base = replace(target, name="base", features=frozenset(), cflags=(), gcc_flags=())
    return tuple(Unit(name, (csrc() / name).read_text(encoding="utf-8"), base) for name in RUNTIME_FILES)


def library_path(units: Sequence[Unit], jobs: int | None, progress: Progress | None) -> Path:
    """The library that holds exactly these units, from the cache or made now."""
    compiler, cache = find_compiler(), user_cache()
    keys = [unit.key(compiler) for unit in units]
    library_key = _digest(("library", *sorted(keys)))
    found = cache.find(library_key)
    if found is not None:
        return found
    try:
        with cache.workspace() as work:
            return _make_library(units, keys, library_key, _Maker(compiler, cache, work), jobs, progress)
    except OSError as error:
        raise BuildError(
            f"cannot build in {cache.root}: {error.strerror or error}. Free some space, or set "
            "FUSEWRIGHT_CACHE_DIR to another folder."
        ) from error


@dataclass(frozen=True)
class _Maker:
    """Compiles single units in a workspace of the cache."""

    compiler: Compiler
    cache: Cache
    work: Path

    def object(self, unit: Unit, key: str, number: int, commands: Commands) -> Path:
        """The unit's object, as a file of the workspace (linkers go by the suffix)."""
        path = self.work / f"unit-{number}.o"
        known = self.cache.find(key)
        if known is not None:
            path.write_bytes(known.read_bytes())
            return path
        source = self.work / f"unit-{number}.c"
        source.write_text(unit.text, encoding="utf-8")
        command = self.compiler.compile_command(unit.target, str(source), str(path))
        kept = self.cache.root / "failed" / f"{key}.c"
        try:
            commands.run(command, [*command[:-3], str(kept), "-o", "unit.o"])
        except BuildError:
            if not commands.stopped:  # the command in the message needs its file
                kept.parent.mkdir(mode=0o700, exist_ok=True)
                kept.write_text(unit.text, encoding="utf-8")
            raise
        self.cache.publish(key, path.read_bytes())
        return path


def _make_library(
    units: Sequence[Unit],
    keys: Sequence[str],
    library_key: str,
    maker: _Maker,
    jobs: int | None,
    progress: Progress | None,
) -> Path:
    commands = Commands(maker.work)
    workers = max(1, min(jobs or usable_cpus(), len(units)))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fusewright-build")
    try:
        futures = [
            pool.submit(maker.object, unit, key, number, commands)
            for number, (unit, key) in enumerate(zip(units, keys, strict=True))
        ]
        pending = set(futures)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            if progress is not None:
                progress(len(futures) - len(pending), len(futures))
        output = maker.work / "library.so"
        objects = [str(future.result()) for future in futures]
        commands.run(maker.compiler.link_command(units[0].target, objects, str(output)))
    finally:
        # Also after Ctrl-C: no compiler outlives us, and no thread writes into a removed folder.
        commands.kill()
        pool.shutdown(wait=True, cancel_futures=True)
    return maker.cache.publish(library_key, output.read_bytes())


def _kernel_file(symbol: str, text: str) -> str:
    if not _SYMBOL.match(symbol):
        raise InternalError(f"a kernel's symbol must be a C identifier, got {symbol!r}")
    own = "".join(_OWN_LANES.findall(text))  # before the headers, which look at it
    return (
        f'{own}#include "fw_prelude.h"\n'
        '__attribute__((visibility("default"))) void\n'
        f"{symbol}(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch);\n\n{text[len(own) :]}\n"
    )


def _digest(parts: Iterable[str]) -> str:
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode()
        hasher.update(len(data).to_bytes(8, "little"))
        hasher.update(data)
    return hasher.hexdigest()


@lru_cache(maxsize=2)
def _headers(runtime: bool) -> str:
    """A hash of the headers that kernels include, or all; they do not change while a process runs."""
    files = sorted(path for path in csrc().glob("*.h") if runtime or path.name not in _RUNTIME_HEADERS)
    return _digest(path.name + "\n" + path.read_text(encoding="utf-8") for path in files)


def _show(units: Sequence[Unit], compiler: Compiler) -> None:
    """The lower end of the debugging ladder: C texts and assembly of kernels as they are built or loaded."""
    now = settings()
    for unit in units:
        if now.debug >= DEBUG_C:
            print(f"/* {unit.name} for {unit.target.name} */\n{unit.text}", file=sys.stderr)
        if now.debug >= DEBUG_ASSEMBLY:
            print(_assembly(unit, compiler), file=sys.stderr)
        if now.dump is not None:
            now.dump.mkdir(parents=True, exist_ok=True)
            (now.dump / f"kernel-{next(_dumped):02d}.c").write_text(unit.text, encoding="utf-8")


def _assembly(unit: Unit, compiler: Compiler) -> str:
    with user_cache().workspace() as work:
        source, output = work / "kernel.c", work / "kernel.s"
        source.write_text(unit.text, encoding="utf-8")
        Commands(work).run(compiler.compile_command(unit.target, str(source), str(output), "-S"))
        return output.read_text(encoding="utf-8", errors="replace")


def __getattr__(name: str) -> int:
    """`compiler_starts`: how many compiler processes this process has started to compile or to link."""
    if name == "compiler_starts":
        return compilers.compiler_starts
    raise AttributeError(name)
