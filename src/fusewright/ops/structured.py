"""Which operations have a schedule of their own? Matmul, convolution, pooling; `schedule` names it."""

from __future__ import annotations

from fusewright.ops.opdef import Kind, OpDef, Site


def ungrouped(site: Site) -> str | None:
    """Filters that see all channels are read many times for each input; a group of one channel is read as it comes."""
    return None if int(site.get("group", 1)) == 1 else "its filters are grouped"


OPS = (
    OpDef("MatMul", Kind.CONTRACTION, schedule="matmul"),
    OpDef("Gemm", Kind.CONTRACTION, schedule="gemm"),
    OpDef("Conv", Kind.CONTRACTION, schedule="conv", channels=True, prologue=ungrouped),
    OpDef("ConvTranspose", Kind.CONTRACTION, schedule="conv_transpose", channels=True),
    OpDef("MaxPool", Kind.WINDOW, schedule="pool", channels=True),
    OpDef("AveragePool", Kind.WINDOW, schedule="pool", channels=True),
    OpDef("LpPool", Kind.WINDOW, schedule="pool", channels=True),
)
