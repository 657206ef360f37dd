"""Do schedules compute what ONNX says, on every width, in shares, without touching what is not theirs? No C is compiled.

Memory in these tests is exactly as large as the tensors, outputs and scratch start as NaN, and the interpreter refuses
whatever lies outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from kernel_cases import TARGETS, Array, Case, floats, node

from fusewright.target.arm import NEON
from fusewright.target.target import Target
from fusewright.target.x86 import AVX2, AVX512

targets = pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
extents = pytest.mark.parametrize("open_extents", [False, True], ids=["fixed", "open"])
layouts = pytest.mark.parametrize("layout", ["first", "last"])
WIDTHS = (NEON, AVX2, AVX512)


def check(case: Case, target: Target, *, open_extents: bool = False, shares: Sequence[int] = (1, 3)) -> None:
    for threads in shares:
        got = case.interpret(target, open_extents=open_extents, threads=threads, shares=threads)
        for array, wanted in zip(got, case.expected(), strict=True):
            np.testing.assert_allclose(array, wanted, rtol=2e-5, atol=2e-5, err_msg=f"{threads} threads")


# -- pointwise ------------------------------------------------------------------------------------------------


@targets
@pytest.mark.parametrize("size", [1, 3, 17, 2500])
def test_pointwise(target: Target, size: int) -> None:
    nodes = [node("Mul", ["a", "b"], ["t"]), node("Relu", ["t"], ["y"])]
    check(Case(nodes, {"a": floats(size), "b": floats(size, seed=1)}), target)


@targets
@layouts
def test_pointwise_with_every_kind_of_broadcast(target: Target, layout: str) -> None:
    nodes = [
        node("Add", ["x", "along_channels"], ["s"]),
        node("Mul", ["s", "along_rows"], ["t"]),
        node("Sub", ["t", "one"], ["y"]),
    ]
    feeds = {
        "x": floats(2, 3, 5, 17),
        "along_channels": floats(3, 1, 1, seed=1),
        "along_rows": floats(2, 1, 5, 1, seed=2),
        "one": floats(1, seed=3),
    }
    check(Case(nodes, feeds, layout=layout), target)


@targets
def test_pointwise_has_several_outputs(target: Target) -> None:
    nodes = [node("Neg", ["x"], ["t"]), node("Abs", ["t"], ["y"])]
    check(Case(nodes, {"x": floats(3, 17)}, outputs=("t", "y")), target)


@pytest.mark.parametrize("dtype", ["float64", "int8", "uint8", "int16", "int32", "uint32", "int64", "float16"])
@pytest.mark.parametrize("target", WIDTHS, ids=lambda t: t.name)
def test_pointwise_of_every_dtype(target: Target, dtype: str) -> None:
    x = np.arange(-20, 31).astype(dtype).reshape(3, 17)
    nodes = [node("Add", ["x", "x"], ["t"]), node("Less", ["t", "x"], ["c"]), node("Where", ["c", "t", "x"], ["y"])]
    check(Case(nodes, {"x": x}, outputs=("c", "y")), target)


@targets
@pytest.mark.parametrize("perm", [(0, 2, 1), (2, 1, 0), (1, 0, 2)])
def test_pointwise_moves_dimensions(target: Target, perm: tuple[int, ...]) -> None:
    nodes = [node("Transpose", ["x"], ["y"], perm=list(perm))]
    check(Case(nodes, {"x": floats(3, 5, 17)}), target)


def test_a_scalar_has_no_loop() -> None:
    check(Case([node("Add", ["x", "x"], ["y"])], {"x": floats()}), AVX2, shares=(1,))


# -- matmul and Gemm ------------------------------------------------------------------------------------------


@targets
@extents
@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 1, 1), (1, 17, 3), (3, 1, 17), (17, 3, 1), (17, 17, 17), (3, 3, 70), (40, 5, 33)]
)
@pytest.mark.parametrize("constant", [False, True], ids=["computed", "weight"])
def test_matmul(target: Target, open_extents: bool, m: int, k: int, n: int, constant: bool) -> None:
    a, b = floats(m, k), floats(k, n, seed=1)
    feeds, constants = ({"a": a}, {"b": b}) if constant else ({"a": a, "b": b}, {})
    check(Case([node("MatMul", ["a", "b"], ["y"])], feeds, constants=constants), target, open_extents=open_extents)


@pytest.mark.parametrize("target", WIDTHS, ids=lambda t: t.name)
@extents
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2, 3, 5), (2, 5, 17)),
        ((2, 1, 3, 5), (3, 5, 17)),
        ((3, 5), (2, 5, 3)),
        ((2, 3, 5), (5, 17)),
        ((5,), (5, 17)),
        ((2, 3, 5), (5,)),
        ((5,), (5,)),
        ((2, 1, 5), (1, 5, 3)),
    ],
)
@pytest.mark.parametrize("constant", [False, True], ids=["computed", "weight"])
def test_matmul_broadcasts_batches(
    target: Target, open_extents: bool, a: tuple[int, ...], b: tuple[int, ...], constant: bool
) -> None:
    left, right = floats(*a), floats(*b, seed=1)
    feeds, constants = ({"a": left}, {"b": right}) if constant else ({"a": left, "b": right}, {})
    check(Case([node("MatMul", ["a", "b"], ["y"])], feeds, constants=constants), target, open_extents=open_extents)


@pytest.mark.parametrize("target", WIDTHS, ids=lambda t: t.name)
@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("bias", [(), (17,), (3, 1), (3, 17)])
def test_gemm(target: Target, transposed: tuple[int, int], bias: tuple[int, ...]) -> None:
    trans_a, trans_b = transposed
    gemm = node("Gemm", ["a", "b", "c"], ["t"], transA=trans_a, transB=trans_b, alpha=0.5, beta=2.0)
    feeds = {"a": floats(*((5, 3) if trans_a else (3, 5)))}
    constants = {"b": floats(*((17, 5) if trans_b else (5, 17)), seed=1), "c": floats(*bias, seed=2)}
    check(Case([gemm, node("Tanh", ["t"], ["y"])], feeds, constants=constants), target)


@pytest.mark.parametrize("target", WIDTHS, ids=lambda t: t.name)
@extents
def test_matmul_takes_bias_activation_and_residual_along(target: Target, open_extents: bool) -> None:
    nodes = [
        node("MatMul", ["a", "b"], ["t"]),
        node("Add", ["t", "bias"], ["u"]),
        node("Sigmoid", ["u"], ["v"]),
        node("Add", ["v", "residual"], ["y"]),
    ]
    feeds = {"a": floats(2, 9, 5), "residual": floats(2, 9, 17, seed=3)}
    constants = {"b": floats(5, 17, seed=1), "bias": floats(17, seed=2)}
    check(Case(nodes, feeds, constants=constants), target, open_extents=open_extents)


# -- convolution ----------------------------------------------------------------------------------------------

CONVOLUTIONS = {
    "1x1": ((1, 5, 3, 7), (17, 5, 1, 1), {}),
    "1x1 of a batch": ((3, 3, 2, 5), (3, 3, 1, 1), {}),
    "1x1 strided": ((1, 3, 5, 7), (17, 3, 1, 1), {"strides": [2, 2]}),
    "3x3": ((1, 3, 5, 9), (17, 3, 3, 3), {}),
    "3x3 padded": ((2, 3, 4, 5), (17, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    "3x3 padded unevenly": ((1, 3, 4, 5), (3, 3, 3, 3), {"pads": [0, 2, 1, 0]}),
    "same": ((1, 3, 5, 6), (3, 3, 3, 2), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "strided": ((1, 3, 7, 9), (17, 3, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "dilated": ((1, 3, 7, 9), (3, 3, 3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
    "grouped": ((1, 6, 4, 5), (34, 3, 3, 3), {"pads": [1, 1, 1, 1], "group": 2}),
    "grouped 1x1": ((2, 6, 3, 5), (6, 2, 1, 1), {"group": 3}),
    "one channel": ((1, 1, 5, 5), (3, 1, 3, 3), {"pads": [1, 1, 1, 1]}),
    "one pixel": ((1, 17, 1, 1), (3, 17, 1, 1), {}),
    "one column": ((1, 3, 9, 1), (5, 3, 3, 1), {"pads": [1, 0, 1, 0]}),
    "many columns": ((1, 2, 2, 37), (3, 2, 1, 3), {"pads": [0, 1, 0, 1]}),
    "border beyond the input": ((1, 2, 1, 1), (3, 2, 5, 5), {"pads": [2, 2, 2, 2]}),
    "1-D": ((2, 3, 9), (17, 3, 3), {"pads": [1, 1], "strides": [2]}),
    "1-D of one position": ((1, 5, 3), (3, 5, 3), {}),
    "3-D": ((1, 2, 3, 4, 5), (3, 2, 2, 3, 3), {"pads": [0, 1, 1, 1, 1, 1]}),
    "3-D strided": ((1, 2, 5, 4, 5), (3, 2, 3, 1, 2), {"strides": [2, 1, 2], "pads": [1, 0, 0, 1, 0, 1]}),
}


@pytest.mark.parametrize("target", WIDTHS, ids=lambda t: t.name)
@extents
@layouts
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(target: Target, open_extents: bool, layout: str, name: str) -> None:
    shape, filters, attributes = CONVOLUTIONS[name]
    nodes = [node("Conv", ["x", "w", "b"], ["t"], **attributes), node("Relu", ["t"], ["y"])]
    constants = {"w": floats(*filters, seed=1), "b": floats(filters[0], seed=2)}
    check(Case(nodes, {"x": floats(*shape)}, constants=constants, layout=layout), target, open_extents=open_extents)


@extents
@layouts
def test_convolution_adds_a_residual(open_extents: bool, layout: str) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["t"], pads=[1, 1, 1, 1]),
        node("Add", ["t", "residual"], ["u"]),
        node("Relu", ["u"], ["y"]),
    ]
    feeds = {"x": floats(1, 3, 4, 5), "residual": floats(1, 17, 4, 5, seed=3)}
    case = Case(nodes, feeds, constants={"w": floats(17, 3, 3, 3, seed=1)}, layout=layout)
    check(case, AVX512, open_extents=open_extents, shares=(1, 2, 4))


def test_every_unit_by_itself() -> None:
    """The finest shares that a plan could ever make."""
    nodes = [node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]
    case = Case(nodes, {"x": floats(2, 3, 5, 4)}, constants={"w": floats(40, 3, 3, 3, seed=1)}, layout="last")
    for threads in (1, 2, 4, 16):
        units = max(lowered.units for lowered in case.lower(AVX2, threads=threads))
        got = case.interpret(AVX2, threads=threads, shares=units)[0]
        np.testing.assert_allclose(got, case.expected()[0], rtol=2e-5, atol=2e-5)
    assert units > 1
