"""Do sums over labels agree with NumPy: batches, contractions, diagonals, ellipses, several operands?"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from cases import Cases, random_array

import fusewright as fw
from fusewright.errors import UserError

EXTENTS = {"b": 2, "h": 3, "i": 5, "j": 17, "k": 4, "d": 7}
EQUATIONS = (
    "ij->ji", "ij->", "ij->j", "ii->i", "bii->bi", "i,j->ij", "ij,ij->ij", "ij,ij->", "ij,jk", "bij,bjk->bik",
    "bhid,bhjd->bhij", "bhij,bjhd->bihd", "ijk,jil->kl", "ij,jk,kd->id", "bi,bj->bij", "i,i->", "ij,kj->", "iji->j",
)  # fmt: skip


def operands(equation: str, rng: np.random.Generator) -> list[np.ndarray]:
    terms = equation.partition("->")[0].split(",")
    return [random_array(rng, [EXTENTS.get(x, 6) for x in term], "float32") for term in terms]


def test_equations() -> None:
    rng = np.random.default_rng(2)
    cases = Cases()
    for equation in EQUATIONS:
        arrays = operands(equation, rng)
        expected = np.einsum(equation, *(a.astype(np.float64) for a in arrays)).astype(np.float32)
        cases.add("Einsum", *arrays, equation=equation, expected=[np.asarray(expected)], tolerance=2e-5)
    cases.check()


def test_ellipses_broadcast() -> None:
    rng = np.random.default_rng(4)
    cases = Cases()
    for equation, *shapes in (
        ("...ij,...jk->...ik", (2, 1, 5, 7), (2, 3, 7, 4)),
        ("...i->...", (2, 3, 5)),
        ("...ii ->...i", (3, 5, 5)),
    ):
        arrays = [random_array(rng, s, "float32") for s in shapes]
        expected = np.einsum(equation, *(a.astype(np.float64) for a in arrays)).astype(np.float32)
        cases.add("Einsum", *arrays, equation=equation, expected=[expected], tolerance=2e-5)
    cases.check()


def test_infinity_beside_a_diagonal_is_left_out() -> None:
    x = np.array([[1, np.inf], [np.nan, 2]], np.float32)
    cases = Cases()
    cases.add("Einsum", x, equation="ii->i", expected=[np.array([1, 2], np.float32)])
    cases.check()


def test_equations_that_do_not_fit_are_the_users_error() -> None:
    node = onnx.helper.make_node("Einsum", ["x"], ["y"], equation="ijk->i")
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 3])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n"])
    graph = onnx.helper.make_graph([node], "wrong", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 26)], ir_version=10)
    with pytest.raises(UserError, match=r"[Ee]insum"):
        fw.compile(model)
