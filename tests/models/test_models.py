"""Real models give onnxruntime's numbers: those that a package ships, so that no exporter has to be installed.

The others are made by scripts/models.py with the extra `torch` and checked by scripts/check_models.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from check_models import check_one, commands  # noqa: E402  # a script of this repository, not a package

NAMES = (
    "ppocr_det", "ppocr_rec", "ppocr_cls",
    "light_bvlc_alexnet", "light_densenet121", "light_inception_v1", "light_inception_v2", "light_resnet50",
    "light_shufflenet", "light_squeezenet", "light_vgg19", "light_zfnet512",
)  # fmt: skip


@pytest.fixture(scope="session")
def folder() -> Path:
    """The models, made on first use."""
    where = ROOT / "models"
    made = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "models.py"), "--only", ",".join(NAMES)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.fail(f"scripts/models.py failed:\n{made.stdout}\n{made.stderr}")
    return where


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_model_gives_the_numbers_of_onnxruntime(folder: Path, name: str, threads: int) -> None:
    entry = json.loads((folder / "models.json").read_text())[name]
    for title, command in commands(name, entry, folder, threads):
        ok, text = check_one(command)
        assert ok, f"{title}: {text}"
