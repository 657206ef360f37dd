"""Which operations have a schedule of their own? Matmul, convolution, pooling; `schedule` names it."""

from __future__ import annotations

from fusewright.ops.opdef import Kind, OpDef, Site


def ungrouped(site: Site) -> str | None:
    """Filters that see all channels are read many times for each input; a group of one channel is read as it comes."""
    return None if int(site.get("group", 1)) == 1 else "its filters are grouped"


def is_depthwise(site: Site) -> bool:
    """Whether every group of a convolution has one channel in and one out."""
    x = site.inputs[0]
    return x is not None and len(x[1]) > 1 and int(site.get("group", 1)) == x[1][1] == site.shape[1] > 1


OPS = (
    OpDef("MatMul", Kind.CONTRACTION, schedule="matmul"),
    OpDef("Gemm", Kind.CONTRACTION, schedule="gemm"),
    OpDef("Conv", Kind.CONTRACTION, schedule="conv", channels=True, prologue=ungrouped, row_means=is_depthwise),
    OpDef("ConvTranspose", Kind.CONTRACTION, schedule="conv_transpose", channels=True),
    OpDef("MaxPool", Kind.WINDOW, schedule="pool", channels=True),
    OpDef("AveragePool", Kind.WINDOW, schedule="pool", channels=True),
    OpDef("LpPool", Kind.WINDOW, schedule="pool", channels=True),
)
