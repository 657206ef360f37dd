"""Is what the pages say true? Commands and Python on them run, links lead somewhere, diffs do what they promise.

README.md and docs/*.md are read. A console block is a list of commands behind `$ `, a python block a piece of a program
(the pieces of one page are one program); a block without a language is only shown. A diff is marked by a comment before
it: `in the source` (the tests of the page fail without it and pass with it) or `new` (not there; with it, they pass).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODEL = "light_squeezenet"  # comes with the onnx package
IN_THE_SOURCE, NEW = "in the source", "new"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what a comment before it says (`name: text`), and its lines."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that a Python block is, if its first line says so."""
        found = re.match(r"# ((?:src|tests)/\S+\.py)\n", self.text)
        return found[1] if found else None


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    language, mark, start, body = "", "", 0, [""]
    inside = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if inside:
                found.append(Block(page, start, language, mark, "\n".join(body) + "\n"))
                mark = ""
            else:
                language, start, body = line[3:].strip(), number, []
            inside = not inside
        elif inside:
            body.append(line)
        elif comment := re.fullmatch(r"<!-- (.*?) -->", line):
            mark = comment[1]
        elif line.strip():
            mark = ""
    assert not inside, f"{page.name}: a block is not closed"
    return found


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def of_language(*languages: str) -> dict[Path, list[Block]]:
    """The pages that have such blocks."""
    found = {page: [b for b in blocks(page) if b.language in languages] for page in PAGES}
    return {page: those for page, those in found.items() if those}


def commands(block: Block) -> list[str]:
    """The lines behind `$ ` (of a console), or all of them (of a script)."""
    if block.language == "sh":
        return [line for line in block.text.splitlines() if line.strip()]
    return [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]


def run(command: str, where: Path, source: Path = ROOT / "src") -> subprocess.CompletedProcess[str]:
    """A command as a user types it, with `python` and `fusewright` being those that are tested."""
    tools = where / ".tools"
    tools.mkdir(exist_ok=True)
    start = f'exec "{sys.executable}"'
    for name, line in (("python", start), ("fusewright", f"{start} -c 'from fusewright.cli import main; main()'")):
        (tools / name).write_text(f'#!/bin/sh\n{line} "$@"\n')
        (tools / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(source)}
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=where, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the repository to a command: its scripts, and models/ with the model of the pages."""
    where = tmp_path_factory.mktemp("desk")
    made = run(f"python {ROOT}/scripts/models.py --only {MODEL}", where)
    assert made.returncode == 0, made.stderr
    (where / "scripts").symlink_to(ROOT / "scripts")
    (where / "models").mkdir()
    for suffix in (".onnx", ".inputs.npz"):
        shutil.copy(ROOT / "models" / f"{MODEL}{suffix}", where / "models")
    return where


def diffs(page: Path) -> list[Block]:
    found = [b for b in blocks(page) if b.language == "diff"]
    for block in found:
        assert block.mark in (f"diff: {IN_THE_SOURCE}", f"diff: {NEW}"), f"{named(page)}:{block.line}: which is it?"
    return found


HOW_TO = [page for page in PAGES if diffs(page)]


@pytest.mark.parametrize("page", [p for p in of_language("console", "sh") if p not in HOW_TO], ids=named)
def test_commands_work(page: Path, desk: Path) -> None:
    for block in of_language("console", "sh")[page]:
        for command in commands(block):
            done = run(command, desk)
            assert done.returncode == 0, f"{named(page)}:{block.line}: {command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", [p for p in of_language("python") if p not in HOW_TO], ids=named)
def test_python_works(page: Path, desk: Path) -> None:
    program = "\n".join(b.text for b in of_language("python")[page])
    (desk / "page.py").write_text(program, encoding="utf-8")
    done = run("python page.py", desk)
    assert done.returncode == 0, f"{named(page)}:\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+://", target):
            path, _, anchor = target.partition("#")
            there = (page.parent / path) if path else page
            assert there.exists(), f"{named(page)} links to {target}"
            assert not anchor or anchor in anchors(there), f"{named(page)} links to {target}, which has no such heading"


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_that_a_page_names_exist(page: Path) -> None:
    """`schedules/tile.py`: from the root of the repository, or within the package."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for name in re.findall(r"`((?:[\w-]+/)+[\w.-]+\.(?:py|h|c|md|json))`", text):
        assert any((base / name).exists() for base in (ROOT, ROOT / "src" / "fusewright")), f"{named(page)}: {name}"


