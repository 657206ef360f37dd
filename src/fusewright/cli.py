"""What can a user ask for on the command line? One function a verb; the work is done elsewhere.

Exit codes: 0 done; 1 the answer is no (`check` found a difference); 2 the input is at fault; 3 a bug of ours;
130 stopped with Ctrl-C. Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from fusewright import verbs
from fusewright.errors import UserError
from fusewright.report.arrays import show_arrays
from fusewright.report.bench import show_bench
from fusewright.report.check import show_check
from fusewright.report.failures import show_bug, show_user_error, version_text
from fusewright.report.inspect import show_description
from fusewright.report.profile import show_profile
from fusewright.report.progress import progress
from fusewright.report.tables import show, show_json
from fusewright.report.tune import show_tuning

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_NO, EXIT_USER, EXIT_BUG, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 3, 130, 143
READER_GONE = 0  # who reads our output (head, less) has seen enough


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


_file = click.argument("file", metavar="FILE")
_model = click.argument("model", metavar="MODEL")
_shape = click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="NAME=1x3x224x224",
    help="Shape of an input, or DIMENSION=8 for an open dimension; may be repeated. "
    "NAME= may be left out if there is one input.",
)
_threads = click.option(
    "--threads", type=click.IntRange(1, 1024), metavar="N", help="Threads of a run (default: all processors)."
)
_target = click.option(
    "--target", metavar="NAME", help="Instruction set to compile for (default: the best that is here)."
)
_fixed = click.option(
    "--fixed", is_flag=True, help="Only these shapes will come: kernels for open dimensions become faster."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
_seed = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the random inputs.")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings are read from the environment: FUSEWRIGHT_DEBUG, FUSEWRIGHT_DUMP, FUSEWRIGHT_CACHE_DIR, "
    "FUSEWRIGHT_CC, FUSEWRIGHT_TARGET, FUSEWRIGHT_THREADS. FUSEWRIGHT_DEBUG=1 to 5 shows more and more.",
)
@click.version_option(version_text(), prog_name="fusewright")
def cli() -> None:
    """Compile a trained network (ONNX) into a native library, run it, check it, and time it."""


@cli.command("compile")
@_model
@click.option("-o", "--output", metavar="OUT.fw", help="File to write (default: the model's name with .fw).")
@_shape
@_threads
@_target
@_fixed
@_json
def compile_(
    model: str,
    output: str | None,
    shapes: Sequence[str],
    threads: int | None,
    target: str | None,
    fixed: bool,
    as_json: bool,
) -> int:
    """Compile a model into one file.

    The file runs without a compiler and without the model. If the model has open dimensions, --shape names one
    set of shapes to be ready for; the file runs at every other size too, after a short planning, but with --fixed
    at no other.

    \b
    Examples:
      fusewright compile resnet50.onnx
      fusewright compile bert.onnx -o bert.fw --shape batch=1 --shape tokens=128 --threads 4
    """
    with progress() as report:
        result = verbs.compile_to(Path(model), _path(output), shapes, threads, target, fixed, report)
    if as_json:
        show_json(result.to_json())
    else:
        show(result.text())
    return 0


@cli.command()
@_file
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=FILE.npy",
    help="Array for an input; may be repeated. Inputs that are not given are random (see --seed).",
)
@click.option("--output-dir", metavar="DIR", help="Write the outputs there as output_0.npy, output_1.npy, ...")
@_shape
@_threads
@_target
@_seed
@_json
def run(
    file: str,
    inputs: Sequence[str],
    output_dir: str | None,
    shapes: Sequence[str],
    threads: int | None,
    target: str | None,
    seed: int,
    as_json: bool,
) -> int:
    """Run a model or a compiled file once.

    Random inputs are standard normal for floats; integers are 0 or 1, or any row where they index a table.

    \b
    Examples:
      fusewright run resnet50.onnx --input x=cat.npy --output-dir out
      fusewright run detector.fw --shape 1x3x640x640
    """
    with progress() as report:
        result = verbs.run_once(Path(file), inputs, _path(output_dir), shapes, threads, target, seed, report)
    if as_json:
        show_json(result.to_json())
    else:
        show(f"{result.file} ({verbs.shapes_text(result.shapes)}): one run took {result.run_ms:.1f} ms")
        show_arrays(result.outputs)
    return 0


@cli.command()
@_model
@_shape
@click.option("--inputs", "archive", metavar="FILE.npz", help="Compare on these arrays too, named as the inputs are.")
@click.option("--seeds", type=click.IntRange(0, 1000), default=3, show_default=True, help="Number of random inputs.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0, min_open=True),
    help="Largest error allowed, relative to the output's largest magnitude (default: 1e-4).",
)
@click.option(
    "--reference",
    type=click.Choice(["onnxruntime", "onnx"]),
    help="What to compare with (default: onnxruntime if it is installed, else the evaluator of onnx).",
)
@_threads
@_target
@_fixed
@_json
def check(
    model: str,
    shapes: Sequence[str],
    archive: str | None,
    seeds: int,
    tolerance: float | None,
    reference: str | None,
    threads: int | None,
    target: str | None,
    fixed: bool,
    as_json: bool,
) -> int:
    """Compare the results with another engine.

    Exit code 0 if all outputs agree, 1 if one does not.

    \b
    Examples:
      fusewright check resnet50.onnx
      fusewright check bert.onnx --shape tokens=128 --inputs sentences.npz --threads 2
    """
    with progress() as report:
        result = verbs.check_model(
            Path(model), shapes, _path(archive), seeds, tolerance, reference, threads, target, fixed, report
        )
    if as_json:
        show_json(result.to_json())
    else:
        show(f"{result.model} ({verbs.shapes_text(result.shapes)}), target {result.target}")
        show_check(result.result)
    return 0 if result.ok else EXIT_NO


@cli.command()
@_file
@click.option(
    "--against",
    default="onnxruntime,openvino",
    show_default=True,
    metavar="ENGINES",
    help='Opponents, separated by commas; "none" for none.',
)
@_shape
@_threads
@_target
@click.option(
    "--any-size", is_flag=True, help="Time kernels that serve every size, as compile makes them without --fixed."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    default=20.0,
    show_default=True,
    help="How long to measure, all engines together, loading not counted.",
)
@_seed
@_json
def bench(
    file: str,
    against: str,
    shapes: Sequence[str],
    threads: int | None,
    target: str | None,
    any_size: bool,
    seconds: float,
    seed: int,
    as_json: bool,
) -> int:
    """Time a model against other engines.

    Each engine runs in a process of its own, in alternation, some runs at a time, so that a noisy machine slows
    all alike. The measured peak of the machine runs in the same alternation. A compiled file can only be timed
    alone (--against none), as the opponents need the model. All engines are told the shapes beforehand.

    \b
    Examples:
      fusewright bench resnet50.onnx --threads 1
      fusewright bench bert.onnx --shape batch=1 --shape tokens=128 --against onnxruntime --seconds 60 --json
    """
    with progress() as report:
        result = verbs.bench_model(Path(file), against, shapes, threads, target, any_size, seconds, seed, report)
    if as_json:
        show_json(result.to_json())
    else:
        show_bench(result)
    return 0


@cli.command()
@click.argument("model", metavar="MODEL", required=False)
@_shape
@_threads
@_fixed
@click.option(
    "--seconds",
    type=click.FloatRange(1, 86400),
    default=60.0,
    show_default=True,
    help="How long to search, compiling included; Ctrl-C ends it earlier and keeps what was measured.",
)
@click.option("--database", metavar="FILE", help="Database to write (default: the one that compilations read).")
@click.option(
    "--merge",
    "merged",
    multiple=True,
    metavar="FILE",
    help="Take over the database FILE; may be repeated. Needs no MODEL.",
)
@_seed
@_json
def tune(
    model: str | None,
    shapes: Sequence[str],
    threads: int | None,
    fixed: bool,
    seconds: float,
    database: str | None,
    merged: Sequence[str],
    seed: int,
    as_json: bool,
) -> int:
    """Measure the ways to make each kernel, and keep the best.

    Later compilations on this machine use what was found, also of other models with the same kernels.

    \b
    Examples:
      fusewright tune resnet50.onnx --threads 1 --seconds 120
      fusewright tune --merge laptop.json --merge server.json --database all.json
    """
    if merged:
        if model is not None or database is None:
            raise click.UsageError("--merge takes databases only: expected --merge FILE... --database OUT, no MODEL")
        told = verbs.merge_databases([Path(each) for each in merged], Path(database))
        if as_json:
            show_json(told)
        else:
            show("\n".join(f"{database}: {count} choices for {machine}" for machine, count in told["machines"].items()))
        return 0
    if model is None:
        raise click.UsageError("Missing argument 'MODEL'.")
    with progress() as report:
        result = verbs.tune_model(Path(model), shapes, threads, fixed, seconds, _path(database), seed, report)
    if as_json:
        show_json(result)
    else:
        show_tuning(result)
    return 0


@cli.command()
@_file
@_shape
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=FILE.npy",
    help="Array for an input; may be repeated. Inputs that are not given are random (see --seed).",
)
@_threads
@_target
@_fixed
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    default=5.0,
    show_default=True,
    help="How long to measure, compiling not counted.",
)
@click.option(
    "--top", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Kernels and nodes to show."
)
@click.option("-o", "--roofline", metavar="FILE.svg", help="Write the roofline picture there.")
@click.option("--trace", metavar="FILE.json", help="Write what each thread did when; Perfetto opens it.")
@_seed
@_json
def profile(
    file: str,
    shapes: Sequence[str],
    inputs: Sequence[str],
    threads: int | None,
    target: str | None,
    fixed: bool,
    seconds: float,
    top: int,
    roofline: str | None,
    trace: str | None,
    seed: int,
    as_json: bool,
) -> int:
    """Show where the time goes, kernel by kernel and node by node.

    Each is held against what this machine can do, measured in turns with the runs: multiply-adds, memory, cache.

    \b
    Examples:
      fusewright profile resnet50.onnx --threads 1
      fusewright profile bert.fw --shape tokens=128 -o roofline.svg --trace trace.json
    """
    pictures = {"--roofline": _path(roofline), "--trace": _path(trace)}
    with progress() as report:
        result = verbs.profile_file(Path(file), shapes, inputs, threads, target, fixed, seconds, seed, pictures, report)
    if as_json:
        show_json(result.to_json())
    else:
        show_profile(result, top)
    return 0


@cli.command()
@_file
@_shape
@_threads
@_target
@_fixed
@click.option("--reasons", is_flag=True, help="Name every place of every decision, not three of each kind.")
@_json
def inspect(
    file: str,
    shapes: Sequence[str],
    threads: int | None,
    target: str | None,
    fixed: bool,
    reasons: bool,
    as_json: bool,
) -> int:
    """Show kernels, memory and reasons.

    \b
    Examples:
      fusewright inspect resnet50.onnx
      fusewright inspect detector.onnx --shape 1x3x640x640 --reasons
    """
    with progress() as report:
        result = verbs.describe(Path(file), shapes, threads, target, fixed, report)
    if as_json:
        show_json(result.to_json())
    else:
        show_description(result, reasons)
    return 0


@cli.command()
@_model
@click.option("-o", "--output", required=True, metavar="OUT.onnx", help="File to write.")
@_json
def optimize(model: str, output: str, as_json: bool) -> int:
    """Write the optimised graph as plain ONNX.

    \b
    Example:
      fusewright optimize resnet50.onnx -o resnet50.opt.onnx
    """
    with progress() as report:
        result = verbs.optimize_to(Path(model), Path(output), report)
    if as_json:
        show_json(result.to_json())
    else:
        show(result.text())
    return 0


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point: runs the verb and turns whatever happens into an exit code and at most one message."""
    signal.signal(signal.SIGTERM, _terminate)  # so that what is under way cleans up after itself
    sys.exit(_guarded(arguments))


def _terminate(number: int, frame: object) -> NoReturn:
    raise SystemExit(EXIT_TERMINATED)


def _guarded(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=arguments, prog_name="fusewright", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, click.Abort):
        click.echo("fusewright: interrupted", err=True)
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return EXIT_USER
    except UserError as error:
        show_user_error(error)
        return EXIT_USER
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except SystemExit as error:  # click makes of a broken pipe a 1, which here means "no"
        return READER_GONE if error.code == 1 else int(error.code or 0)
    except MemoryError as error:
        show_user_error(UserError(f"this machine has not enough memory for it: {error or 'allocation failed'}"))
        return EXIT_USER
    except Exception as error:
        show_bug(error)
        return EXIT_BUG


if __name__ == "__main__":
    main()
