"""Do pointwise kernels, data movement and matmul compute what ONNX says? No C is compiled.

Memory in these tests is exactly as large as the tensors, outputs and scratch start as NaN, and the interpreter refuses
whatever lies outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from kernel_cases import Case, check, extents, floats, layouts, node, targets, widths

from fusewright.target.target import Target
from fusewright.target.x86 import AVX2

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
@widths
def test_pointwise_of_every_dtype(target: Target, dtype: str) -> None:
    x = np.arange(-20, 31).astype(dtype).reshape(3, 17)
    nodes = [node("Add", ["x", "x"], ["t"]), node("Less", ["t", "x"], ["c"]), node("Where", ["c", "t", "x"], ["y"])]
    check(Case(nodes, {"x": x}, outputs=("c", "y")), target)


@targets
@pytest.mark.parametrize("perm", [(0, 2, 1), (2, 1, 0), (1, 0, 2)])
def test_pointwise_moves_dimensions(target: Target, perm: tuple[int, ...]) -> None:
    nodes = [node("Transpose", ["x"], ["y"], perm=list(perm))]
    check(Case(nodes, {"x": floats(3, 5, 17)}), target)


@targets
@extents
@pytest.mark.parametrize("shape", [(2, 70, 600), (1, 5, 64), (3, 64, 5), (1, 513, 17)])
def test_dimensions_trade_places_block_by_block(target: Target, open_extents: bool, shape: tuple[int, ...]) -> None:
    for perm in ([0, 2, 1], [2, 0, 1]):
        case = Case([node("Transpose", ["x"], ["y"], perm=perm)], {"x": floats(*shape)})
        check(case, target, open_extents=open_extents)


@targets
@layouts
@extents
@pytest.mark.parametrize("channels", [1, 3, 17, 40])
def test_local_response(target: Target, layout: str, open_extents: bool, channels: int) -> None:
    made = node("LRN", ["x"], ["y"], size=5, alpha=0.5)
    case = Case([made], {"x": floats(2, channels, 3, 5)}, layout=layout, reference="onnxruntime")
    check(case, target, open_extents=open_extents)


def test_a_scalar_has_no_loop() -> None:
    check(Case([node("Add", ["x", "x"], ["y"])], {"x": floats()}), AVX2, shares=(1,))


Move = tuple[onnx.NodeProto, Mapping[str, Any]]  # the node, and its integer inputs
MOVEMENTS: dict[str, Move] = {
    "slice": (
        node("Slice", ["x", "from", "to", "axes", "steps"], ["y"]),
        {"from": [16, 0], "to": [-18, 4], "axes": [2, 1], "steps": [-3, 2]},
    ),
    "pad": (node("Pad", ["x", "pads"], ["y"]), {"pads": [0, 1, 2, 0, 0, 3]}),
    "pad by reflection": (node("Pad", ["x", "pads"], ["y"], mode="reflect"), {"pads": [0, 1, 2, 0, 2, 3]}),
    "crop": (node("Pad", ["x", "pads"], ["y"]), {"pads": [0, -1, 2, 0, 0, -3]}),
    "expand": (node("Expand", ["x", "shape"], ["y"]), {"shape": [2, 3, 5, 17]}),
    "gather": (node("Gather", ["x", "at"], ["y"], axis=1), {"at": [[0, -1], [3, 1]]}),
    "gather along rows": (node("Gather", ["x", "at"], ["y"], axis=2), {"at": [16, 0, -17]}),
}


@widths
@pytest.mark.parametrize("name", MOVEMENTS)
def test_data_movement(target: Target, name: str) -> None:
    move, integers = MOVEMENTS[name]
    nodes = [move, node("Relu", ["y"], ["z"])]
    constants = {n: np.array(v, np.int64) for n, v in integers.items()}
    case = Case(nodes, {"x": floats(3, 5, 17)}, outputs=("y", "z"), constants=constants, reference="onnxruntime")
    check(case, target)


@targets
@pytest.mark.parametrize("axis", [0, 1, 2])
@layouts
def test_concat(target: Target, axis: int, layout: str) -> None:
    shapes = [[2, 3, 5], [2, 3, 5], [2, 3, 5]]
    for shape, extent in zip(shapes, (1, 17, 3), strict=True):
        shape[axis] = extent
    feeds = {name: floats(*shape, seed=i) for i, (name, shape) in enumerate(zip("abc", shapes, strict=True))}
    check(Case([node("Concat", ["a", "b", "a", "c"], ["y"], axis=axis)], feeds, layout=layout), target)


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


@widths
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


@widths
@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("bias", [(), (17,), (3, 1), (3, 17)])
def test_gemm(target: Target, transposed: tuple[int, int], bias: tuple[int, ...]) -> None:
    trans_a, trans_b = transposed
    gemm = node("Gemm", ["a", "b", "c"], ["t"], transA=trans_a, transB=trans_b, alpha=0.5, beta=2.0)
    feeds = {"a": floats(*((5, 3) if trans_a else (3, 5)))}
    constants = {"b": floats(*((17, 5) if trans_b else (5, 17)), seed=1), "c": floats(*bias, seed=2)}
    check(Case([gemm, node("Tanh", ["t"], ["y"])], feeds, constants=constants), target)


@widths
@extents
@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize(("m", "k", "n"), [(1, 5, 33), (17, 300, 3), (5, 3, 150)])
def test_gemm_of_what_is_computed(
    target: Target, open_extents: bool, transposed: tuple[int, int], m: int, k: int, n: int
) -> None:
    trans_a, trans_b = transposed
    gemm = node("Gemm", ["a", "b"], ["y"], transA=trans_a, transB=trans_b)
    feeds = {"a": floats(*((k, m) if trans_a else (m, k))), "b": floats(*((n, k) if trans_b else (k, n)), seed=1)}
    check(Case([gemm], feeds), target, open_extents=open_extents)


@widths
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
