"""Which operations have a schedule of their own? Matmul, convolution, pooling; `schedule` names it."""

from __future__ import annotations

from fusewright.ops.opdef import Kind, OpDef

OPS = (
    OpDef("MatMul", Kind.CONTRACTION, schedule="matmul"),
    OpDef("Gemm", Kind.CONTRACTION, schedule="gemm"),
    OpDef("Conv", Kind.CONTRACTION, schedule="conv", channels=True),
    OpDef("ConvTranspose", Kind.CONTRACTION, schedule="conv_transpose", channels=True),
    OpDef("MaxPool", Kind.WINDOW, schedule="pool", channels=True),
    OpDef("AveragePool", Kind.WINDOW, schedule="pool", channels=True),
    OpDef("LpPool", Kind.WINDOW, schedule="pool", channels=True),
)
