"""Do sums begin with what is added to all rows alike, and only with that?"""

from __future__ import annotations

import pytest
from kernel_cases import Array, Case, check, floats, node, targets

from fusewright.codegen.c import print_kernel
from fusewright.target.target import Target
from fusewright.target.x86 import AVX512

M, K, N = 7, 5, 19


def product(added: Array, *more: str) -> Case:
    """relu(x w + added), or what the nodes named in `more` make of the sum and the product."""
    nodes = [node("MatMul", ["x", "w"], ["t"]), node("Add", ["t", "added"], ["s"])]
    value = "s"
    for i, kind in enumerate(more):
        nodes.append(node(kind, [value, "t"], [f"v{i}"]))
        value = f"v{i}"
    nodes.append(node("Relu", [value], ["y"]))
    return Case(nodes, {"x": floats(M, K)}, constants={"w": floats(K, N, seed=1), "added": added})


def convolution(groups: int, channels: int, filters: int) -> Case:
    constants = {"w": floats(filters, channels // groups, 3, 3, seed=1), "b": floats(filters, seed=2)}
    nodes = [node("Conv", ["x", "w", "b"], ["c"], group=groups, pads=[1, 1, 1, 1]), node("Relu", ["c"], ["y"])]
    return Case(nodes, {"x": floats(2, channels, 5, 6)}, constants=constants, layout="last")


def begins(case: Case) -> bool:
    return any("start" in print_kernel(one.kernel).text for one in case.lower(AVX512))


ALIKE = {
    "a vector": product(floats(N, seed=2)),
    "a row": product(floats(1, N, seed=2)),
    "one number": product(floats(1, seed=2)),
    "convolution": convolution(1, 3, 17),
    "grouped convolution": convolution(3, 6, 51),
    "depthwise convolution": convolution(19, 19, 19),
}
UNLIKE = {
    "a column": product(floats(M, 1, seed=2)),
    "a matrix": product(floats(M, N, seed=2)),
    "the product is read again": product(floats(N, seed=2), "Mul"),
}


@targets
@pytest.mark.parametrize("name", ALIKE)
def test_sums_begin_with_a_bias(target: Target, name: str) -> None:
    assert begins(ALIKE[name])
    check(ALIKE[name], target)


@targets
@pytest.mark.parametrize("name", UNLIKE)
def test_they_do_not_where_rows_differ(target: Target, name: str) -> None:
    assert not begins(UNLIKE[name])
    check(UNLIKE[name], target)
