"""Do chains of convolutions, computed band by band, give what ONNX says they compute one after the other?

Scratch starts as NaN, so a row that is read before it was made shows; threads start anywhere in an image.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from chain_cases import Layer, chain_of
from kernel_cases import check, targets

from fusewright.schedules.chain import Chain
from fusewright.target.target import Target
from fusewright.target.x86 import AVX512

NARROW_WELL = replace(AVX512, half_rate=True, fma_rate=1.0)

DEPTHWISE = {
    "3x3": Layer(),
    "3x3, stride 2": Layer(strides=(2, 2)),
    "5x5, stride 2": Layer(kernel=(5, 5), strides=(2, 2), pads=(2, 2, 2, 2)),
    "7x7": Layer(kernel=(7, 7), pads=(3, 3, 3, 3)),
    "3x3, border on two sides": Layer(strides=(2, 2), pads=(0, 0, 1, 1)),
    "3x3, no border": Layer(pads=(0, 0, 0, 0)),
    "dilated": Layer(dilations=(2, 3), pads=(2, 3, 2, 3)),
    "2x3, stride 3: rows between bands are read by none": Layer(kernel=(1, 3), strides=(3, 2), pads=(0, 1, 0, 1)),
    "1x3": Layer(kernel=(1, 3), pads=(0, 1, 0, 1)),
}


@targets
@pytest.mark.parametrize("name", DEPTHWISE)
def test_expand_depthwise_project(target: Target, name: str) -> None:
    layers = [Layer(18), DEPTHWISE[name], Layer(5, activation="")]
    for rows in (1, 3):
        check(chain_of((1, 3, 9, 11), layers, rows), target, shares=(1, 2))


@pytest.mark.parametrize("rows", [1, 5])
def test_residual_of_what_is_read_first(rows: int) -> None:
    layers = [Layer(24, activation="HardSwish"), Layer(), Layer(7, activation="")]
    check(chain_of((1, 7, 13, 9), layers, rows, residual=True), AVX512)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    "layers",
    [
        [Layer(), Layer(9)],
        [Layer(18), Layer(activation="Silu")],
        [Layer(18), Layer(12), Layer(5, activation="Silu")],
        [Layer(), Layer(4), Layer(18), Layer(strides=(2, 2)), Layer(5)],
        [Layer(activation="HardSwish"), Layer(kernel=(5, 5), pads=(2, 2, 2, 2), activation="")],
        [Layer(activation="Spelled"), Layer(18, activation="Relu6"), Layer(activation="Spelled")],
    ],
    ids=["depthwise, pointwise", "pointwise, depthwise", "three pointwise", "two blocks", "two depthwise", "constants"],
)
def test_chains_of_other_kinds(layers: list[Layer], rows: int) -> None:
    check(chain_of((2, 4, 9, 7), layers, rows), AVX512, shares=(1, 3))


@pytest.mark.parametrize("shape", [(1, 3, 2, 3), (3, 16, 3, 2), (2, 17, 5, 5)])
def test_small_images(shape: tuple[int, ...]) -> None:
    for rows in (1, 2):
        check(chain_of(shape, [Layer(19), Layer(), Layer(4)], rows), AVX512, shares=(1, 4))


IMAGE = Layer(18, strides=(2, 2), image=True)


@targets
@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize(
    "layers",
    [
        [IMAGE, Layer(), Layer(5, activation="")],
        [IMAGE, Layer(strides=(2, 2), activation="Silu")],
        [Layer(7, kernel=(3, 5), strides=(1, 2), pads=(0, 2, 1, 2), image=True), Layer(), Layer(9)],
    ],
    ids=["3x3", "3x3, two depthwise steps", "3x5"],
)
def test_an_image_in_planes_is_read_first(target: Target, layers: list[Layer], rows: int) -> None:
    check(chain_of((2, 3, 14, 19), layers, rows), target, shares=(1, 3))


def test_planes_are_read_first_alone() -> None:
    made = chain_of((1, 3, 14, 19), [Layer(), IMAGE, Layer()], 1).chain(AVX512)
    assert "neither pointwise nor depthwise" in str(made)


def test_refusals_say_why() -> None:
    layers = [Layer(20), Layer(), Layer(6)]
    assert "extents are open" in str(chain_of((1, 5, 9, 9), layers, 1).chain(AVX512, open_extents=True))
    first = chain_of((1, 5, 9, 9), layers, 1)
    first.layout = "first"
    assert "rows do not follow" in str(first.chain(AVX512)) or "side by side" in str(first.chain(AVX512))
    wide = chain_of((1, 2, 3, 3000), [Layer(32), Layer(), Layer(2)], 1)
    assert "do not stay in cache" in str(wide.chain(AVX512))


def test_a_wide_value_between_costs_more_apart() -> None:
    made = chain_of((1, 16, 112, 112), [Layer(96), Layer(strides=(2, 2)), Layer(24)], 1).chain(AVX512)
    assert isinstance(made, Chain)
    chained, apart = made.options()
    assert chained.cycles < apart.cycles and made.rows > 1
    assert made.held_bytes(made.rows) <= AVX512.l2_bytes // 2 < made.held_bytes(made.rows + 1)


def test_a_chain_is_weighed_against_parts_of_it() -> None:
    """24 columns alone take vectors of half the width, which the wider layers before them would lose by."""
    layers = [Layer(96), Layer(strides=(2, 2)), Layer(24)]
    whole = chain_of((1, 16, 112, 112), layers, 1).chain(NARROW_WELL)
    head = chain_of((1, 16, 112, 112), layers[:2], 1).chain(NARROW_WELL)
    assert isinstance(whole, Chain) and isinstance(head, Chain)
    assert whole.apart < whole.cycles
    assert head.cycles < head.apart
