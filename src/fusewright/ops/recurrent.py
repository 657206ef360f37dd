"""Which recurrent operations are there? LSTM, GRU and RNN have one schedule; what it cannot do is said here."""

from __future__ import annotations

from fusewright.ops.opdef import Kind, OpDef, Site

ACTIVATIONS = frozenset({
    "tanh", "sigmoid", "relu", "affine", "leakyrelu", "thresholdedrelu", "scaledtanh", "hardsigmoid", "elu",
    "softsign", "softplus",
})  # fmt: skip


def supports(site: Site) -> str | None:
    unknown = [n for n in site.attributes.get("activations") or () if str(n).lower() not in ACTIVATIONS]
    return f"activation {unknown[0]}" if unknown else None


OPS = tuple(OpDef(name, Kind.CUSTOM, schedule="recurrent", supports=supports) for name in ("LSTM", "GRU", "RNN"))
