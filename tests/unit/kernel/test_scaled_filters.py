"""Is conv(x * s, w) the same with the filters scaled, and done so only where that is the same?"""

from __future__ import annotations

import pytest
from kernel_cases import Case, check, floats, node, targets

from fusewright.target.target import Target
from fusewright.target.x86 import AVX512


def scaled(
    x: tuple[int, ...], scale: tuple[int, ...], filters: tuple[int, ...], swapped: bool = False, **attributes: object
) -> Case:
    factors = ["s", "x"] if swapped else ["x", "s"]
    nodes = [
        node("Mul", factors, ["m"]),
        node("Conv", ["m", "w", "b"], ["c"], **attributes),
        node("Relu", ["c"], ["y"]),
    ]
    constants = {"w": floats(*filters, seed=1), "b": floats(filters[0], seed=2)}
    feeds = {"x": floats(*x), "s": floats(*scale, seed=3)}
    return Case(nodes, feeds, constants=constants, layout="last", anchor=1)


def moves(case: Case, target: Target) -> bool:
    return any(one.kernel.name.startswith("scale_filters") for one in case.lower(target))


SAME = {
    "pointwise": scaled((1, 6, 9, 8), (1, 6, 1, 1), (5, 6, 1, 1)),
    "the scale first": scaled((1, 6, 9, 8), (1, 6, 1, 1), (17, 6, 1, 1), swapped=True),
    "of fewer dimensions": scaled((1, 6, 9, 8), (6, 1, 1), (5, 6, 1, 1)),
    "several images": scaled((3, 17, 5, 7), (1, 17, 1, 1), (3, 17, 1, 1)),
    "padded, of several taps": scaled((1, 5, 24, 20), (1, 5, 1, 1), (3, 5, 3, 3), pads=[1, 1, 1, 1], strides=[2, 1]),
    "along one dimension": scaled((1, 6, 90), (1, 6, 1), (5, 6, 3), pads=[1, 0]),
}
OTHERS = {
    "an image's own scale": scaled((2, 6, 9, 8), (2, 6, 1, 1), (5, 6, 1, 1)),
    "a scale of pixels": scaled((1, 6, 9, 8), (1, 1, 9, 8), (5, 6, 1, 1)),
    "groups": scaled((1, 6, 9, 8), (1, 6, 1, 1), (4, 3, 1, 1), group=2),
    "more filters than input": scaled((1, 32, 2, 2), (1, 32, 1, 1), (40, 32, 1, 1)),
}


@targets
@pytest.mark.parametrize("name", SAME)
def test_filters_take_the_scale(target: Target, name: str) -> None:
    assert moves(SAME[name], target)
    check(SAME[name], target)


@targets
@pytest.mark.parametrize("name", OTHERS)
def test_they_do_not_where_it_is_another_product(target: Target, name: str) -> None:
    assert not moves(OTHERS[name], AVX512)
    check(OTHERS[name], target)


def test_two_threads_and_open_extents() -> None:
    for name in SAME:
        check(SAME[name], AVX512, open_extents=True, shares=(1, 2))
