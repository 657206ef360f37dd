"""Does every model that Fusewright is checked with give onnxruntime's numbers? `fusewright check` on each of them.

    python scripts/check_models.py                     all models that scripts/models.py made, 1 and 2 threads
    python scripts/check_models.py --only minilm       one of them
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
START = "import sys; from fusewright.cli import main; sys.exit(main())"


def commands(name: str, entry: dict[str, Any], folder: Path, threads: int) -> Iterator[tuple[str, list[str]]]:
    """One command for each set of shapes: the default ones with the model's real inputs, the others at random."""
    for number, shapes in enumerate([entry["shapes"], *entry["extra_shapes"]]):
        words = [f"{port}={'x'.join(map(str, shape))}" for port, shape in shapes.items()]
        options = [option for word in words for option in ("--shape", word)]
        real = ["--inputs", str(folder / f"{name}.inputs.npz")] if number == 0 else []
        title = f"{name} {' '.join(words)} threads {threads}"
        model = str(folder / entry["file"])
        yield title, [sys.executable, "-c", START, "check", model, *options, *real, "--threads", str(threads), "--json"]


def check_one(command: list[str]) -> tuple[bool, str]:
    """Whether the check passed, and the largest error or what went wrong."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode not in (0, 1) or not done.stdout.strip():
        return False, done.stderr.strip()[-2000:] or f"exit code {done.returncode}"
    result = json.loads(done.stdout)
    errors = [o["error"] for case in result["cases"] for o in case["outputs"]]
    return done.returncode == 0, f"largest error {max(errors):.2e}"


@click.command(help=__doc__)
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=ROOT / "models", help="where the models are")
@click.option("--only", default="", help="names, separated by commas")
@click.option("--threads", default="1,2", help="numbers of threads, separated by commas")
def main(folder: Path, only: str, threads: str) -> None:
    index = json.loads((folder / "models.json").read_text())
    wanted = only.split(",") if only else list(index)
    failed = 0
    for name in wanted:
        for count in map(int, threads.split(",")):
            for title, command in commands(name, index[name], folder, count):
                start = time.monotonic()
                ok, text = check_one(command)
                failed += not ok
                click.echo(f"{'ok  ' if ok else 'FAIL'} {title}: {text} ({time.monotonic() - start:.1f} s)")
    click.echo(f"{failed} failed" if failed else "all passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
