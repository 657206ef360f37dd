"""How do models compare with the faster of onnxruntime and OpenVINO? The table of docs/performance.md.

    python benchmarks/faster_peer.py                               the models of the table, 1 and 2 threads, three runs
    python benchmarks/faster_peer.py --all --runs 1 --seconds 5    every model of scripts/models.py
    python benchmarks/faster_peer.py resnet50 --threads 1          one row
    python benchmarks/faster_peer.py --update docs/performance.md  puts the table between the two marks in the page

Each run is one `fusewright bench` with all three engines in alternation; of several runs, the one with the middle ratio
counts. Beside the ratio stand the shares of the peak of multiply-adds that both reach: without an algorithm that needs
fewer of them, the ratio cannot exceed one divided by the share of the peer.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from readme_table import MODELS, measure, provenance, update

DEFAULT = (
    "resnet50", "resnet18", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "bert_base", "minilm", "vit_b_16",
    "ppocr_det", "ppocr_rec",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One `fusewright bench`: the peer that took less time, and the ratio to it (median, and 80 % of the rounds)."""

    result: Mapping[str, Any]

    @property
    def engines(self) -> dict[str, Any]:
        return {e["name"]: e for e in self.result["engines"]}

    @property
    def peer(self) -> str:
        times = {name: e["median_ms"] for name, e in self.engines.items() if name != "fusewright"}
        return min(times, key=lambda name: times[name])

    @property
    def ratio(self) -> Mapping[str, float]:
        found: Mapping[str, float] = next(r["ratio"] for r in self.result["ratios"] if r["opponent"] == self.peer)
        return found

    def share(self, name: str) -> str:
        share = self.engines[name]["share_of_peak"]
        return f"{share['median']:.0%}" if share else "-"

    def row(self, name: str, others: Sequence[float]) -> str:
        ours, peer = self.engines["fusewright"], self.engines[self.peer]
        spread = f" ({', '.join(f'{r:.2f}' for r in sorted(others))})" if len(others) > 1 else ""
        cells = [
            name, str(self.result["threads"]), f"{ours['median_ms']:.2f} ms", self.share("fusewright"), self.peer,
            f"{peer['median_ms']:.2f} ms", self.share(self.peer), f"**{self.ratio['median']:.2f}x**{spread}",
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


def middle(runs: Sequence[Run]) -> Run:
    return sorted(runs, key=lambda run: run.ratio["median"])[len(runs) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=DEFAULT, metavar="MODEL")
    parser.add_argument("--all", action="store_true", help="every model of models/models.json")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, separated by commas")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each run")
    parser.add_argument("--runs", type=int, default=3, help="of each row; the middle one counts")
    parser.add_argument("--update", type=Path, metavar="PAGE", help="a page with the two marks")
    options = parser.parse_args()
    index = json.loads((MODELS / "models.json").read_text(encoding="utf-8"))
    names = list(index) if options.all else options.models
    missing = [name for name in names if name not in index]
    if missing:
        raise SystemExit(f"{MODELS} lacks {', '.join(missing)}: python scripts/models.py --only {','.join(missing)}")
    rows, kept = [], []
    for name in names:
        for threads in map(int, options.threads.split(",")):
            runs = [Run(measure(name, index[name]["shapes"], threads, options.seconds)) for _ in range(options.runs)]
            kept.append(middle(runs))
            rows.append(kept[-1].row(name, [run.ratio["median"] for run in runs]))
            print(rows[-1], file=sys.stderr, flush=True)
    heads = ["model", "threads", "Fusewright", "of peak", "faster peer", "its time", "of peak", "ratio (each run)"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *rows, "", provenance([r.result for r in kept])]
    print("\n".join(lines))
    if options.update is not None:
        update(options.update, "\n".join(lines))


if __name__ == "__main__":
    main()
