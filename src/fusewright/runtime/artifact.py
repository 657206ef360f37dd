"""What is in a compiled file, and is it whole, ours, and for this machine?

header | JSON manifest | native library | padding | weights

All numbers are little-endian. The weights start at a multiple of 64 KiB, so that every system can map
them straight from the file: all processes that run the model share one copy.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fusewright.errors import ArtifactError
from fusewright.plan.program import Program
from fusewright.runtime import native
from fusewright.runtime.image import load_image
from fusewright.runtime.loader import address_of
from fusewright.runtime.manifest import program_from_json, program_to_json
from fusewright.settings import usable_cpus
from fusewright.target import Target, host
from fusewright.target.host import host_arch, host_features

MAGIC = b"\x89FWA\r\n\x1a\n"  # as PNG's: not text, and spoiled by whatever translates line ends
VERSION = 1
WEIGHTS_ALIGN = 1 << 16  # the largest page among the systems we know
CHUNK = 4 << 20  # of weights, one checksum each
CHECK_THREADS = 4  # more gain nothing: memory is the limit

# magic, version, header bytes, file bytes, manifest bytes, library bytes, weights offset, weights bytes,
# sha256 of manifest and library, checksum of the weights; then sha256 of all these.
_FIELDS = struct.Struct("<8sIIQQQQQ32s32s")
_HEADER_BYTES = _FIELDS.size + 32

Buffer = bytes | bytearray | memoryview | np.ndarray


@dataclass(frozen=True)
class Artifact:
    """A compiled file, checked. `weights` is a read-only view of the file itself."""

    path: Path
    programs: tuple[Program, ...] = field(repr=False)
    target: str
    features: frozenset[str]
    fusewright_version: str
    meta: dict[str, Any]
    library: memoryview = field(repr=False)
    weights: np.ndarray = field(repr=False)

    def load(self) -> dict[str, int]:
        """Load the library into this process; the address of each kernel of all programs."""
        handle = load_image(self.library)
        native.adopt(handle)
        symbols = dict.fromkeys(symbol for program in self.programs for symbol in program.kernels)
        return {symbol: address_of(handle, symbol) for symbol in symbols}


def write(
    path: str | os.PathLike[str],
    *,
    programs: Sequence[Program],
    library: bytes,
    weights: Buffer,
    target: Target,
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Write a compiled file; it appears whole, replacing another, or not at all.

    `library` is `Library.image()`; `meta` is whatever JSON the caller wants back. Raises ArtifactError when
    the file cannot be written.
    """
    manifest = json.dumps(
        {
            "fusewright": _own_version(),
            "target": target.name,
            "triple": target.triple,
            "arch": target.arch,
            "features": sorted(target.features),
            "abi": native.ABI,
            "programs": [program_to_json(program) for program in programs],
            "meta": dict(meta or {}),
        },
        separators=(",", ":"),
    ).encode()
    body = _bytes_of(weights)
    before = _HEADER_BYTES + len(manifest) + len(library)
    offset = -(-before // WEIGHTS_ALIGN) * WEIGHTS_ALIGN
    fields = _FIELDS.pack(
        MAGIC, VERSION, _HEADER_BYTES, offset + len(body), len(manifest), len(library), offset, len(body),
        _sha256(manifest, library), _checksum(body),
    )  # fmt: skip
    with _appearing(Path(path)) as file:
        for part in (fields, _sha256(fields), manifest, library, bytes(offset - before), body):
            file.write(part)


def read(path: str | os.PathLike[str]) -> Artifact:
    """Open a compiled file, checking that it is whole, unaltered, of a version we know, and runs here.

    Raises ArtifactError, before anything of the file is executed.
    """
    where = Path(path)
    data = _map(where)
    header = _read_header(where, data)
    library_start = _HEADER_BYTES + header.manifest_bytes
    manifest_bytes = data[_HEADER_BYTES:library_start]
    library = data[library_start : library_start + header.library_bytes]
    weights = data[header.weights_offset : header.weights_offset + header.weights_bytes]
    if _sha256(manifest_bytes, library) != header.code_digest:
        raise _altered(where, "its manifest or its library differs from its checksum")
    manifest = _read_manifest(where, manifest_bytes)
    _check_machine(where, manifest)
    programs = tuple(program_from_json(each) for each in manifest["programs"])
    if _checksum(weights) != header.weights_digest:
        raise _altered(where, "its weights differ from their checksum")
    return Artifact(
        path=where,
        programs=programs,
        target=manifest["target"],
        features=frozenset(manifest["features"]),
        fusewright_version=manifest["fusewright"],
        meta=manifest["meta"],
        library=library,
        weights=np.frombuffer(weights, np.uint8),
    )


@dataclass(frozen=True)
class _Header:
    manifest_bytes: int
    library_bytes: int
    weights_offset: int
    weights_bytes: int
    code_digest: bytes
    weights_digest: bytes


def _read_header(where: Path, data: memoryview) -> _Header:
    if len(data) < len(MAGIC) or data[: len(MAGIC)] != MAGIC:
        raise ArtifactError(
            f"{where} is not a file that Fusewright compiled: it does not begin with its mark. "
            "Give a file that `fusewright compile -o` wrote."
        )
    if len(data) < _HEADER_BYTES:
        raise _truncated(where, _HEADER_BYTES, len(data))
    (
        _, version, header_bytes, file_bytes, manifest_bytes, library_bytes, offset, weights_bytes, code, weights,
    ) = _FIELDS.unpack(data[: _FIELDS.size])  # fmt: skip
    if version != VERSION:
        age = "a newer Fusewright" if version > VERSION else "an older Fusewright"
        raise ArtifactError(
            f"{where} was written by {age}: its format is version {version}, this Fusewright reads version "
            f"{VERSION}. Compile the model again with this Fusewright, or use the other one to run it."
        )
    if _sha256(data[: _FIELDS.size]) != data[_FIELDS.size : _HEADER_BYTES]:
        raise _altered(where, "its header differs from its checksum")
    if len(data) < file_bytes:
        raise _truncated(where, file_bytes, len(data))
    if len(data) > file_bytes:
        raise _altered(where, f"expected {file_bytes} bytes, got {len(data)}")
    code_end = _HEADER_BYTES + manifest_bytes + library_bytes
    if header_bytes != _HEADER_BYTES or not code_end <= offset or offset + weights_bytes != file_bytes:
        raise _altered(where, "the parts that its header lists do not fit together")
    return _Header(manifest_bytes, library_bytes, offset, weights_bytes, code, weights)


def _read_manifest(where: Path, data: memoryview) -> dict[str, Any]:
    kinds = {
        "fusewright": str, "target": str, "triple": str, "arch": str, "features": list, "abi": int,
        "programs": list, "meta": dict,
    }  # fmt: skip
    try:
        manifest = json.loads(bytes(data))
    except ValueError as error:
        raise _altered(where, f"its manifest is not JSON ({error})") from None
    for key, kind in kinds.items():
        if not isinstance(manifest, dict) or not isinstance(manifest.get(key), kind):
            raise _altered(where, f"its manifest has no {key!r} that is a {kind.__name__}")
    if not all(isinstance(feature, str) for feature in manifest["features"]):
        raise _altered(where, "its manifest lists a feature that is no text")
    return dict(manifest)


def _check_machine(where: Path, manifest: Mapping[str, Any]) -> None:
    """The library's code must be for this processor and system before it may be loaded."""
    if manifest["abi"] != native.ABI:
        raise ArtifactError(
            f"{where} was written by another Fusewright ({manifest['fusewright']}): its runtime has version "
            f"{manifest['abi']}, this one has {native.ABI}. Compile the model again."
        )
    system = host().triple.partition("-")[2]
    if manifest["arch"] != host_arch() or manifest["triple"].partition("-")[2] != system:
        raise ArtifactError(
            f"{where} was compiled for {manifest['triple']}, this machine is {host_arch()}-{system}. "
            "Compile the model for this machine."
        )
    missing = frozenset(manifest["features"]) - host_features()
    if missing:
        raise ArtifactError(
            f"{where} was compiled for target {manifest['target']}; this processor lacks "
            f"{', '.join(sorted(missing))}. Compile the model with --target {host().name}."
        )


def _map(where: Path) -> memoryview:
    """The whole file, read-only and shared with every process that maps it."""
    try:
        with where.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                return memoryview(b"")
            mapping = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ArtifactError(f"cannot read the compiled file {where}: {reason}") from None
    return memoryview(mapping)


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name only when all of it is on the disk, and is gone after any failure."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with fresh.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        raise ArtifactError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink()


def _bytes_of(weights: Buffer) -> memoryview:
    if isinstance(weights, np.ndarray):  # through uint8: bfloat16 has no letter in the buffer protocol
        weights = np.ascontiguousarray(weights).reshape(-1).view(np.uint8).data
    view = memoryview(weights)
    return view.cast("B") if view.nbytes else memoryview(b"")


def _checksum(data: memoryview) -> bytes:
    """Guards the weights against accidents at the speed of memory: CRC-32 of each chunk, in threads."""
    chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    threads = min(CHECK_THREADS, usable_cpus(), len(chunks))
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            sums = list(pool.map(zlib.crc32, chunks))
    else:
        sums = [zlib.crc32(chunk) for chunk in chunks]
    return _sha256(b"".join(each.to_bytes(4, "little") for each in sums))


def _sha256(*parts: bytes | memoryview) -> bytes:
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def _truncated(where: Path, expected: int, got: int) -> ArtifactError:
    return ArtifactError(
        f"{where} is truncated: expected {expected} bytes, got {got}. Copy it again or compile the model again."
    )


def _altered(where: Path, why: str) -> ArtifactError:
    return ArtifactError(f"{where} was altered: {why}. Copy it again or compile the model again.")


def _own_version() -> str:
    try:
        return metadata.version("fusewright")
    except metadata.PackageNotFoundError:
        return "unknown"  # run from a source tree that was never installed
