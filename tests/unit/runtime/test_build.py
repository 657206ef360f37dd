"""Are kernels compiled once, whole, and with a clear word when they cannot be?"""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from runtime_processes import Start

from fusewright.errors import BuildError, InternalError
from fusewright.runtime import build as build_module
from fusewright.runtime.build import Unit, build, build_image, runtime_units
from fusewright.runtime.compiler import csrc, find_compiler
from fusewright.target import all_targets, get, host, runs_here

Function = ctypes.CFUNCTYPE(
    None, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int64), ctypes.c_int64, ctypes.c_int64,
    ctypes.c_char_p,
)  # fmt: skip


def source(symbol: str, value: int) -> dict[str, str]:
    """A kernel that no other test builds, when `symbol` is of the test: p[0][u] = value + u."""
    return {
        symbol: f"void {symbol}(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {{\n"
        f"    for (int64_t u = lo; u < hi; u++) ((int64_t *)p[0])[u] = {value} + u;\n}}"
    }


def call(address: int) -> int:
    """The first number that such a kernel writes."""
    y = np.zeros(1, np.int64)
    Function(address)((ctypes.c_void_p * 1)(y.ctypes.data), (ctypes.c_int64 * 1)(0), 0, 1, None)
    return int(y[0])


def starts() -> int:
    return build_module.compiler_starts


def leftovers(cache: Path) -> list[Path]:
    """Files of the cache that are neither entries nor their folders."""
    return [path for path in cache.rglob("*") if path.is_file() and path.parent.parent.name != "entries"]


def test_a_kernel_is_compiled_once_in_a_process() -> None:
    texts = {**source("once_a", 1), **source("once_b", 2)}
    before = starts()
    library = build(texts, host())
    assert starts() == before + 3  # two objects, one link
    assert [call(library.addresses[name]) for name in texts] == [1, 2]
    again = build(dict(reversed(texts.items())), host())
    assert again.addresses == library.addresses and starts() == before + 3
    more = build({**texts, **source("once_c", 3)}, host())
    assert starts() == before + 5 and call(more.addresses["once_c"]) == 3
    assert more.addresses["once_a"] == library.addresses["once_a"]


def test_the_same_symbol_with_another_text_is_another_kernel() -> None:
    first, second = (build(source("twin", value), host()).addresses["twin"] for value in (5, 6))
    assert (call(first), call(second)) == (5, 6)


COUNT = """
from fusewright.runtime import build
from fusewright.target import host
from test_build import call, source
texts = {**source("p", 41), **source("q", 42)}
library = build.build(texts, host())
print([call(address) for address in library.addresses.values()], build.compiler_starts)
"""


