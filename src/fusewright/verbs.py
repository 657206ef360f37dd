"""What does each verb of the command line do? Words in, a result out that can be shown or dumped as JSON.

Nothing here prints; nothing here computes what a room below already does.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

import fusewright
from fusewright import tuning
from fusewright.bench.bench import bench, check_opponents
from fusewright.bench.flops import count_flop
from fusewright.bench.result import BenchResult
from fusewright.check import TOLERANCE, CheckResult, check, reference_for
from fusewright.errors import ArtifactError, InputError, UserError
from fusewright.frontend.onnx import load as load_model
from fusewright.passes.pipeline import bind, optimize, specialize
from fusewright.profiling import Profile, profile
from fusewright.report.arrays import summarise, write_arrays
from fusewright.report.description import Description
from fusewright.report.files import require_writable, write_text
from fusewright.report.roofline import roofline
from fusewright.report.trace import trace_text
from fusewright.runtime.artifact import MAGIC
from fusewright.samples import PortLike, random_inputs, table_rows
from fusewright.settings import settings
from fusewright.target import get, host
from fusewright.tune.database import merge_files
from fusewright.words import (
    arrays_from_npz,
    arrays_from_words,
    format_shape,
    ports_of,
    require_all,
    shapes_from_words,
)

Progress = Callable[[str, int, int], None]
Shapes = Mapping[str, Sequence[int]]

ARTIFACT_SUFFIX = ".fw"


def is_artifact(file: Path) -> bool:
    """Whether this is a compiled file: by its first bytes, and if it cannot be read, by its name."""
    try:
        with open(file, "rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC or file.suffix == ARTIFACT_SUFFIX
    except (OSError, ValueError):
        return file.suffix == ARTIFACT_SUFFIX


@dataclass(frozen=True)
class Opened:
    """A model or a compiled file, ready to run; `model` is None for the latter, as it holds no graph."""

    session: fusewright.Session
    model: ir.Model | None
    shapes: dict[str, tuple[int, ...]]
    arrays: dict[str, np.ndarray]
    compile_seconds: float | None

    def feed(self, seed: int) -> dict[str, np.ndarray]:
        """The given arrays, and random ones for the rest. Raises ShapeError if a shape is not known."""
        require_all(self.shapes, self.session.inputs)
        rows = table_rows(self.model) if self.model is not None else {}
        return random_inputs(self.session.inputs, self.shapes, seed, rows) | self.arrays


def open_file(
    file: Path,
    shape_words: Sequence[str],
    threads: int | None,
    target: str | None,
    progress: Progress,
    read_arrays: Callable[[Sequence[PortLike]], dict[str, np.ndarray]] | None = None,
    all_shapes: bool = False,
    fixed: bool = False,
) -> Opened:
    """Loads a compiled file, or loads and compiles a model; with `fixed` for no other shapes.

    `read_arrays` is called with the inputs as soon as they are known, and with `all_shapes` every dimension must
    be bound by then: faults of the user show before the work begins.
    """
    model = None if is_artifact(file) else load_model(file)
    if model is None:
        if target is not None:
            raise ArtifactError(f"--target {target}: {file} is compiled already; give the model instead")
        if fixed:
            raise ArtifactError(f"--fixed: {file} is compiled already; give the model instead")
        session, seconds = fusewright.load(file, threads=threads), None
        ports: Sequence[PortLike] = session.inputs
    else:
        ports = ports_of(model)
    arrays = read_arrays(ports) if read_arrays is not None else {}
    shapes = shapes_from_words(shape_words, ports, arrays)
    if model is None and not shape_words and not arrays:  # a compiled file knows shapes that it is ready for
        shapes = {n: tuple(s) for n, s in (session.describe().shapes or {}).items()} | shapes
    if all_shapes or shape_words or fixed:
        require_all(shapes, ports)
    if model is not None:
        bound = shapes if len(shapes) == len(ports) else None
        start = time.perf_counter()
        session = fusewright.compile(
            model, shapes=bound, threads=threads, target=target, fixed=fixed,
            progress=lambda done, total: progress("compiling", done, total),
        )  # fmt: skip
        seconds = time.perf_counter() - start
    return Opened(session, model, shapes, arrays, seconds)


@dataclass(frozen=True)
class CompileResult:
    """What was compiled, where it is, and what it takes."""

    model: str
    output: str
    bytes: int
    target: str
    threads: int
    kernels: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        return (
            f"{self.output}: {self.bytes} bytes, {self.kernels} kernels for {self.target}, "
            f"compiled from {self.model} in {self.seconds:.1f} s"
        )


def compile_to(
    model: Path,
    output: Path | None,
    shape_words: Sequence[str],
    threads: int | None,
    target: str | None,
    fixed: bool,
    progress: Progress,
) -> CompileResult:
    """compile: writes the compiled file, whole or not at all."""
    if is_artifact(model):
        raise UserError(f"{model}: this is a compiled file already; expected an ONNX model")
    output = output or model.with_suffix(ARTIFACT_SUFFIX)
    require_writable(output, model)
    opened = open_file(model, shape_words, threads, target, progress, all_shapes=True, fixed=fixed)
    try:
        opened.session.save(output)
    except OSError as error:
        raise UserError(f"-o {output}: cannot be written: {error}") from error
    about = opened.session.describe()
    return CompileResult(
        str(model),
        str(output),
        output.stat().st_size,
        about.target,
        about.threads,
        len(about.kernels),
        opened.compile_seconds or 0.0,
    )


@dataclass(frozen=True)
class RunResult:
    """The shapes that went in, how long one run took, and a summary of each output."""

    file: str
    shapes: Shapes
    run_ms: float
    outputs: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def run_once(
    file: Path,
    input_words: Sequence[str],
    output_dir: Path | None,
    shape_words: Sequence[str],
    threads: int | None,
    target: str | None,
    seed: int,
    progress: Progress,
) -> RunResult:
    """run: given or random arrays in, a summary out, and the outputs as files if a folder is named."""
    opened = open_file(
        file,
        shape_words,
        threads,
        target,
        progress,
        lambda ports: arrays_from_words(input_words, ports),
        all_shapes=True,
    )
    feed = opened.feed(seed)
    start = time.perf_counter()
    arrays = [np.asarray(a) for a in opened.session.run(None, feed)]
    seconds = time.perf_counter() - start
    rows = summarise([p.name for p in opened.session.outputs], arrays)
    if output_dir is not None:
        for row, path in zip(rows, write_arrays(output_dir, arrays), strict=True):
            row["file"] = str(path)
    return RunResult(str(file), opened.shapes, seconds * 1000, rows)


@dataclass(frozen=True)
class ModelCheck:
    """A check, and of what."""

    model: str
    target: str
    threads: int
    shapes: Shapes
    result: CheckResult

    @property
    def ok(self) -> bool:
        return self.result.ok

    def to_json(self) -> dict[str, Any]:
        about = {"model": self.model, "target": self.target, "threads": self.threads, "shapes": self.shapes}
        return about | self.result.to_json()


def check_model(
    model: Path,
    shape_words: Sequence[str],
    archive: Path | None,
    seeds: int,
    tolerance: float | None,
    reference: str | None,
    threads: int | None,
    target: str | None,
    fixed: bool,
    progress: Progress,
) -> ModelCheck:
    """check: compares on random inputs, and on those of the archive if there is one."""
    if is_artifact(model):
        raise UserError(f"{model}: this is a compiled file, which holds no graph to compare with; give the model")
    if seeds == 0 and archive is None:
        raise InputError("--seeds 0 without --inputs leaves nothing to compare on")
    opened = open_file(
        model,
        shape_words,
        threads,
        target,
        progress,
        (lambda ports: arrays_from_npz(archive, ports)) if archive is not None else None,
        all_shapes=True,
        fixed=fixed,
    )
    given = {str(archive): opened.feed(0)} if archive is not None else {}
    without = replace(opened, arrays={})
    cases = given | {f"seed {seed}": without.feed(seed) for seed in range(seeds)}
    session = opened.session
    result = check(
        lambda feed: session.run(None, dict(feed)),
        reference_for(model, reference),
        [p.name for p in session.outputs],
        cases,
        TOLERANCE if tolerance is None else tolerance,
        progress,
    )
    return ModelCheck(str(model), session.target.name, session.threads, opened.shapes, result)


def bench_model(
    file: Path,
    against: str,
    shape_words: Sequence[str],
    threads: int | None,
    target: str | None,
    any_size: bool,
    seconds: float,
    seed: int,
    progress: Progress,
) -> BenchResult:
    """bench: compiles, then measures the compiled file against the opponents on the same random inputs.

    Opponents are told the shapes beforehand, so they are fixed for ours too, unless it is to serve `any_size`.
    """
    opponents = [] if against == "none" else [name.strip() for name in against.split(",") if name.strip()]
    check_opponents(opponents, None if is_artifact(file) else file)
    fixed = not any_size and not is_artifact(file)
    opened = open_file(file, shape_words, threads, target, progress, all_shapes=True, fixed=fixed)
    feed = opened.feed(seed)
    dims = {
        extent: shape
        for port in (opened.session.inputs if opened.model is None else ports_of(opened.model))
        for extent, shape in zip(port.shape, opened.shapes[port.name], strict=True)
        if isinstance(extent, str)
    }
    flop: int | None
    if opened.model is not None:
        flop = count_flop(specialize(opened.model, opened.shapes))
    else:  # a compiled file has no graph to count in, but its kernels know their work
        flop = sum(k.flop for k in opened.session.describe(opened.shapes).kernels) or None
    with tempfile.TemporaryDirectory(prefix="fusewright-bench-") as folder:
        artifact = file
        if opened.model is not None:
            artifact = Path(folder) / "model.fw"
            opened.session.save(artifact)
        result = bench(
            model=None if opened.model is None else file,
            artifact=artifact,
            feed=feed,
            dims=dims,
            against=opponents,
            threads=opened.session.threads,
            seconds=seconds,
            flop=flop,
            compile_seconds=opened.compile_seconds,
            progress=progress,
        )
    return result


def tune_model(
    file: Path,
    shape_words: Sequence[str],
    threads: int | None,
    fixed: bool,
    seconds: float,
    database: Path | None,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """tune: measures the ways of making each kernel on random inputs, and remembers the best."""
    if is_artifact(file):
        raise UserError(f"{file}: this is a compiled file, whose kernels are made; expected an ONNX model")
    model = load_model(file)
    ports = ports_of(model)
    shapes = shapes_from_words(shape_words, ports)
    require_all(shapes, ports)
    feed = random_inputs(ports, shapes, seed, table_rows(model))
    if fixed:
        model = bind(model, shapes)
    named = settings().target
    target = get(named) if named else host()
    return {"model": str(file), "shapes": shapes} | tuning.tune_model(
        model, feed, threads or settings().threads, target, seconds=seconds, database=database, report=progress
    )


def merge_databases(files: Sequence[Path], output: Path) -> dict[str, Any]:
    """tune --merge: one database of several, and of what the output holds already."""
    whole = merge_files(files, output)
    counts = {str(machine): len(keys) for machine, keys in whole.machines.items()}
    return {"database": str(output), "machines": counts}


def profile_file(
    file: Path,
    shape_words: Sequence[str],
    input_words: Sequence[str],
    threads: int | None,
    target: str | None,
    fixed: bool,
    seconds: float,
    seed: int,
    pictures: Mapping[str, Path | None],
    progress: Progress,
) -> Profile:
    """profile: where the time goes; `pictures` are the files wanted, by their option (--roofline, --trace)."""
    wanted = {option: path for option, path in pictures.items() if path is not None}
    for option, path in wanted.items():
        require_writable(path, file, option)
    if len(set(wanted.values())) < len(wanted):
        raise InputError(f"{' and '.join(wanted)} name the same file: expected one for each")
    opened = open_file(
        file,
        shape_words,
        threads,
        target,
        progress,
        lambda ports: arrays_from_words(input_words, ports),
        all_shapes=True,
        fixed=fixed,
    )
    result = profile(opened.session, opened.feed(seed), seconds=seconds, model=str(file), progress=progress)
    printers = {"--roofline": roofline, "--trace": trace_text}
    for option, path in wanted.items():
        write_text(path, printers[option](result), option)
    return result


def describe(
    file: Path, shape_words: Sequence[str], threads: int | None, target: str | None, fixed: bool, progress: Progress
) -> Description:
    """inspect: all that is known of the compiled model."""
    opened = open_file(file, shape_words, threads, target, progress, fixed=fixed)
    known = len(opened.shapes) == len(opened.session.inputs)
    return replace(opened.session.describe(opened.shapes if known else None), model=str(file))


@dataclass(frozen=True)
class OptimizeResult:
    """Where the optimised graph is, and by how much it shrank."""

    model: str
    output: str
    nodes_before: int
    nodes_after: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        return f"{self.output}: {self.nodes_before} nodes became {self.nodes_after}"


def optimize_to(file: Path, output: Path, progress: Progress) -> OptimizeResult:
    """optimize: writes plain ONNX, whole or not at all; weights go into the file itself."""
    require_writable(output, file)
    progress("reading the model", 0, 3)
    model = load_model(file)
    progress("optimising", 1, 3)
    smaller = optimize(model)
    progress("writing", 2, 3)
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        ir.save(smaller, temporary)
        os.replace(temporary, output)
    except OSError as error:
        raise UserError(f"-o {output}: cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return OptimizeResult(str(file), str(output), len(model.graph), len(smaller.graph))


def shapes_text(shapes: Shapes) -> str:
    """x=1x3x224x224, mask=1x128"""
    return ", ".join(f"{name}={format_shape(shape)}" for name, shape in shapes.items())
