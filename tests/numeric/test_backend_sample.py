"""Does a fixed sample of the ONNX backend suite keep its recorded outcomes? The whole takes minutes; this seconds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from scoreboard.cases import Case, load_cases  # noqa: E402  # scripts of this repository, no package
from scoreboard.pool import run_cases  # noqa: E402
from scoreboard.verdict import PASS, UNSUPPORTED, Verdict  # noqa: E402
from scoreboard.ways import WAYS, asked  # noqa: E402

RECORD = json.loads((ROOT / "docs" / "scoreboard.json").read_text())
KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")  # whole networks have tests of their own
STEP = 33
SAMPLE = [name for name in sorted(RECORD["cases"]) if name.split("/")[0] in KINDS][::STEP]
TIMEOUT = 60.0


def judged(cases: list[Case]) -> list[tuple[str, Verdict]]:
    """Cases through the scoreboard's workers, where one may die without harm to the rest."""
    found: list[tuple[str, Verdict]] = []

    def note(case: Case, verdict: Verdict) -> None:
        found.append((case.name, verdict))

    run_cases(cases, "fusewright", 2, 1, TIMEOUT, note)
    return found


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    wanted = set(SAMPLE)
    return dict(judged([case for case in load_cases(KINDS, "") if case.name in wanted]))


def test_the_record_knows_no_wrong_answer() -> None:
    summary = RECORD["summary"]
    assert summary[PASS] > 1600 and len(SAMPLE) > 55
    assert {outcome: count for outcome, count in summary.items() if count} == {
        PASS: summary[PASS],
        UNSUPPORTED: summary[UNSUPPORTED],
    }


@pytest.mark.parametrize("name", SAMPLE)
def test_case(name: str, verdicts: dict[str, Verdict]) -> None:
    if name not in verdicts and onnx.__version__ != RECORD["onnx"]:
        pytest.skip(f"onnx {onnx.__version__} has no such case, {RECORD['onnx']} had")
    verdict = verdicts[name]
    expected = (PASS,) if RECORD["cases"][name]["outcome"] == PASS else (PASS, UNSUPPORTED)
    assert verdict.outcome in expected, f"{verdict.outcome}: {verdict.reason}"


@pytest.mark.parametrize("way", WAYS)
def test_what_passes_does_so_when_it_is_asked_otherwise(way: str) -> None:
    passing = {name for name, case in RECORD["cases"].items() if case["outcome"] == PASS}
    cases = asked([case for case in load_cases(KINDS, "") if case.name in passing], way)
    assert len(cases) > 100
    allowed = (PASS, UNSUPPORTED) if way == "alone" else (PASS,)  # some results can be had together only
    found = judged(cases[1 :: len(cases) // 30])
    assert not [(name, v.outcome, v.reason) for name, v in found if v.outcome not in allowed]
