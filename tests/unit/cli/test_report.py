"""What is printed, and where: tables as text, JSON without NaN, progress on terminals only, files whole."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from fusewright import report
from fusewright.errors import UserError
from fusewright.report.arrays import show_arrays, summarise, write_arrays
from fusewright.report.description import Decision, Description, KernelInfo, MemoryInfo, NodeInfo, PortInfo
from fusewright.report.inspect import show_description
from fusewright.report.progress import progress
from fusewright.report.tables import amount, show, show_json, size, table

ROOT = str(Path(report.__file__).parents[2])
SHOW_PROGRESS = """
import time
from fusewright.report.progress import progress
with progress() as report:
    for step in range(4):
        report("stage [one]", step, 4)
        time.sleep(0.15)
print("done")
"""


def described() -> Description:
    nodes = (NodeInfo("", "Conv"), NodeInfo("relu_7", "Relu"))
    return Description(
        model="m.onnx",
        target="avx2",
        threads=1,
        inputs=(PortInfo("x", "float32", (1, None, "w")),),
        outputs=(PortInfo("y", "float32", ()),),
        kernels=(
            KernelInfo(0, "conv_relu 1x8x8x8", "k0", nodes, 1, 3_000_000, 1024, 2048, 4096, 0, 1),
            KernelInfo(1, "add [8]", "k1", (NodeInfo("a", "Add"),), 2, 1_000_000, 1, 1, 0, 0, 1),
        ),
        memory=MemoryInfo(1024, 2**20, 2**20 + 1024),
        decisions=(
            *(Decision(True, "fuse", f"n{i}", "same loops") for i in range(5)),
            Decision(False, "fuse", "n9", "used twice"),
        ),
        shapes={"x": (1, 3, 9)},
    )


def test_inspect_shows_all_parts(capsys: pytest.CaptureFixture[str]) -> None:
    show_description(described())
    text = capsys.readouterr().out
    for part in (
        "m.onnx: target avx2, 1 thread\n", "1x?xw", "scalar", "x=1x3x9", "conv_relu 1x8x8x8", "75.0 %",
        "Conv+Relu (relu_7)", "add [8]", "2 kernels, 3 calls, 4 MFLOP a run", "arena 1 KiB", "weights 1 MiB",
        "n0, n1, n2, and 2 more", "used twice",
    ):  # fmt: skip
        assert part in text, part
    show_description(described(), all_reasons=True)
    assert "n0, n1, n2, n3, n4" in capsys.readouterr().out


def test_inspect_without_shapes_says_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    show_description(Description("m", "avx2", 2, (), ()))
    assert "bind them with --shape" in capsys.readouterr().out


def test_a_description_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    show_json(described().to_json())
    data = json.loads(capsys.readouterr().out)
    assert data["inputs"][0]["shape"] == [1, None, "w"]
    assert data["kernels"][0]["nodes"][1] == {"name": "relu_7", "op_type": "Relu"}


def test_json_holds_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"a": [float("nan"), float("-inf"), 1.5], "b": (1,)})
    assert json.loads(capsys.readouterr().out) == {"a": ["nan", "-inf", 1.5], "b": [1]}


def test_long_lines_are_not_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    show(table(("name", ">n"), [("a" * 250, 1)]), "b" * 900)
    assert "a" * 250 in (text := capsys.readouterr().out)
    assert "b" * 900 in text


def test_names_of_a_model_are_text_and_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show(table(("name",), [("[red]x[/red]",)]), "[bold]y")
    text = capsys.readouterr().out
    assert "[red]x[/red]" in text and "[bold]y" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (amount(0, "FLOP"), "0 FLOP"),
        (amount(999, "FLOP"), "999 FLOP"),
        (amount(8.2e9, "FLOP"), "8.2 GFLOP"),
        (size(1023), "1023 B"),
        (size(3 * 2**20 // 2), "1.5 MiB"),
        (size(2**55), "3.28e+04 TiB"),
    ],
)
def test_numbers(text: str, expected: str) -> None:
    assert text == expected


def test_summaries_of_arrays(capsys: pytest.CaptureFixture[str]) -> None:
    arrays: list[np.ndarray] = [
        np.array([1.0, np.nan, 3.0, np.inf], np.float32),
        np.zeros((0, 2), np.int64),
        np.array([1.5], ml_dtypes.bfloat16),
        np.array([True, False]),
    ]
    rows = summarise(["a", "b", "c", "d"], arrays)
    assert (rows[0]["min"], rows[0]["max"], rows[0]["mean"], rows[0]["not_finite"]) == (1, 3, 2, 2)
    assert rows[1]["min"] is None and rows[1]["shape"] == [0, 2]
    assert rows[2]["max"] == 1.5 and rows[3]["mean"] == 0.5
    show_arrays(rows)
    assert "bfloat16" in capsys.readouterr().out


def test_arrays_are_written_by_number(tmp_path: Path) -> None:
    first, second = np.arange(3), np.array([1.5, -2], ml_dtypes.bfloat16)
    paths = write_arrays(tmp_path / "new" / "deep", [first, second])
    assert [p.name for p in paths] == ["output_0.npy", "output_1.npy"]
    np.testing.assert_array_equal(np.load(paths[0]), first)
    np.testing.assert_array_equal(np.load(paths[1]), np.array([1.5, -2], np.float32))
    assert sorted(p.name for p in paths[0].parent.iterdir()) == ["output_0.npy", "output_1.npy"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--output-dir .*cannot be written"):
        write_arrays(tmp_path / "file" / "out", [np.zeros(1)])


def test_no_progress_into_a_file(capfd: pytest.CaptureFixture[str]) -> None:
    with progress() as tell:
        tell("stage", 1, 2)
    assert capfd.readouterr() == ("", "")


def test_progress_on_a_terminal_goes_to_standard_error() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": ROOT, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", SHOW_PROGRESS], stdout=subprocess.PIPE, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # Linux tells the end of a terminal in this way
        pass
    os.close(ours)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and out == b"done\n"
    assert "stage [one]" in shown.decode() and "75%" in shown.decode()
