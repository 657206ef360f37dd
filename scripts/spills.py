"""Does an innermost loop of a model's kernels keep a vector register in memory?

    python scripts/spills.py [MODEL ...]             names of models/models.json; all without names
    python scripts/spills.py --target neon resnet50  for another processor than this machine's

Plans each model for its shapes, compiles its kernels to assembly, and reads that. Nothing is run: any target will do.
Exits with 1 where a loop with multiply-adds spills.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kernels import MODELS, planned

from fusewright.errors import UserError
from fusewright.runtime.compiler import Commands, find_compiler
from fusewright.target import get, host
from fusewright.target.target import Target

OWNER = re.compile(r"fw_\w+?_[0-9a-f]{12}")
OWN_LANES = re.compile(r"^#define FW_LANES (\d+)$", re.M)


@dataclass(frozen=True)
class Spelling:
    """How an instruction set writes a multiply-add on vectors, and a vector register kept on the stack.

    Clang marks what it spills, also where another register than the stack pointer leads to the stack.
    """

    fma: re.Pattern[str]
    spill: re.Pattern[str]


X86 = Spelling(
    re.compile(r"\bvfn?m(add|sub)\d+ps\b"),
    re.compile(r"%[xyz]mm\d.*(Spill|Reload)|\(%rsp\b.*%[xyz]mm\d|%[xyz]mm\d.*\(%rsp\b"),
)
ARM = Spelling(
    re.compile(r"\bfml[as]\s+v\d+\.4s"),
    re.compile(r"\b[qds]\d+,.*(\[sp\b|Spill|Reload)"),
)


BLOCK = re.compile(r"(?:\.L(BB\d+_\d+):|(?:#|//) %bb\.\d+:)")
HEADER = "Inner Loop Header"
INSIDE = re.compile(r"(?:#|//)\s+in Loop: Header=(BB\d+_\d+)")


def inner_loops(lines: Sequence[str]) -> list[list[str]]:
    """The text of each loop that has no other inside. Clang notes at each block which loop it is of; where it puts the
    block does not tell."""
    loops: dict[str, list[str]] = {}
    blocks: list[tuple[str | None, list[str]]] = []
    for line in lines:
        if block := BLOCK.match(line):
            blocks.append((block[1], []))
        if blocks:
            blocks[-1][1].append(line)
    for label, text in blocks:
        if label and any(HEADER in line for line in text):
            loops[label] = []
    for label, text in blocks:
        inside = next((found[1] for line in text if (found := INSIDE.search(line))), label)
        if inside in loops:
            loops[inside] += text
    return list(loops.values())


def functions(assembly: str) -> Iterator[tuple[str, list[str]]]:
    for part in re.split(r"^(?=fw_\w+:)", assembly, flags=re.M)[1:]:
        name = part.split(":")[0]
        owner = OWNER.match(name)  # a part of a kernel is a function too
        yield owner[0] if owner else name, part.split(".Lfunc_end")[0].splitlines()


@dataclass(frozen=True)
class Loop:
    """An innermost loop with multiply-adds: whose, how many, and the lines that keep a register in memory."""

    symbol: str
    multiply_adds: int
    spills: tuple[str, ...]


def loops_of(kernels: Mapping[str, str], target: Target, folder: Path) -> list[Loop]:
    """Of kernels (by symbol, in C) as they are compiled for `target`."""
    texts: dict[int, list[str]] = defaultdict(list)
    for text in kernels.values():
        own = OWN_LANES.search(text)
        texts[int(own[1]) if own else target.lanes].append(text)
    spelling = ARM if target.arch == "aarch64" else X86
    found = []
    for lanes, alike in texts.items():
        file, output = folder / f"kernels{lanes}.c", folder / f"kernels{lanes}.s"
        file.write_text('#include "fw_prelude.h"\n' + "\n".join(alike))
        command = find_compiler().compile_command(replace(target, lanes=lanes), str(file), str(output), "-S")
        Commands(folder).run(command)
        for symbol, lines in functions(output.read_text()):
            for loop in inner_loops(lines):
                multiply_adds = sum(bool(spelling.fma.search(line)) for line in loop)
                spills = tuple(line.strip() for line in loop if spelling.spill.search(line))
                if multiply_adds:
                    found.append(Loop(symbol, multiply_adds, spills))
    return found


def show(name: str, target: Target) -> bool:
    """Tell of one model; whether anything spills."""
    made = planned(name, target)
    titles = {note.symbol: note.title for note in made.notes}
    with tempfile.TemporaryDirectory() as folder:
        loops = loops_of(made.sources, target, Path(folder))
    bad = [loop for loop in loops if loop.spills]
    print(f"{name}: {len(loops)} loops, {len(bad)} with a register in memory")
    for loop in bad:
        whose = f"{loop.symbol} {titles.get(loop.symbol, '')}"
        print(f"  {whose}: {len(loop.spills)} to {loop.multiply_adds} multiply-adds")
    return bool(bad)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--target", help="as fusewright compile --target has it; without, this machine's")
    chosen = parser.parse_args()
    target = host() if chosen.target is None else get(chosen.target)
    spilled = []
    for name in chosen.models or json.loads((MODELS / "models.json").read_text()):
        try:
            spilled.append(show(name, target))
        except UserError as error:
            print(f"{name}: {error}")
    sys.exit(any(spilled))


if __name__ == "__main__":
    main()
