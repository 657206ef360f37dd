"""Which products of one operand become one, and do their readers see the parts where they lie?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import fusewright as fw
from fusewright.graph.text import parse_model
from fusewright.passes.merge_parallel import MergeParallel

from .helpers import Outcome, rewrite
from .helpers import run as run_reference

HEADER = "g (float[2,5,6] x, float[7,3] z) => (float[2,5,n] y)"
WEIGHTS = """<float[6,3] a, float[6,3] b, float[6,4] c, float[6,1] d, float[3,6] at, float[3,6] bt, float[3] ab,
float[3] bb, float[1,4] cb, float[5,3] rows, int64[3] flat = {1, 10, 3}, int64[3] other = {2, 3, 5}>"""


def merge(body: str, header: str = HEADER) -> Outcome:
    return rewrite(f"{header} {WEIGHTS} {{ {body} }}", MergeParallel())


TURNED = "t = Transpose<perm=[0,2,1]>(q) y = MatMul(k, t)"
MERGED = {
    "bare": ("k = MatMul(x, a) q = MatMul(x, b)", ["MatMul", "Split"]),
    "biases on either side": (
        "k0 = MatMul(x, a) k = Add(k0, ab) q0 = MatMul(x, b) q = Add(bb, q0)", ["MatMul", "Add", "Split"]),
    "one has a bias": ("k0 = MatMul(x, a) q = MatMul(x, b) k = Add(k0, ab)", ["MatMul", "Add", "Split"]),
    "only the second has one": ("k = MatMul(x, a) q0 = MatMul(x, b) q = Add(q0, bb)", ["MatMul", "Add", "Split"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MERGED)
def test_merged(name: str) -> None:
    body, ops = MERGED[name]
    outcome = merge(f"{body} {TURNED}")
    assert outcome.ops == [*ops, "Transpose", "MatMul"]
    assert outcome.log.count("merge-parallel") == 2


def test_of_other_widths() -> None:
    outcome = merge(
        """q = MatMul(x, c) k = MatMul(x, d) v0 = MatMul(x, a) v = Add(v0, ab)
        t = Transpose<perm=[0,2,1]>(k) s = MatMul(t, q) u = Transpose<perm=[0,2,1]>(v) w = MatMul(u, q)
        y = Concat<axis=1>(s, w)""",
        HEADER.replace("2,5,n", "2,4,4"),
    )
    assert outcome.ops[:3] == ["MatMul", "Add", "Split"]
    assert outcome.weight("c_merged").shape == (6, 8)
    np.testing.assert_array_equal(outcome.weight("c_widths"), [4, 1, 3])
    np.testing.assert_array_equal(outcome.weight("c_merged_bias")[:5], 0)


@pytest.mark.parametrize("turned, weights", [(0, "a b"), (1, "at bt")])
def test_gemm(turned: int, weights: str) -> None:
    first, second = weights.split()
    attributes = f"<alpha=0.5, transB={turned}>"
    outcome = merge(
        f"""k = Gemm{attributes}(x, {first}, ab) q = Gemm{attributes}(x, {second})
        t = Transpose<perm=[1,0]>(q) y = MatMul(k, t)""",
        "g (float[7,6] x, float[7,3] z) => (float[7,7] y)",
    )
    assert outcome.ops == ["Gemm", "Split", "Transpose", "MatMul"]


def test_gemms_of_other_settings_stay() -> None:
    outcome = merge(
        """k = Gemm<alpha=0.5>(x, a, ab) q = Gemm(x, b, bb) r = Gemm<beta=0.5>(x, b, bb)
        t = Transpose<perm=[1,0]>(q) m = MatMul(k, t) y = MatMul(m, r)""",
        "g (float[7,6] x, float[7,3] z) => (float[7,3] y)",
    )
    assert not outcome.changed and outcome.log.decisions == []


def test_readers_of_its_shape_do_not_matter() -> None:
    outcome = merge(f"k = MatMul(x, a) q = MatMul(x, b) {TURNED} n = Shape(q)", HEADER.replace("y)", "y, int64[3] n)"))
    assert outcome.ops[:2] == ["MatMul", "Split"]


def test_what_is_shown_in_rows() -> None:
    outcome = merge(
        "k = MatMul(x, a) q = MatMul(x, b) f = Reshape(k, flat) y = MatMul(f, at) u = MatMul(q, at)",
        "g (float[2,5,6] x, float[7,3] z) => (y, u)",
    )
    assert outcome.ops[:2] == ["MatMul", "Split"]


REFUSED = {
    "k is a result of the model, which lies alone": f"k = MatMul(x, a) q = MatMul(x, b) {TURNED}",
    "it is read by Relu, which is no product":
        "k0 = MatMul(x, a) k = Relu(k0) q = MatMul(x, b) t = Transpose<perm=[0,2,1]>(q) y = MatMul(k, t)",
    "it is read by Concat, which is no product":
        "k1 = MatMul(x, a) q = MatMul(x, b) k = Concat<axis=2>(k1, k1) y = MatMul(q, at)",
    "Reshape shows more than a part of each row, which would need a copy":
        "k1 = MatMul(x, a) q = MatMul(x, b) k = Reshape(k1, other) y = MatMul(q, at)",
    "nothing reads k": "k = MatMul(x, a) q = MatMul(x, b) y = MatMul(q, at)",
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_refused(reason: str) -> None:
    outputs = "y" if reason.startswith(("nothing", "it is read by Relu")) else "y, k"
    outcome = merge(REFUSED[reason], f"g (float[2,5,6] x, float[7,3] z) => ({outputs})")
    assert not outcome.changed
    assert reason in outcome.reasons


def test_the_rest_of_three_is_merged() -> None:
    outcome = merge(
        """r = MatMul(x, c) k = MatMul(x, a) q = MatMul(x, b) s = Relu(r) t = Transpose<perm=[0,2,1]>(q)
        m = MatMul(k, t) y = MatMul(m, s)"""
    )
    assert outcome.ops == ["MatMul", "MatMul", "Split", "Relu", "Transpose", "MatMul", "MatMul"]


def test_of_other_operands_and_of_no_weights() -> None:
    outcome = merge(
        """k = MatMul(x, a) w = Neg(x) q = MatMul(w, b) zt = Transpose(z) r = MatMul(q, zt) s = MatMul(q, zt)
        t = Transpose<perm=[0,2,1]>(r) u = MatMul(s, t) y = MatMul(u, k)"""
    )
    assert not outcome.changed and outcome.log.decisions == []


def attention(batch: int, length: int | str, heads: int, depth: int, values: int) -> ir.Model:
    """Heads as PyTorch's exporter writes them, with a bias on all but the keys."""
    wide, narrow = heads * depth, heads * values
    return parse_model(
        f"""g (float[{batch},{length},{wide}] x) => (float[{batch},{length},{wide}] y)
        <float[{wide},{wide}] a, float[{wide}] ab, float[{wide},{wide}] b, float[{wide},{narrow}] c, float[{narrow}] cb,
        float[{narrow},{wide}] o, float[{wide}] ob, int64[4] heads = {{0, 0, {heads}, {depth}}},
        int64[4] parts = {{0, 0, {heads}, {values}}}, int64[3] flat = {{0, 0, {narrow}}}, float s = {{0.35}}>
        {{ q0 = MatMul(x, a) q1 = Add(q0, ab) q2 = Reshape(q1, heads) q = Transpose<perm=[0,2,1,3]>(q2)
           k0 = MatMul(x, b) k1 = Reshape(k0, heads) k = Transpose<perm=[0,2,3,1]>(k1)
           v0 = MatMul(x, c) v1 = Add(v0, cb) v2 = Reshape(v1, parts) v = Transpose<perm=[0,2,1,3]>(v2)
           m = MatMul(q, k) n = Mul(m, s) p = Softmax<axis=-1>(n) r = MatMul(p, v)
           t = Transpose<perm=[0,2,1,3]>(r) f = Reshape(t, flat) e = MatMul(f, o) y = Add(e, ob) }}"""
    )


