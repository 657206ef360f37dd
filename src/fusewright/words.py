"""How do the words of the command line become shapes and arrays?

`--shape x=1x3x224x224`   the shape of input `x` (or `1x3x224x224` if the model has one input)
`--shape batch=4`         the extent of every open dimension named `batch`
`--input x=cat.npy`       the array of input `x` (or `cat.npy` if the model has one input)
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_dtypes  # noqa: F401  (gives NumPy the name bfloat16)
import numpy as np
import onnx_ir as ir

from fusewright.errors import InputError, ShapeError
from fusewright.report.description import PortInfo
from fusewright.samples import PortLike

_DIMS = re.compile(r"\d{1,12}(x\d{1,12})*")
UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)  # what NumPy raises on bad files
_LARGEST_EXTENT = 2**31 - 1  # beyond this no array of a real model goes; a typing mistake does


def ports_of(model: ir.Model) -> list[PortInfo]:
    """The inputs of a graph, as a session would list them."""
    ports = []
    for value in model.graph.inputs:
        shape: tuple[int | str | None, ...] = ()
        if value.shape is not None:
            shape = tuple(d if isinstance(d, int) else d.value for d in value.shape)
        dtype = "float32" if value.dtype is None else _dtype_name(value.dtype)
        ports.append(PortInfo(value.name or "", dtype, shape))
    return ports


def _dtype_name(dtype: ir.DataType) -> str:
    return "string" if dtype == ir.DataType.STRING else dtype.numpy().name


def shapes_from_words(
    words: Sequence[str], ports: Sequence[PortLike], arrays: Mapping[str, np.ndarray] | None = None
) -> dict[str, tuple[int, ...]]:
    """The shapes of all inputs whose every extent the words, the given arrays or the model itself tell.

    Raises ShapeError for a word that cannot be read, names nothing in the model, or contradicts it.
    """
    shapes: dict[str, tuple[int, ...]] = {name: a.shape for name, a in (arrays or {}).items()}
    dims: dict[str, int] = {}
    for word in words:
        name, extents = _parse(word, ports)
        port = next((p for p in ports if p.name == name), None)
        if port is not None and (len(extents) == len(port.shape) or name not in _open_names(ports)):
            shapes[name] = extents
        elif name in _open_names(ports) and len(extents) == 1:
            dims[name] = extents[0]
        else:
            raise ShapeError(
                f"--shape {word}: the model has no input and no open dimension of this name\n" + _known(ports)
            )
    for port in ports:
        if port.name in shapes:
            _bind(port, shapes[port.name], dims)
    for port in ports:
        bound = [dims.get(e, e) if isinstance(e, str) else e for e in port.shape]
        known = tuple(e for e in bound if isinstance(e, int))
        if port.name not in shapes and len(known) == len(bound):
            shapes[port.name] = known
    return shapes


def require_all(shapes: Mapping[str, Sequence[int]], ports: Sequence[PortLike]) -> None:
    """Raises ShapeError that names every open dimension that is not bound, and how to bind it."""
    missing = [p for p in ports if p.name not in shapes]
    if not missing:
        return
    first = missing[0]
    example = "x".join(str(e) if isinstance(e, int) else "1" for e in first.shape)
    raise ShapeError(
        "open dimensions are not bound:\n"
        + "\n".join(f"  {p.name}: {format_shape(p.shape)}" for p in missing)
        + f"\nbind them with --shape, for example: --shape {first.name}={example}"
    )


def arrays_from_words(words: Sequence[str], ports: Sequence[PortLike]) -> dict[str, np.ndarray]:
    """The arrays of `--input`, by the name of their input."""
    arrays: dict[str, np.ndarray] = {}
    for word in words:
        fitting = [p for p in ports if word.startswith(p.name + "=")]
        if fitting:
            port = max(fitting, key=lambda p: len(p.name))  # "a=b" and "a" may both be names of inputs
            file = word[len(port.name) + 1 :]
        elif len(ports) == 1 and ("=" not in word or Path(word).exists()):
            port, file = ports[0], word
        else:
            raise InputError(
                f"--input {word}: the model has no input of this name; expected NAME=FILE.npy\n" + _known(ports)
            )
        if port.name in arrays:
            raise InputError(f"--input {word}: input '{port.name}' is given twice")
        arrays[port.name] = read_array(Path(file), port)
    return arrays


def arrays_from_npz(path: Path, ports: Sequence[PortLike]) -> dict[str, np.ndarray]:
    """All arrays of an .npz file, which must be named as the inputs are."""
    try:
        archive = np.load(path, allow_pickle=False)
        stored = None if isinstance(archive, np.ndarray) else {name: archive[name] for name in archive.files}
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as an .npz file: {error}") from error
    if stored is None:
        raise InputError(f"{path}: expected an archive of named arrays (.npz), got one array (.npy)")
    unknown = sorted(set(stored) - {p.name for p in ports})
    if unknown:
        raise InputError(f"{path}: holds arrays that are no inputs of the model: {unknown}\n" + _known(ports))
    return {p.name: _checked(stored[p.name], p, path) for p in ports if p.name in stored}


def read_array(path: Path, port: PortLike) -> np.ndarray:
    """The array in a .npy file, checked against the input it is for."""
    try:
        array = np.load(path, allow_pickle=False)
    except UNREADABLE as error:
        raise InputError(f"input '{port.name}': {path} cannot be read as a .npy file: {error}") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"input '{port.name}': {path}: expected one array (.npy), got an archive (.npz)")
    return _checked(array, port, path)


def format_shape(shape: Sequence[int | str | None]) -> str:
    """1x3xHxW, with ? for an open extent without a name."""
    return "x".join("?" if e is None else str(e) for e in shape) or "scalar"


def _checked(array: np.ndarray, port: PortLike, path: Path) -> np.ndarray:
    where = f"input '{port.name}' from {path}"
    expected = np.dtype(port.dtype)
    if array.dtype.kind == "V" and expected.kind == "V" and array.itemsize == expected.itemsize:
        array = array.view(expected)  # .npy files keep only the width of bfloat16 and its like
    if array.dtype != expected:
        raise InputError(
            f"{where}: expected dtype {expected.name}, got {array.dtype.name}; "
            f"convert it: numpy.save(file, array.astype('{expected.name}'))"
        )
    fits = len(array.shape) == len(port.shape) and all(
        not isinstance(want, int) or want == got for want, got in zip(port.shape, array.shape, strict=True)
    )
    if not fits:
        raise InputError(f"{where}: expected shape {format_shape(port.shape)}, got {format_shape(array.shape)}")
    return array


def _parse(word: str, ports: Sequence[PortLike]) -> tuple[str, tuple[int, ...]]:
    name, equals, dims = word.rpartition("=")
    if not equals:
        if len(ports) != 1:
            raise ShapeError(f"--shape {word}: expected NAME=..., to say which input\n" + _known(ports))
        name = ports[0].name
    if not _DIMS.fullmatch(dims):
        raise ShapeError(f"--shape {word}: expected NAME=1x3x224x224 or DIMENSION=8, got '{dims}' for the numbers")
    extents = tuple(int(d) for d in dims.split("x"))
    if max(extents) > _LARGEST_EXTENT:
        raise ShapeError(f"--shape {word}: expected extents of at most {_LARGEST_EXTENT}, got {max(extents)}")
    return name, extents


def _bind(port: PortLike, shape: Sequence[int], dims: dict[str, int]) -> None:
    """Checks `shape` against the port's, and learns the values of its named open dimensions."""
    said = f"input '{port.name}': expected shape {format_shape(port.shape)}, got {format_shape(shape)}"
    if len(shape) != len(port.shape):
        raise ShapeError(f"{said} (rank {len(port.shape)} against {len(shape)})")
    for want, got in zip(port.shape, shape, strict=True):
        if isinstance(want, int) and want != got:
            raise ShapeError(said)
        if isinstance(want, str) and dims.setdefault(want, got) != got:
            raise ShapeError(f"{said}; but dimension '{want}' is {dims[want]} elsewhere")


def _open_names(ports: Sequence[PortLike]) -> set[str]:
    return {e for p in ports for e in p.shape if isinstance(e, str)}


def _known(ports: Sequence[PortLike]) -> str:
    lines = [f"  {p.name}: {p.dtype} {format_shape(p.shape)}" for p in ports]
    return "the inputs are:\n" + "\n".join(lines)
