"""How do real models compare with onnxruntime and OpenVINO? Prints the table of the README, with machine and date.

    python benchmarks/readme_table.py                              the default models, 1 and 2 threads
    python benchmarks/readme_table.py resnet50 minilm --threads 1 --seconds 60
    python benchmarks/readme_table.py --update README.md           puts the table between the two marks in the file

Models are those of scripts/models.py, with the shapes of models/models.json. Each row is one `fusewright bench`: its
engines take turns, so that a busy machine slows them alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models"
START = "from fusewright.cli import main; main()"
DEFAULT = (
    "resnet50", "mobilenet_v2", "efficientnet_b0", "shufflenet_v2_x1_0", "vit_b_16", "bert_base", "minilm",
    "ppocr_det", "ppocr_rec",
)  # fmt: skip
OPPONENTS = ("onnxruntime", "openvino")
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def measure(name: str, shapes: Mapping[str, Sequence[int]], threads: int, seconds: float) -> dict[str, Any]:
    """The JSON of one `fusewright bench`. Raises RuntimeError with its message if it fails."""
    words = [w for port, shape in shapes.items() for w in ("--shape", f"{port}={'x'.join(map(str, shape))}")]
    command = [
        sys.executable, "-c", START, "bench", str(MODELS / f"{name}.onnx"), *words, "--against", ",".join(OPPONENTS),
        "--threads", str(threads), "--seconds", str(seconds), "--json",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def row(name: str, result: Mapping[str, Any]) -> str:
    """One line of the table; a dash stands for an engine that could not run the model."""
    engines = {e["name"]: e for e in result["engines"]}
    ratios = {r["opponent"]: r["ratio"] for r in result["ratios"]}
    share = engines["fusewright"]["share_of_peak"]
    shapes = ", ".join("x".join(map(str, s)) for s in dict.fromkeys(tuple(s) for s in result["shapes"].values()))
    cells = [name, shapes, str(result["threads"]), f"{engines['fusewright']['median_ms']:.1f} ms"]
    cells.append(f"{share['median']:.0%}" if share else "-")
    for opponent in OPPONENTS:
        if opponent not in ratios:
            cells.append("-")
            continue
        r = ratios[opponent]
        cells.append(f"**{r['median']:.2f}x** ({r['low']:.2f} to {r['high']:.2f})")
    return f"| {' | '.join(cells)} |"


def table(rows: Sequence[str], results: Sequence[Mapping[str, Any]]) -> str:
    """The rows under their heads, and what they were measured on."""
    heads = ["model", "input", "threads", "Fusewright", "of peak", *(f"against {o}" for o in OPPONENTS)]
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *rows, "", provenance(results)])


def provenance(results: Sequence[Mapping[str, Any]]) -> str:
    """On what machine, when, of which versions and how long the results were measured."""
    first = results[0]
    machine = first["machine"]
    versions = ", ".join(f"{e['name']} {e['version'].split('-')[0]}" for e in first["engines"])
    rounds = ", ".join(str(r["rounds"]) for r in results)
    system = machine["system"].split()
    loads = ", ".join(str(r["machine"].get("load_before", "?")) for r in results)
    return (
        f"{machine['processor']}, {machine['cpus']} processors, {machine['target']}, {system[0]} {system[-1]}, "
        f"{machine['date'][:10]}; {versions}; rounds: {rounds}; load before each row: {loads}."
    )


def update(page: Path, made: str) -> None:
    """Put the table between the marks of the page. Raises SystemExit if the page has none."""
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{page} has no place for the table: expected one {BEGIN} and one {END}")
    before, rest = text.split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=DEFAULT, metavar="MODEL")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, separated by commas")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each row")
    parser.add_argument("--update", type=Path, metavar="PAGE", help="a page with the two marks")
    options = parser.parse_args()
    index = json.loads((MODELS / "models.json").read_text(encoding="utf-8"))
    missing = [name for name in options.models if name not in index]
    if missing:
        raise SystemExit(f"{MODELS} lacks {', '.join(missing)}: python scripts/models.py --only {','.join(missing)}")
    rows, results = [], []
    for name in options.models:
        for threads in map(int, options.threads.split(",")):
            print(f"{name}, {threads} threads", file=sys.stderr)
            results.append(measure(name, index[name]["shapes"], threads, options.seconds))
            rows.append(row(name, results[-1]))
    made = table(rows, results)
    print(made)
    if options.update is not None:
        update(options.update, made)


if __name__ == "__main__":
    main()
