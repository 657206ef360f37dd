"""Plain C with 16-byte vectors of the compiler: any processor, through `vector_size` alone."""

from __future__ import annotations

from fusewright.target.target import Target


def generic(arch: str) -> Target:
    """The baseline of an architecture as compilers name it (`x86_64`, `aarch64`, `riscv64`)."""
    return Target(
        name="generic",
        arch=arch,
        triple=f"{arch}-linux-gnu",
        lanes=4,
        vector_registers=16,
        fma=False,
        fma_rate=1.0,
    )
