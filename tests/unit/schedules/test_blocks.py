"""Which rows of a product pass its weights together, and are weights asked for ahead where they come from memory?"""

from __future__ import annotations

import pytest
from schedule_cases import matmul

from fusewright.codegen.c import print_kernel
from fusewright.schedules.task import Lowered
from fusewright.target.x86 import AVX2


def lowered(rows: int, k: int, columns: int) -> Lowered:
    (made,) = matmul(rows, k, columns).lower(AVX2)
    return made


@pytest.mark.parametrize(
    ("rows", "k", "columns", "units"),
    [
        (128, 3072, 768, 1),  # seven blocks that stay near would read 9 MB of weights seven times
        (197, 768, 3072, 3),  # three read them three times, which is less than all rows for each of 192 panels
        (128, 768, 100, 2),  # weights that stay near
    ],
)
def test_blocks_weigh_rows_against_weights(rows: int, k: int, columns: int, units: int) -> None:
    assert lowered(rows, k, columns).units == units


@pytest.mark.parametrize(
    ("rows", "k", "columns", "ahead"),
    [(128, 768, 768, True), (128, 64, 256, False), (1, 768, 768, False)],
)
def test_weights_from_memory_are_asked_for_ahead(rows: int, k: int, columns: int, ahead: bool) -> None:
    text = print_kernel(lowered(rows, k, columns).kernel).text
    assert ("fw_prefetch_l1_f32" in text) == ahead
