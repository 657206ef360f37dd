"""What has been measured, where is it kept, and what of it holds here? The file is described in docs/tuning.md."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fusewright.errors import UserError
from fusewright.graph.decisions import Log
from fusewright.settings import settings
from fusewright.target import Target
from fusewright.target.host import processor, runs_here

FORMAT = "fusewright tuning"
FORMAT_VERSION = 1
OFF = "off"  # of the setting FUSEWRIGHT_TUNING


@dataclass(frozen=True)
class Machine:
    """For what a measurement holds: keys and options are those of one version, times those of one processor."""

    version: str
    target: str
    processor: str
    threads: int

    def __str__(self) -> str:
        return f"{self.target}, {self.processor}, {self.threads} threads, version {self.version}"


@dataclass(frozen=True)
class Measured:
    """One key: the best option, the one that is chosen without measuring, the time of each in microseconds (all
    kernels of the model that has this key), what was predicted (cycles of one thread), and when (ISO 8601, UTC)."""

    best: str
    default: str
    microseconds: Mapping[str, float]
    predicted: Mapping[str, float]
    when: str


@dataclass
class Database:
    """All that one file holds."""

    machines: dict[Machine, dict[str, Measured]] = field(default_factory=dict)

    def merge(self, other: Database) -> None:
        """Take over what `other` knows; of two measurements of one key the later one counts."""
        for machine, keys in other.machines.items():
            mine = self.machines.setdefault(machine, {})
            for key, measured in keys.items():
                if key not in mine or mine[key].when <= measured.when:
                    mine[key] = measured

    def to_json(self) -> dict[str, Any]:
        machines = [
            asdict(machine) | {"kernels": {key: asdict(keys[key]) for key in sorted(keys)}}
            for machine, keys in sorted(self.machines.items(), key=lambda item: str(item[0]))
        ]
        return {"format": FORMAT, "format_version": FORMAT_VERSION, "machines": machines}


def read(path: Path) -> Database:
    """The database in a file. Raises UserError, which says what is wrong with it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a tuning database: {error}") from error
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        raise UserError(f'{path}: expected a tuning database ("format": "{FORMAT}"), got {found!r}')
    if data.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path}: expected format version {FORMAT_VERSION}, got {data.get('format_version')!r}; "
            "another version of Fusewright wrote it: tune again into another file"
        )
    try:
        return Database({_machine(each): _kernels(each["kernels"]) for each in data["machines"]})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: the tuning database is damaged: {type(error).__name__} {error}") from error


def _machine(data: Mapping[str, Any]) -> Machine:
    return Machine(str(data["version"]), str(data["target"]), str(data["processor"]), int(data["threads"]))


def _kernels(data: Mapping[str, Any]) -> dict[str, Measured]:
    return {
        str(key): Measured(
            str(each["best"]),
            str(each["default"]),
            {str(o): float(t) for o, t in each["microseconds"].items()},
            {str(o): float(t) for o, t in each["predicted"].items()},
            str(each["when"]),
        )
        for key, each in data.items()
    }


def write(path: Path, database: Database) -> None:
    """Write the file whole or not at all. Raises UserError when it cannot be written."""
    text = json.dumps(database.to_json(), indent=1) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(number, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"{path}: the tuning database cannot be written: {error}") from error


def read_or_new(path: Path) -> Database:
    """The database in a file, or an empty one where there is no file. Raises UserError."""
    return read(path) if path.exists() else Database()


def merge_files(sources: Sequence[Path], output: Path) -> Database:
    """Write what all `sources` know, and what `output` knows already, to `output`. Raises UserError."""
    whole = read_or_new(output)
    for source in sources:
        whole.merge(read(source))
    write(output, whole)
    return whole


def place() -> Path | None:
    """The user's database: what FUSEWRIGHT_TUNING names, else tuning.json beside their kernels; None if it is off."""
    now = settings()
    if now.tuning == OFF:
        return None
    return Path(now.tuning).expanduser().absolute() if now.tuning else now.cache_dir / "tuning.json"


def here(target: Target, threads: int) -> Machine:
    """What is measured now is measured for this."""
    return Machine(_version(), target.name, processor(), threads)


def known(target: Target, threads: int, log: Log) -> dict[str, str]:
    """The best option of each key that the user's database knows for a compilation on this machine.

    A database that FUSEWRIGHT_TUNING names must be there and sound (UserError); the one that is there by default is
    passed over, with a reason, where it is not. Code that cannot run here may use what any processor has measured.
    """
    path = place()
    if path is None or not (settings().tuning or path.exists()):
        return {}
    try:
        machines = read(path).machines
    except UserError as error:
        if settings().tuning:
            raise
        log.refused("tuning", str(path), str(error))
        return {}
    wanted = here(target, threads)
    best: dict[str, str] = {}
    for machine, keys in machines.items():
        same = (machine.version, machine.target, machine.threads) == (wanted.version, wanted.target, wanted.threads)
        if same and (machine.processor == wanted.processor or not runs_here(target)):
            best.update({key: measured.best for key, measured in keys.items()})
    if best:
        log.made("tuning", str(path), f"it knows the best of {len(best)} choices for {wanted}")
    else:
        log.refused("tuning", str(path), f"it holds nothing for {wanted}")
    return best


def _version() -> str:
    try:
        return version("fusewright")
    except PackageNotFoundError:  # run from the source
        return "unknown"
