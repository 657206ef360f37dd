"""Do compiled models work on 64-bit Arm: tests of operations that run everywhere, and a network, in the emulator?

The other tests of tests/numeric run there too, but all of them take longer than every run of the tests should.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import test_elementwise
import test_in_place
import test_movement
import test_prologue
import test_recurrent
import test_reductions
import test_window
from emulator import neon
from test_models import folder

import fusewright as fw
from fusewright.check import compare, reference_for

__all__ = ["folder", "neon"]
pytestmark = pytest.mark.usefixtures("neon")

rng = test_movement.rng
test_functions_of_one_number = test_elementwise.test_functions_of_one_number
test_special_values = test_elementwise.test_special_values_pass_as_onnx_says
test_every_cast = test_elementwise.test_every_cast
test_in_place_sum = test_in_place.test_sum_of_two_branches_takes_over_one
test_random_chains_of_moves = test_movement.test_random_chains_of_moves
test_front = test_prologue.test_front
test_activations = test_recurrent.test_activations
test_rows_of_different_length = test_recurrent.test_rows_of_different_length
test_nan_and_infinity = test_reductions.test_nan_and_infinity
test_dtypes = test_reductions.test_dtypes
test_depthwise = test_window.test_depthwise
test_new_size = test_window.test_another_size_needs_no_compiler


def test_a_network_gives_the_numbers_of_onnxruntime(folder: Path) -> None:
    entry = json.loads((folder / "models.json").read_text())["ppocr_cls"]
    model = folder / entry["file"]
    session = fw.compile(model, threads=2)
    assert session.target.name == "neon"
    _, expected_of = reference_for(model, "onnxruntime")
    for shapes in (entry["shapes"], *entry["extra_shapes"]):
        generator = np.random.default_rng(0)
        feed = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        for wanted, got in zip(expected_of(feed), session.run(None, feed), strict=True):
            assert not compare("y", wanted, got).fault
