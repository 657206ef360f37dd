"""Which kernels is a model made of, by kind, and which of them only apply an activation, a sum, a scale or a norm?

    python scripts/kernels.py [MODEL ...]      names of models/models.json; all without names
    python scripts/kernels.py --all resnet50   every kernel of it

Plans each model for its shapes and compiles nothing.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnx_ir as ir

from fusewright.errors import UserError
from fusewright.frontend.onnx import load
from fusewright.graph.decisions import Log
from fusewright.passes.pipeline import prepare, specialize
from fusewright.plan.planner import KernelNote, Plan, plan
from fusewright.plan.support import check_support
from fusewright.plan.weights import WeightStore
from fusewright.target import host
from fusewright.target.target import Target

MODELS = Path(__file__).resolve().parent.parent / "models"


class Nothing(WeightStore):
    """Keeps no weights: only the kernels are asked for."""

    def offset(self, name: str, key: str, make: object) -> int | None:
        return 0


def planned(name: str, target: Target | None = None) -> Plan:
    """The plan of a model of models/models.json for `target` (this machine's by default), one thread."""
    entry = json.loads((MODELS / "models.json").read_text())[name]
    model = specialize(prepare(load(MODELS / entry["file"])), entry["shapes"])
    check_support(model)

    def array_of(value: ir.Value) -> np.ndarray | None:
        constant = value.const_value is not None and not value.is_graph_input()
        return np.asarray(value.const_value.numpy()) if constant and value.const_value is not None else None

    return plan(model, target or host(), 1, Nothing(), array_of, log=Log())


def only_applies(note: KernelNote) -> bool:
    """Whether the kernel only does what a neighbour could have done on the way."""
    return note.kind == "elementwise"


def show(name: str, every: bool) -> None:
    made = planned(name)
    kinds = Counter(note.kind for note in made.notes)
    print(f"{name}: {len(made.notes)} kernels: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    for note in made.notes:
        if every or only_applies(note) or note.kind in ("view", "movement"):
            print(f"  {note.kind:<12} {note.symbol[:24]:<25} {note.title:<60} reads {', '.join(note.reads)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--all", action="store_true", help="list every kernel")
    chosen = parser.parse_args()
    for name in chosen.models or json.loads((MODELS / "models.json").read_text()):
        try:
            show(name, chosen.all)
        except UserError as error:
            print(f"{name}: {error}")


if __name__ == "__main__":
    main()
