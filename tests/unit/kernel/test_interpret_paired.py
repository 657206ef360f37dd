"""Do products of pairs compute what ONNX says, whatever the rest of k, rows and columns?

No C is compiled.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from chain_cases import Layer, chain_of
from kernel_cases import Array, Case, check, extents, floats, node, widths
from paired_cases import CASES, SLIDING, adding, conv, in_pairs, matmul, only_pairs, only_sliding

from fusewright.codegen.c import print_kernel
from fusewright.target.target import Target
from fusewright.target.x86 import AVX2, AVX512

__all__ = ["only_pairs", "only_sliding"]
pytestmark = pytest.mark.usefixtures("only_pairs")


def check_pairs(case: Case, target: Target, open_extents: bool, shares: tuple[int, ...] = (1, 3)) -> None:
    assert in_pairs(case.lower(adding(target), open_extents=open_extents))
    check(case, adding(target), open_extents=open_extents, shares=shares)


@widths
@extents
@pytest.mark.parametrize("name", CASES)
def test_pairs(name: str, open_extents: bool, target: Target) -> None:
    check_pairs(CASES[name], target, open_extents)


@widths
@extents
@pytest.mark.parametrize("name", SLIDING)
def test_windows_that_overlap(name: str, open_extents: bool, target: Target, only_sliding: None) -> None:
    check_pairs(SLIDING[name], target, open_extents)


@pytest.mark.parametrize("layout", ["first", "last"])
def test_windows_that_overlap_in_several_blocks(layout: str, only_sliding: None) -> None:
    case = conv((1, 3, 3, 70), (5, 3, 3, 3), layout, pads=[1, 1, 1, 1])
    check_pairs(case, replace(AVX2, l2_bytes=1 << 12), open_extents=False)


def test_dilated_columns_do_not_overlap(only_sliding: None) -> None:
    assert not in_pairs(conv((1, 3, 9, 9), (5, 3, 3, 3), "first", dilations=[1, 2]).lower(adding(AVX512)))
    assert not in_pairs(conv((1, 2, 3, 4, 9), (3, 2, 2, 2, 2), "first").lower(adding(AVX512)))


@extents
@pytest.mark.parametrize("k", [6, 7, 11, 47, 48, 49, 53, 54, 95, 96, 100])
def test_every_rest_of_k(k: int, open_extents: bool) -> None:
    check_pairs(matmul(8, k, 17), AVX512, open_extents)


@extents
@pytest.mark.parametrize("columns", [1, 15, 16, 17, 33])
@pytest.mark.parametrize("rows", [7, 8, 17, 24, 25, 49])
def test_rows_and_columns(rows: int, columns: int, open_extents: bool) -> None:
    check_pairs(matmul(rows, 8, columns), AVX512, open_extents, shares=(1, 2, 4))


@pytest.mark.parametrize("size", [0.0, 1e-3, 6.0])
@pytest.mark.parametrize("k", [8, 50, 100])
def test_rows_of_another_size(k: int, size: float) -> None:
    case = matmul(25, k, 17)
    case.feeds["x"][3::7] *= np.float32(size)
    check_pairs(case, AVX512, open_extents=False)


@pytest.mark.parametrize("k, wanted", [(24, True), (256, True), (512, False), (768, True), (1024, False)])
def test_rows_are_read_where_they_leave_each_other_room_in_the_cache(k: int, wanted: bool) -> None:
    def there(open_extents: bool) -> bool:
        kernels = matmul(128, k, 40).lower(adding(AVX512), open_extents=open_extents)
        return any("fw_balance_rows_f32" in print_kernel(lowered.kernel).text for lowered in kernels)

    assert there(False) == wanted and not there(True)


@pytest.mark.parametrize("rows", range(1, 7))
def test_few_rows_are_paired_where_they_are_open(rows: int) -> None:
    assert not in_pairs(matmul(rows, 8, 9).lower(adding(AVX2)))
    check_pairs(matmul(rows, 8, 9), AVX2, open_extents=True)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("shape", [(1, 7, 9, 11), (2, 49, 5, 7), (1, 8, 3, 29)])
def test_chains(shape: tuple[int, ...], rows: int) -> None:
    layers = [Layer(18), Layer(strides=(2, 2)), Layer(6), Layer(12, activation="Silu")]
    check_pairs(chain_of(shape, layers, rows), AVX512, open_extents=False)


def test_targets_that_do_not_add_beside_have_no_pairs() -> None:
    assert not any(in_pairs(case.lower(AVX512)) for case in CASES.values())


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e13])
def test_weights_whose_squares_are_no_numbers_are_not_paired(value: float) -> None:
    case = matmul(8, 12, 17)
    case.constants["w"][3, 5] = value
    assert not in_pairs(case.lower(adding(AVX512)))


@pytest.mark.parametrize("k", [1, 5])
def test_few_steps_are_not_paired(k: int) -> None:
    assert not in_pairs(matmul(8, k, 17).lower(adding(AVX512)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_not_known_or_not_float32_is_not_paired(dtype: type) -> None:
    x: Array = floats(8, 12).astype(dtype)
    w: Array = floats(12, 17, seed=1).astype(dtype)
    made = node("MatMul", ["x", "w"], ["y"])
    known, computed = Case([made], {"x": x}, constants={"w": w}), Case([made], {"x": x, "w": w})
    assert in_pairs(known.lower(adding(AVX512))) == (dtype == np.float32)
    assert not in_pairs(computed.lower(adding(AVX512)))