SIZES = [(1, 9, 4, 8, 8), (2, 17, 3, 5, 7), (3, 1, 1, 1, 1), (1, 33, 2, 16, 3)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("is_open", [False, True], ids=["fixed", "open"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_attention_reads_the_parts_where_they_lie(size: tuple[int, ...], is_open: bool, threads: int) -> None:
    batch, length, heads, depth, values = size
    model = attention(batch, "l" if is_open else length, heads, depth, values)
    x = np.random.default_rng(1).standard_normal((batch, length, heads * depth)).astype(np.float32)
    session = fw.compile(model, threads=threads)
    got = session(x)
    nodes = [[n.op_type for n in k.nodes] for k in session.describe().kernels]
    assert nodes[0] == ["MatMul", "Add"] and nodes[-1] == ["MatMul", "Add"]
    assert [n for n in nodes if "Split" in n or "Identity" in n or n[0] in ("Reshape", "Transpose")] == []
    assert sum(n.count("MatMul") for n in nodes) == 4, nodes
    wanted = run_reference(model, {"x": x})["y"]
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5 * float(np.abs(wanted).max()))


def test_weights_are_written_with_the_model(tmp_path: Path) -> None:
    """They are put together when they are asked for, as here."""
    outcome = merge(f"k = MatMul(x, a) q = MatMul(x, b) {TURNED}")
    ir.save(outcome.model, tmp_path / "merged.onnx")
    (merged,) = [w for w in onnx.load(tmp_path / "merged.onnx").graph.initializer if w.name == "a_merged"]
    parts = [outcome.weight("a"), outcome.weight("b")]
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(merged), np.concatenate(parts, axis=1))
