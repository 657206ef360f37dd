"""What does a person want to know of output arrays, and how are they written to files?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusewright.errors import UserError
from fusewright.report.tables import show, table


def summarise(names: Sequence[str], arrays: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Per output: name, dtype, shape, least, greatest and mean of the finite values, and how many are not."""
    rows = []
    for name, array in zip(names, arrays, strict=True):
        row: dict[str, Any] = {"name": name, "dtype": array.dtype.name, "shape": list(array.shape)}
        if array.dtype.kind in "biuf" or array.dtype.kind == "V":
            wide = array.astype(np.float64)
            finite = wide[np.isfinite(wide)]
            row["min"] = float(finite.min()) if finite.size else None
            row["max"] = float(finite.max()) if finite.size else None
            row["mean"] = float(finite.mean()) if finite.size else None
            row["not_finite"] = int(wide.size - finite.size)
        rows.append(row)
    return rows


def show_arrays(rows: Sequence[dict[str, Any]]) -> None:
    """Prints what `summarise` (and `write_arrays`, under "file") found."""
    with_files = any("file" in row for row in rows)
    columns = ["output", "dtype", "shape", ">min", ">max", ">mean", ">not finite"] + ["file"] * with_files
    cells = []
    for row in rows:
        numbers = ["" if row.get(k) is None else f"{row[k]:.6g}" for k in ("min", "max", "mean", "not_finite")]
        shape = "x".join(str(e) for e in row["shape"]) or "scalar"
        cells.append([row["name"], row["dtype"], shape, *numbers] + [row.get("file", "")] * with_files)
    show(table(columns, cells))


def write_arrays(directory: Path, arrays: Sequence[np.ndarray]) -> list[Path]:
    """Writes output_0.npy, output_1.npy, ... and returns their paths.

    The files are numbered because a name in a model may be anything, also a path. bfloat16 and its like,
    which the format cannot name, are written as float32, which holds them exactly. Each file appears whole
    or not at all.
    """
    paths = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for index, array in enumerate(arrays):
            path = directory / f"output_{index}.npy"
            _write_whole(path, array.astype(np.float32) if array.dtype.kind == "V" else array)
            paths.append(path)
    except OSError as error:
        raise UserError(f"--output-dir {directory}: cannot be written: {error}") from error
    return paths


def _write_whole(path: Path, array: np.ndarray) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            np.save(file, array, allow_pickle=False)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
