"""What becomes of whole networks: how many kernels, and which of them only do what a neighbour could have done?"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

from fusewright.frontend.onnx import load
from fusewright.graph.group import Group
from fusewright.graph.text import parse_model
from fusewright.passes.fuse import find_groups
from fusewright.passes.pipeline import optimize, specialize

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def groups(source: str | onnx.ModelProto) -> list[Group]:
    path = str(LIGHT / f"{source}.onnx") if isinstance(source, str) else source
    return find_groups(specialize(optimize(load(path))).graph)


def kernels(found: list[Group]) -> list[str]:
    """The operations of each group that is no view, no concatenation (its operands are made in its memory) and no Split
    (its results are parts of its operand's)."""
    joints = ("Concat", "Split")
    return [" ".join(n.op_type for n in g.nodes) for g in found if g.kind != "view" and g.anchor.op_type not in joints]


@pytest.mark.parametrize(
    "name, most",
    [
        ("light_resnet50", 57),
        ("light_squeezenet", 32),
        ("light_densenet121", 126),
        ("light_inception_v2", 84),
        ("light_vgg19", 25),
    ],
)
def test_no_kernel_only_applies_something(name: str, most: int) -> None:
    found = groups(name)
    assert [told for g in found for told in kernels([g]) if g.kind == "elementwise"] == []
    assert len(kernels(found)) <= most


def block(body: str, header: str) -> onnx.ModelProto:
    proto: onnx.ModelProto = ir.to_proto(parse_model(f"g {header} {{ {body} }}"))
    return proto


def test_inverted_residual_with_squeeze_and_excite() -> None:
    """EfficientNet's block: each SiLU in the kernel before it, the scale in the one behind it, the sum at its end;
    the means of rows where these are computed."""
    header = """(float[1,24,14,14] x) => (float[1,24,14,14] y) <float[48,24,1,1] w0, float[48] b0, float[48,1,3,3] w1,
    float[48] b1, float[12,48,1,1] w2, float[12] b2, float[48,12,1,1] w3, float[48] b3,
    float[24,48,1,1] w4, float[24] b4>"""
    body = """a = Conv(x, w0, b0) as = Sigmoid(a) am = Mul(as, a)
    b = Conv<group=48, pads=[1,1,1,1]>(am, w1, b1) bs = Sigmoid(b) bm = Mul(b, bs)
    p = GlobalAveragePool(bm) c = Conv(p, w2, b2) cs = Sigmoid(c) cm = Mul(c, cs)
    d = Conv(cm, w3, b3) ds = Sigmoid(d) m = Mul(ds, bm) e = Conv(m, w4, b4) y = Add(e, x)"""
    assert kernels(groups(block(body, header))) == [
        "Conv Sigmoid Mul",
        "Conv Sigmoid Mul ReduceMean",
        "GlobalAveragePool",
        "Conv Sigmoid Mul",
        "Conv Sigmoid",
        "Mul Conv Add",
    ]


def test_attention_with_mask_and_norm() -> None:
    """BERT's: scales and masks behind the products, heads as views, the residual sum before its norm."""
    header = """(float[1,9,32] x, float[1,1,9,9] mask) => (float[1,9,32] y) <float[32,32] q, float[32] qb,
    float[32,32] k, float[32] kb, float[32,32] v, float[32] vb, float[32,32] o, float[32] ob, float[32] g, float[32] h,
    int64[4] heads = {1, 9, 4, 8}, int64[3] flat = {1, 9, 32}, float s = {0.35}>"""
    body = """q0 = MatMul(x, q) q1 = Add(q0, qb) q2 = Reshape(q1, heads) q3 = Transpose<perm=[0,2,1,3]>(q2)
    q4 = Mul(q3, s) k0 = MatMul(x, k) k1 = Add(kb, k0) k2 = Reshape(k1, heads) k3 = Transpose<perm=[0,2,3,1]>(k2)
    k4 = Mul(s, k3)
    v0 = MatMul(x, v) v1 = Add(v0, vb) v2 = Reshape(v1, heads) v3 = Transpose<perm=[0,2,1,3]>(v2)
    a0 = MatMul(q4, k4) a1 = Add(a0, mask) a2 = Softmax<axis=-1>(a1) a3 = MatMul(a2, v3)
    a4 = Transpose<perm=[0,2,1,3]>(a3) a5 = Reshape(a4, flat) o0 = MatMul(a5, o) o1 = Add(o0, ob)
    r = Add(o1, x) y = LayerNormalization(r, g, h)"""
    assert kernels(groups(block(body, header))) == [
        "MatMul Add",
        "MatMul Mul Mul Add Softmax MatMul",
        "MatMul Add Add",
        "LayerNormalization",
    ]


def test_layer_scale_behind_a_turned_product() -> None:
    """ConvNeXt's: scale and residual sum go into the product although a transposition lies between."""
    header = """(float[1,16,7,7] x) => (float[1,16,7,7] y) <float[16,1,7,7] d, float[16] db, float[16] g, float[16] h,
    float[16,64] w0, float[64] b0, float[64,16] w1, float[16] b1, float[16,1,1] scale>"""
    body = """i = Relu(x) a = Conv<group=16, pads=[3,3,3,3]>(i, d, db) t = Transpose<perm=[0,2,3,1]>(a)
    n = LayerNormalization(t, g, h) m0 = MatMul(n, w0) m1 = Add(m0, b0) m2 = Gelu(m1) m3 = MatMul(m2, w1)
    m4 = Add(m3, b1) u = Transpose<perm=[0,3,1,2]>(m4) l = Mul(u, scale) y = Add(l, i)"""
    assert kernels(groups(block(body, header))) == [
        "Relu",
        "Conv",
        "LayerNormalization",
        "MatMul Add Gelu",
        "MatMul Add Add",
    ]