@pytest.mark.parametrize("changed", ["fw_pool.h", "fw_runtime.h", "fw_vec.h"])
def test_objects_of_older_headers_are_not_used(changed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Objects that disagree on a structure, one of them from the cache, give wrong numbers."""
    folder = tmp_path / "csrc"
    shutil.copytree(csrc(), folder)
    monkeypatch.setattr(build_module, "csrc", lambda: folder)

    def keys() -> dict[str, str]:
        build_module._headers.cache_clear()
        clock = Unit("fw_shares.c", (folder / "fw_shares.c").read_text(), host())
        kernel = Unit("kernel.c", '#include "fw_prelude.h"\n', host())
        return {unit.name: unit.key(find_compiler()) for unit in (*runtime_units(host()), clock, kernel)}

    before = keys()
    with (folder / changed).open("a") as file:
        file.write("/* changed */\n")
    after = keys()
    monkeypatch.undo()
    build_module._headers.cache_clear()
    same = {name for name in before if before[name] == after[name]}
    assert same == (set() if changed == "fw_vec.h" else {"kernel.c"})


def test_the_cache_spares_the_next_process_the_compiler(start: Start, tmp_path: Path) -> None:
    seen = [start(COUNT, FUSEWRIGHT_CACHE_DIR=str(tmp_path)).communicate(timeout=60)[0].strip() for _ in range(2)]
    assert seen == ["[41, 42] 3", "[41, 42] 0"]
    assert leftovers(tmp_path) == []


def test_processes_that_compile_the_same_at_once(start: Start, tmp_path: Path) -> None:
    racers = [start(COUNT, FUSEWRIGHT_CACHE_DIR=str(tmp_path)) for _ in range(5)]
    for racer in racers:
        out, errors = racer.communicate(timeout=60)
        assert out.startswith("[41, 42]"), errors
    assert leftovers(tmp_path) == []
    assert start(COUNT, FUSEWRIGHT_CACHE_DIR=str(tmp_path)).communicate(timeout=60)[0].strip() == "[41, 42] 0"


def test_only_the_user_may_write_into_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FUSEWRIGHT_CACHE_DIR", str(tmp_path / "new"))
    build(source("modes", 1), host())
    root = next((tmp_path / "new").iterdir())
    assert root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "no checksum", "no data", "swapped"])
def test_a_damaged_entry_is_made_again(start: Start, tmp_path: Path, damage: str) -> None:
    assert start(COUNT, FUSEWRIGHT_CACHE_DIR=str(tmp_path)).communicate(timeout=60)[0].strip() == "[41, 42] 3"
    entries = sorted(path.parent for path in tmp_path.rglob("data"))
    assert len(entries) == 3
    first = (entries[0] / "data").read_bytes()
    for entry in entries:
        data = (entry / "data").read_bytes()
        if damage == "flip":
            (entry / "data").write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
        elif damage == "cut":
            (entry / "data").write_bytes(data[:-1])
        elif damage == "empty":
            (entry / "data").write_bytes(b"")
        elif damage == "no checksum":
            (entry / "sha256").unlink()
        elif damage == "no data":
            (entry / "data").unlink()
        else:
            (entry / "data").write_bytes(first + b"x")
    assert start(COUNT, FUSEWRIGHT_CACHE_DIR=str(tmp_path)).communicate(timeout=60)[0].strip() == "[41, 42] 3"
    assert start(COUNT, FUSEWRIGHT_CACHE_DIR=str(tmp_path)).communicate(timeout=60)[0].strip() == "[41, 42] 0"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("where", ["below a file", "open to all"])
def test_a_cache_that_cannot_be_used(start: Start, tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    folder = tmp_path / "file" / "cache"
    if where == "open to all":
        folder = tmp_path / "open"
        assert start(COUNT, FUSEWRIGHT_CACHE_DIR=str(folder)).wait(60) == 0
        next(folder.iterdir()).chmod(0o777)
    private = tmp_path / "private"
    private.mkdir()
    twice = f"{COUNT}\nbuild.build(source('r', 43), host())"
    process = start(twice, FUSEWRIGHT_CACHE_DIR=str(folder), TMPDIR=str(private))
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and out.strip() == "[41, 42] 3"
    assert errors.count("compiled kernels cannot be kept") == 1
    assert list(private.iterdir()) == []  # gone with the process


def slow_compiler(folder: Path) -> Path:
    """A compiler that says where it is at work, starts a child as real ones do, and never ends."""
    script = folder / "slowcc"
    script.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo "slow 1.0"; exit 0; fi\n'
        f"sleep 1000 & echo $! >> {shlex.quote(str(folder / 'pids'))}\n"
        f"echo $$ >> {shlex.quote(str(folder / 'pids'))}; wait\n"
    )
    script.chmod(0o755)
    return script


def wait_for_compiler(folder: Path) -> list[int]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        text = (folder / "pids").read_text() if (folder / "pids").exists() else ""
        if text.count("\n") == 4:  # two compilers, each with a child
            return [int(line) for line in text.split()]
        time.sleep(0.01)
    raise TimeoutError("the compiler did not start")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_ctrl_c_leaves_nothing(start: Start, tmp_path: Path) -> None:
    process = start(
        COUNT.replace("host())", "host(), jobs=2)"), FUSEWRIGHT_CACHE_DIR=str(tmp_path / "cache"),
        FUSEWRIGHT_CC=str(slow_compiler(tmp_path)), TMPDIR=str(tmp_path),
    )  # fmt: skip
    compilers = wait_for_compiler(tmp_path)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    deadline = time.monotonic() + 10
    while any(map(alive, compilers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(alive, compilers))
    assert leftovers(tmp_path / "cache") == []
    assert list((tmp_path / "cache").glob("*/work/*")) == []


def test_a_process_killed_while_it_compiles_harms_no_other(start: Start, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    process = start(
        COUNT.replace("host())", "host(), jobs=2)"), FUSEWRIGHT_CACHE_DIR=str(cache),
        FUSEWRIGHT_CC=str(slow_compiler(tmp_path)),
    )  # fmt: skip
    compilers = wait_for_compiler(tmp_path)
    process.kill()
    process.wait(30)
    abandoned = list(cache.glob("*/work/*"))
    assert len(abandoned) == 1
    os.utime(abandoned[0], (0, 0))  # long ago
    assert start(COUNT, FUSEWRIGHT_CACHE_DIR=str(cache)).communicate(timeout=60)[0].strip() == "[41, 42] 3"
    assert list(cache.glob("*/work/*")) == []
    for each in compilers:
        os.kill(each, signal.SIGKILL)


def test_a_kernel_that_is_not_c_names_the_command_to_repeat() -> None:
    text = source("broken", 1)["broken"].replace("lo; u", "lo u")
    with pytest.raises(BuildError, match="expected ';'") as caught:
        build({"broken": text, **source("whole", 1)}, host())
    command = re.search(r"To repeat it:\n  (.*)\n", str(caught.value))
    assert command is not None
    arguments = shlex.split(command[1])
    folder = Path(arguments[-3]).parent
    again = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    assert again.returncode != 0 and "expected ';'" in again.stderr


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FUSEWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("FUSEWRIGHT_CC", "no-such-compiler")
    with pytest.raises(BuildError, match=r"'no-such-compiler' .FUSEWRIGHT_CC. is not a program"):
        build(source("nothing", 1), host())
    assert not (tmp_path / "cache").exists()


def test_a_compiler_that_does_not_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "badcc"
    program.write_text("#!/bin/sh\necho no licence >&2; exit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("FUSEWRIGHT_CC", str(program))
    with pytest.raises(BuildError, match=r"(?s)badcc --version.*no licence"):
        build(source("nothing", 1), host())


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_a_system_compiler(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    monkeypatch.setenv("FUSEWRIGHT_CC", name)
    before = starts()
    assert call(build(source(f"by_{name}", 9), host()).addresses[f"by_{name}"]) == 9
    assert starts() == before + 2


@pytest.mark.parametrize(("name", "machine"), [("neon", 183), ("avx512", 62), ("sse2", 62)])
def test_an_image_for_any_machine(name: str, machine: int) -> None:
    image = build_image(source("abroad", 4), get(name))
    assert image[:4] == b"\x7fELF" and int.from_bytes(image[18:20], "little") == machine
    assert b"abroad\0" in image and b"fw_run\0" in image


def test_every_target_of_this_machine_gives_code_that_runs() -> None:
    names = [target.name for target in all_targets() if runs_here(target)]
    assert "generic" in names and len(names) >= 2
    for name in names:
        assert call(build(source("everywhere", 8), get(name)).addresses["everywhere"]) == 8


def test_progress_counts_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    texts = {key: text for i in range(4) for key, text in source(f"counted_{i}", i).items()}
    build(texts, host(), jobs=2, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (4, 4) and seen == sorted(seen)


def test_a_symbol_that_is_no_identifier_is_our_bug() -> None:
    with pytest.raises(InternalError, match="identifier"):
        build({"a(b": "void f(void) {}"}, host())


def test_a_kernel_without_its_function_is_our_bug() -> None:
    with pytest.raises((InternalError, BuildError), match="absent"):
        build({"absent": "static int other;"}, host())


def test_looking_inside(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setenv("FUSEWRIGHT_DEBUG", "5")
    monkeypatch.setenv("FUSEWRIGHT_DUMP", str(tmp_path / "dump"))
    build({**source("seen", 4321)}, host())
    printed = capfd.readouterr().err
    assert "4321 + u" in printed and ".globl\tseen" in printed
    dumped = list((tmp_path / "dump").glob("kernel-*.c"))
    assert len(dumped) == 1 and "4321 + u" in dumped[0].read_text()


def test_building_warns_of_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FUSEWRIGHT_CACHE_DIR", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(source("quiet", 1), host())


def test_kernels_may_call_the_mathematics_of_the_c_library() -> None:
    text = """double fmod(double, double);
    void rest(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
        *(int64_t *)p[0] = (int64_t)fmod((double)(17 + n[0]), 5.0);
    }"""
    assert call(build({"rest": text}, host()).addresses["rest"]) == 2
