"""Which room may import which? Imports go down only; the table below is the whole truth about "down"."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fusewright

ROOT = Path(fusewright.__file__).parent

BASE = {"errors", "settings"}
MODEL = BASE | {"graph", "ops"}  # what is known of a model
LOOPS = MODEL | {"target", "kernel"}  # what is known of a kernel
RUN = LOOPS | {"plan", "runtime"}
FACE = BASE | {"", "api", "report", "samples", "words", "check", "bench", "profiling"}  # what only a person needs

# These modules are one room: what stands behind the public names.
API = {"compiler", "session", "store", "describe", "opening", "planning", "tuning"}

# What each room may import besides itself; a module at the top of the package counts as a
# room, "" is the package itself: its public names.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "settings": {"errors"},
    "target": BASE,
    "kernel": BASE | {"target"},
    "ops": BASE | {"kernel"},  # the meaning of an operation is an expression
    "graph": BASE | {"ops"},
    "frontend": MODEL,
    "rules": MODEL,
    "passes": MODEL | {"rules"},
    "schedules": LOOPS,
    "codegen": LOOPS,  # not schedules: a printer spells what was decided, and asks nobody
    "plan": LOOPS | {"schedules", "passes", "codegen"},  # groups nodes, schedules each group, has it spelled
    "runtime": LOOPS | {"plan"},
    "tune": RUN | {"schedules"},  # is given what makes and runs a variant
    "api": RUN | {"frontend", "passes", "report", "tune"},  # of report only the Description, which is plain data
    "": {"api"},
    "samples": BASE,
    "report": BASE | {"samples", "check", "bench", "profiling"},
    "words": BASE | {"samples", "report"},
    "check": BASE,
    "bench": BASE | {"", "runtime", "target", "plan"},
    "profiling": BASE | {"", "api", "bench", "runtime"},
    "verbs": FACE | {"frontend", "passes", "runtime", "target", "api", "tune"},
    "cli": FACE | {"verbs"},
}


def room_of(module: str) -> str:
    """fusewright.passes.fuse -> passes"""
    room = module.split(".")[1] if "." in module else ""
    return "api" if room in API else room


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of every module of the package that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{file}:{node.lineno}: a relative import, which hides its direction"
            module = node.module or ""
            names = [module]
            if module == "fusewright":  # from fusewright import verbs: a module, or a name of the API
                names = [
                    f"fusewright.{a.name}" if (ROOT / a.name).is_dir() or (ROOT / f"{a.name}.py").is_file() else module
                    for a in node.names
                ]
        for name in names:
            if name == "fusewright" or name.startswith("fusewright."):
                yield node.lineno, name


def files() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def room_of_file(file: Path) -> str:
    first = file.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if first == "__init__" else "api" if first in API else first


def test_the_table_has_no_circle() -> None:
    # The Description has no imports at all (tested below), so who fills it is in no circle with who prints it.
    graph = {room: allowed - {"report"} if room == "api" else allowed for room, allowed in MAY_IMPORT.items()}
    assert list(TopologicalSorter(graph).static_order())


def test_every_room_is_in_the_table() -> None:
    assert {room_of_file(f) for f in files()} <= set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_imports_go_down_only(room: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in files()
        if room_of_file(file) == room
        for line, name in imports(file)
        if room_of(name) != room and room_of(name) not in MAY_IMPORT[room]
    ]
    assert not wrong, "\n".join(wrong)


def test_below_the_face_only_the_description_is_known() -> None:
    """`Session.describe` fills plain data; how it looks is nobody's business below the command line."""
    known = {
        name
        for file in files()
        if room_of_file(file) == "api"
        for _, name in imports(file)
        if room_of(name) == "report"
    }
    assert known <= {"fusewright.report.description"}


def test_the_description_is_plain_data() -> None:
    assert not list(imports(ROOT / "report" / "description.py"))


def test_foreign_formats_and_engines_stay_in_their_rooms() -> None:
    """onnxruntime and openvino are opponents and references, never part of the way of a model."""
    found = {
        "the reference" if file.name == "equivalence.py" else room_of_file(file)
        for file in files()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in _top_names(node)
        if name in ("onnxruntime", "openvino", "torch")
    }
    assert found <= {"the reference", "check", "bench", "frontend", "handover"}


def test_a_worker_imports_nothing_of_ours_before_it_must() -> None:
    """Else the memory of another engine's process would hold our package."""
    tree = ast.parse((ROOT / "bench" / "worker.py").read_text(encoding="utf-8"))
    assert "fusewright" not in {name for node in tree.body for name in _top_names(node)}


def _top_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").split(".")[0]]
    return []
