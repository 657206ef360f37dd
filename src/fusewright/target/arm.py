"""64-bit Arm: Advanced SIMD (NEON), which every such processor has."""

from __future__ import annotations

from fusewright.target.target import Target

NEON = Target(
    name="neon",
    arch="aarch64",
    triple="aarch64-linux-gnu",
    lanes=4,
    vector_registers=32,
    fma=True,
    features=frozenset({"asimd"}),
)

TARGETS = (NEON,)
