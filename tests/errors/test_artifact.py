"""Is every fault of a compiled file refused, with one clear message, before any of it runs?"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewright.errors import ArtifactError
from fusewright.plan.program import Call, Port, Program, Ref, Space
from fusewright.runtime import artifact
from fusewright.runtime.build import build
from fusewright.runtime.executor import Executor
from fusewright.runtime.pool import pool
from fusewright.target import Target, host

SOURCE = """void plus(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    for (int64_t u = lo; u < hi; u++) ((float *)p[2])[u] = ((float *)p[0])[u] + ((float *)p[1])[u];
}"""
EXTENT = 1000
WEIGHTS = np.arange(3 * artifact.CHUNK // 8, dtype=np.float64).astype(np.float32)


def program(extent: int) -> Program:
    refs = (Ref(Space.INPUT, 0, 0), Ref(Space.WEIGHTS, 0), Ref(Space.OUTPUT, 0, 0))
    port = (extent,)
    return Program(
        (Port("x", "float32", port),), (Port("y", "float32", port),), ("plus",),
        (Call(0, refs, (-5, 1 << 40), extent, 2, 16),), 0, 16, 2,
    )  # fmt: skip


PROGRAMS = (program(EXTENT), program(7))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUSEWRIGHT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        return build({"plus": SOURCE}, host()).image()


def write(path: Path, image: bytes, target: Target | None = None, **changes: Any) -> None:
    options: dict[str, Any] = {"programs": PROGRAMS, "library": image, "weights": WEIGHTS, "meta": {"note": [1]}}
    artifact.write(path, target=target or host(), **{**options, **changes})


@pytest.fixture
def path(tmp_path: Path, image: bytes) -> Path:
    write(tmp_path / "model.fw", image)
    return tmp_path / "model.fw"


def refuse(path: Path, message: str) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        artifact.read(path)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)


def test_what_was_written_is_read_and_runs(path: Path) -> None:
    found = artifact.read(path)
    assert found.programs == PROGRAMS and found.meta == {"note": [1]} and found.target == host().name
    assert found.weights.ctypes.data % 4096 == 0 and not found.weights.flags.writeable
    np.testing.assert_array_equal(found.weights.view(np.float32), WEIGHTS)
    x = np.random.default_rng(0).random(EXTENT, np.float32)
    y = np.empty_like(x)
    Executor(found.programs[0], found.load(), found.weights, pool(2)).run([x], [y])
    np.testing.assert_array_equal(y, x + WEIGHTS[:EXTENT])


def test_a_library_is_loaded_once(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    first = artifact.read(path).load()
    opened = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert artifact.read(path).load() == first
    assert len(os.listdir("/proc/self/fd")) <= max(before, opened)


def test_a_system_without_memory_files(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, image: bytes
) -> None:
    monkeypatch.setenv("FUSEWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delattr(os, "memfd_create", raising=False)
    other = tmp_path / "other.fw"
    write(other, image + b"\0")  # other bytes, so that it is not loaded yet
    assert artifact.read(other).load()["plus"]
    assert [p.parent.name[:6] for p in (tmp_path / "cache").rglob("data")] == ["image-"]


@pytest.mark.parametrize("weights", [b"", np.zeros((0, 4), np.float32), bytearray(b"abc")])
def test_weights_of_any_kind(tmp_path: Path, image: bytes, weights: Any) -> None:
    write(tmp_path / "m.fw", image, weights=weights)
    assert artifact.read(tmp_path / "m.fw").weights.tobytes() == bytes(weights)


def test_bfloat16_weights(tmp_path: Path, image: bytes) -> None:
    import ml_dtypes

    values = np.arange(8).astype(ml_dtypes.bfloat16).reshape(2, 4)
    write(tmp_path / "m.fw", image, weights=values)
    assert artifact.read(tmp_path / "m.fw").weights.tobytes() == values.tobytes()


def test_not_there(tmp_path: Path) -> None:
    refuse(tmp_path / "missing.fw", "cannot read the compiled file .*: No such file or directory")
    (tmp_path / "folder.fw").mkdir()
    refuse(tmp_path / "folder.fw", "cannot read the compiled file .*directory")


@pytest.mark.parametrize("content", [b"", b"\x08\x07onnx", b"PK\x03\x04" * 100, artifact.MAGIC[:-1]])
def test_not_a_file_of_ours(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.fw").write_bytes(content)
    refuse(tmp_path / "x.fw", "is not a file that Fusewright compiled")


def test_truncated_anywhere(path: Path) -> None:
    size = path.stat().st_size
    for length in (size - 1, size - 5000, size // 2, 70000, 5000, 400, 140, 100, 12, 8):
        with path.open("r+b") as file:
            file.truncate(length)
        refuse(path, f"is truncated: expected .* bytes, got {length}")


def test_longer_than_written(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")
    refuse(path, "was altered: expected .* bytes, got")


def layout(path: Path) -> dict[str, tuple[int, int]]:
    """Where each part of the file lies."""
    numbers = struct.unpack_from("<8sIIQQQQQ", path.read_bytes())
    _, _, header, end, manifest, library, weights, _ = numbers
    code = header + manifest
    return {
        "header": (12, header), "manifest": (header, code), "library": (code, code + library),
        "weights": (weights, end),
    }  # fmt: skip


@pytest.mark.parametrize("part", ["header", "manifest", "library", "weights"])
def test_one_bit_altered(path: Path, part: str) -> None:
    whole = path.read_bytes()
    start, end = layout(path)[part]
    for place in {start, start + 1, (start + end) // 2, end - 1}:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        refuse(path, "was altered")
    path.write_bytes(whole)
    artifact.read(path)


def test_weights_exchanged_between_chunks(path: Path) -> None:
    whole = path.read_bytes()
    start, _ = layout(path)["weights"]
    first, second = (whole[start + i * artifact.CHUNK :][: artifact.CHUNK] for i in (0, 1))
    path.write_bytes(whole[:start] + second + first + whole[start + 2 * artifact.CHUNK :])
    refuse(path, "its weights differ")


@pytest.mark.parametrize(("version", "word"), [(artifact.VERSION + 1, "newer"), (0, "older")])
def test_another_version(path: Path, version: int, word: str) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:8] + struct.pack("<I", version) + whole[12:])
    refuse(path, f"was written by an? {word} Fusewright: its format is version {version}")


def forbid_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("something was loaded")

    monkeypatch.setattr("ctypes.CDLL", load)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": frozenset({"amx_from_mars"}), "name": "mars"}, "for target mars; this processor lacks amx_"),
        ({"arch": "riscv64", "triple": "riscv64-linux-gnu"}, "was compiled for riscv64-linux-gnu, this machine"),
        ({"triple": f"{host().arch}-plan9"}, "was compiled for .*-plan9, this machine is"),
    ],
)
def test_for_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    write(tmp_path / "m.fw", b"not a library", target=replace(host(), **change))
    forbid_loading(monkeypatch)
    refuse(tmp_path / "m.fw", message)


def rewrite_manifest(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and make all checksums fit again, as another program might write it."""
    whole = path.read_bytes()
    parts = layout(path)
    manifest = json.loads(whole[slice(*parts["manifest"])])
    change(manifest)
    text = json.dumps(manifest).encode()
    library, weights = whole[slice(*parts["library"])], whole[slice(*parts["weights"])]
    header = parts["header"][1]
    offset = -(-(header + len(text) + len(library)) // artifact.WEIGHTS_ALIGN) * artifact.WEIGHTS_ALIGN
    fields = struct.pack(
        "<8sIIQQQQQ32s32s", artifact.MAGIC, artifact.VERSION, header, offset + len(weights), len(text),
        len(library), offset, len(weights), hashlib.sha256(text + library).digest(), whole[88:120],
    )  # fmt: skip
    code = fields + hashlib.sha256(fields).digest() + text + library
    path.write_bytes(code + bytes(offset - len(code)) + weights)


def test_another_runtime(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite_manifest(path, lambda manifest: manifest.update(abi=99))
    forbid_loading(monkeypatch)
    refuse(path, "its runtime has version 99")


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("programs"),
        lambda m: m.update(features="avx2"),
        lambda m: m.update(features=[1]),
        lambda m: m.update(meta=None),
        lambda m: m["programs"].append(3),
        lambda m: m["programs"][0].pop("calls"),
        lambda m: m["programs"][0]["calls"][0].pop(),
        lambda m: m["programs"][0]["calls"][0].__setitem__(0, "plus"),
        lambda m: m["programs"][0]["calls"][0].__setitem__(3, -1),
        lambda m: m["programs"][0]["calls"][0][1].append([9, 0, 0]),
        lambda m: m["programs"][0]["inputs"][0].update(dtype="float31"),
        lambda m: m["programs"][0].update(arena_bytes=1 << 70),
    ],
)
def test_a_manifest_that_makes_no_sense(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    rewrite_manifest(path, change)
    with pytest.raises(ArtifactError, match="manifest"):
        artifact.read(path)


def test_rewriting_the_manifest_alone_harms_nothing(path: Path) -> None:
    rewrite_manifest(path, lambda manifest: manifest.update(meta={"new": 1}))
    assert artifact.read(path).meta == {"new": 1}


def test_a_library_that_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: bytes) -> None:
    monkeypatch.setenv("FUSEWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    write(tmp_path / "m.fw", b"not a library at all")
    with pytest.raises(ArtifactError, match="library does not load"):
        artifact.read(tmp_path / "m.fw").load()


def test_a_failed_write_leaves_nothing(tmp_path: Path, image: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArtifactError, match=r"cannot write .*No such file or directory"):
        write(tmp_path / "absent" / "m.fw", image)
    (tmp_path / "m.fw").write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtifactError, match=r"cannot write .*m.fw: No space left"):
        write(tmp_path / "m.fw", image)
    assert [each.name for each in tmp_path.iterdir()] == ["m.fw"]
    assert (tmp_path / "m.fw").read_bytes() == b"old"


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, image: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "m.fw", image)
    assert list(tmp_path.iterdir()) == []
