"""Is what was measured kept whole, merged by date, used where it holds, and refused where it does not?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fusewright.errors import UserError
from fusewright.graph.decisions import Log
from fusewright.target import get, host
from fusewright.tune.database import Database, Machine, Measured, here, known, merge_files, place, read, write

ROW = Measured("8x3", "6x4", {"6x4": 2.0, "8x3": 1.0}, {"6x4": 10.0, "8x3": 11.0}, "2026-01-02T00:00:00+00:00")
LATER = replace(ROW, best="6x4", when="2026-01-03T00:00:00+00:00")
SERVER = Machine("1", "avx512", "a server", 4)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUSEWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("FUSEWRIGHT_TUNING", raising=False)
    return tmp_path / "cache"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    database = Database({SERVER: {"tile": ROW}, replace(SERVER, threads=1): {"tile": LATER}})
    write(tmp_path / "new" / "db.json", database)
    assert read(tmp_path / "new" / "db.json") == database
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["db.json"]


def test_the_later_measurement_counts(tmp_path: Path) -> None:
    one, two, out = (tmp_path / name for name in ("one", "two", "out"))
    write(one, Database({SERVER: {"a": ROW, "b": LATER}}))
    write(two, Database({SERVER: {"a": LATER, "b": ROW, "c": ROW}}))
    for order in ([one, two], [two, one]):
        out.unlink(missing_ok=True)
        merge_files(order, out)
        assert read(out).machines == {SERVER: {"a": LATER, "b": LATER, "c": ROW}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "cannot be read"),
        ("[1]", "expected a tuning database"),
        ('{"format": "another"}', "got 'another'"),
        ('{"format": "fusewright tuning", "format_version": 9}', "expected format version 1, got 9"),
        ('{"format": "fusewright tuning", "format_version": 1}', "damaged"),
        ('{"format": "fusewright tuning", "format_version": 1, "machines": [{"version": "1"}]}', "damaged"),
    ],
)
def test_a_file_that_is_none(text: str, said: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir()
    path = cache / "tuning.json"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read(path)
    log = Log()
    assert known(host(), 1, log) == {}  # the one that is there by default is passed over, with the reason
    assert [d.made for d in log.decisions] == [False] and said in log.decisions[0].reason
    monkeypatch.setenv("FUSEWRIGHT_TUNING", str(path))
    with pytest.raises(UserError, match=said):
        known(host(), 1, Log())


def test_it_holds_for_this_machine_alone(cache: Path) -> None:
    mine = here(host(), 2)
    others = [
        replace(mine, threads=3),
        replace(mine, version="0"),
        replace(mine, target="z"),
        replace(mine, processor="z"),
    ]
    database = Database({machine: {"key": ROW} for machine in others})
    write(cache / "tuning.json", database)
    log = Log()
    assert known(host(), 2, log) == {} and "holds nothing for" in log.decisions[0].reason
    database.machines[mine] = {"key": ROW}
    write(cache / "tuning.json", database)
    log = Log()
    assert known(host(), 2, log) == {"key": "8x3"}
    assert log.decisions[0].made and "1 choices" in log.decisions[0].reason


def test_for_a_target_of_elsewhere_any_processor_counts(cache: Path) -> None:
    name = "neon" if host().arch == "x86_64" else "avx2"
    target = get(name)
    write(cache / "tuning.json", Database({replace(here(target, 1), processor="a phone"): {"key": ROW}}))
    assert known(target, 1, Log()) == {"key": "8x3"}


def test_it_can_be_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(cache / "tuning.json", Database({here(host(), 1): {"key": ROW}}))
    assert place() == cache / "tuning.json" and known(host(), 1, Log())
    monkeypatch.setenv("FUSEWRIGHT_TUNING", "off")
    assert place() is None and known(host(), 1, Log()) == {}


def test_one_that_is_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSEWRIGHT_TUNING", str(tmp_path / "none.json"))
    with pytest.raises(UserError, match=r"none\.json"):
        known(host(), 1, Log())


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write(tmp_path / "file" / "db.json", Database())


def test_the_page_shows_the_format() -> None:
    page = (Path(__file__).parents[3] / "docs" / "tuning.md").read_text(encoding="utf-8")
    example = json.loads(page.split("```json\n")[1].split("```")[0])
    shape = Database({SERVER: {"key": ROW}}).to_json()
    assert example.keys() == shape.keys() and example["machines"][0].keys() == shape["machines"][0].keys()
    assert example["format"] == shape["format"] and example["format_version"] == shape["format_version"]
    rows = [next(iter(each["machines"][0]["kernels"].values())) for each in (example, shape)]
    assert rows[0].keys() == rows[1].keys()
