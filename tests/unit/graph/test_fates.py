"""Every node that no kernel computes has a reason."""

from __future__ import annotations

import onnx_ir as ir

from fusewright.graph.decisions import Decision
from fusewright.graph.fates import fates, origins

MODEL = """
<ir_version: 10, opset_import: ["": 21]>
g (float[N, 4] x, bool c) => (float[N, 4] y, float[M] z) {
    [shape] s = Shape(x)
    [more] t = Mul(s, s)
    [relu] a = Relu(x)
    [view] v = Reshape(a, s)
    [lost] l = Neg(a)
    [captured] k = Exp(x)
    [branch] z = If(c) <
        then_branch = th () => (float[M] p) { p = Abs(k) },
        else_branch = el () => (float[M] q) { q = Sqrt(k) }
    >
    [last] y = Add(v, v)
}
"""


def test_what_is_known_and_what_is_used() -> None:
    found = {o.name: o for o in origins(ir.from_onnx_text(MODEL))}
    assert {name for name, o in found.items() if o.known} == {"shape", "more"}
    assert {name for name, o in found.items() if not o.used} == {"more", "lost"}  # a branch uses what it captures
    assert found["view"].results == ("v",)


def test_reasons() -> None:
    nodes = origins(ir.from_onnx_text(MODEL))
    decisions = [
        Decision("view", "view", True, "same memory under other dimensions"),
        Decision("fold", "y", True, ""),  # rules name the value that they make
        Decision("fuse", "captured", False, "used twice"),
    ]
    found = {name: reason for name, _, reason in fates(nodes, {"relu", "branch"}, decisions)}
    assert found == {
        "shape": "computed while compiling: nothing it needs depends on the inputs' elements",
        "more": "no output depends on it",
        "view": "view: same memory under other dimensions",
        "lost": "no output depends on it",
        "captured": "rewritten together with its neighbours",
        "last": "fold",
    }