# -- diffs --------------------------------------------------------------------------------------------------------


@dataclass
class Hunk:
    file: str
    before: list[str]
    after: list[str]


def hunks(diff: str) -> list[Hunk]:
    """What a unified diff replaces by what; a new file replaces nothing."""
    found: list[Hunk] = []
    file = ""
    for line in diff.splitlines():
        if line.startswith("+++ b/"):
            file = line[6:]
        elif line.startswith("@@"):
            found.append(Hunk(file, [], []))
        elif not line.startswith("---"):
            if line[:1] in ("-", " ", ""):
                found[-1].before.append(line[1:])
            if line[:1] in ("+", " ", ""):
                found[-1].after.append(line[1:])
    return found


def replace(tree: Path, hunk: Hunk, old: list[str], new: list[str]) -> None:
    path = tree / hunk.file
    if not new:
        assert path.read_text(encoding="utf-8").splitlines() == old, f"{hunk.file} is not what the page shows"
        path.unlink()
        return
    if not old:
        assert not path.exists(), f"{hunk.file} is there already"
        path.write_text("\n".join(new) + "\n", encoding="utf-8")
        return
    text = path.read_text(encoding="utf-8")
    block = "\n".join(old) + "\n"
    assert text.count(block) == 1, f"{hunk.file} does not hold, once, what the page shows:\n{block}"
    path.write_text(text.replace(block, "\n".join(new) + "\n"), encoding="utf-8")


@pytest.mark.parametrize("page", HOW_TO, ids=named)
def test_diffs_do_what_they_promise(page: Path, tmp_path: Path) -> None:
    unused = shutil.ignore_patterns("__pycache__", "golden")
    for folder in ("src/fusewright", "tests/passes", "tests/unit/target"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=unused)
    (tmp_path / "tests" / "numeric").mkdir()
    shutil.copy(ROOT / "tests" / "numeric" / "cases.py", tmp_path / "tests" / "numeric")
    for block in blocks(page):
        if block.language == "python" and block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    tests = [c for block in of_language("console", "sh")[page] for c in commands(block)]
    assert tests, f"{named(page)} has a diff and no test"

    def verdicts() -> list[subprocess.CompletedProcess[str]]:
        return [run(f"{test} -p no:cacheprovider", tmp_path, tmp_path / "src") for test in tests]

    shown = diffs(page)
    for block in shown:
        for hunk in hunks(block.text) if block.mark.endswith(IN_THE_SOURCE) else ():
            replace(tmp_path, hunk, hunk.after, hunk.before)
    if any(block.mark.endswith(IN_THE_SOURCE) for block in shown):
        for done in verdicts():
            assert done.returncode == 1, f"{named(page)}: its tests pass without its diff\n{done.stdout}{done.stderr}"
    for block in shown:
        for hunk in hunks(block.text):
            replace(tmp_path, hunk, hunk.before, hunk.after)
    for done in verdicts():
        assert done.returncode == 0, f"{named(page)}: its tests fail with its diff\n{done.stdout}{done.stderr}"


def test_a_diff_that_does_not_fit_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one\ntwo\n")
    hunk = hunks("--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n one\n-three\n+four\n")[0]
    assert (hunk.file, hunk.before, hunk.after) == ("a.py", ["one", "three"], ["one", "four"])
    with pytest.raises(AssertionError, match="does not hold"):
        replace(tmp_path, hunk, hunk.before, hunk.after)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "architecture.md"], ids=named)
def test_the_figures_of_the_scoreboard_are_those_recorded(page: Path) -> None:
    summary = json.loads((ROOT / "docs" / "scoreboard.json").read_text(encoding="utf-8"))["summary"]
    text = " ".join(page.read_text(encoding="utf-8").split())
    counts = {"cases": sum(summary.values()), "pass": summary["pass"], "are refused": summary["unsupported"]}
    for figure in (f"{count:,} {what}" for what, count in counts.items()):
        assert figure in text, f"{named(page)} does not say {figure!r}"
    assert summary["wrong"] == summary["crashed"] == summary["hung"] == 0, "the pages say that there are none"
