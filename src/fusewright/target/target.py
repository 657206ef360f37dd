"""What must a schedule, a printer and a compiler know of a processor? Pure data; nothing here decides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One instruction set on one machine.

    `lanes` counts float32 in a vector register; `features` are processor flags as Linux spells them in
    /proc/cpuinfo, all of which a machine must have to run the code. `cflags` suit clang (and its build in
    ziglang), `gcc_flags` suit gcc. Cache sizes are bytes of one core. `half_rate` tells that vectors of half the width
    take half the time: a processor that computes a wide vector in two steps. `adds_beside` tells that vectors are added
    by units of their own, beside those that multiply, and that spreading an element over a vector costs nothing.

    For predictions: `l3_bytes` is the last cache, shared by cores; `fma_rate` counts vector multiply-adds in a cycle;
    the other rates are bytes that one core reads or writes in a cycle, as whole kernels reach them.
    """

    name: str
    arch: str
    triple: str
    lanes: int
    vector_registers: int
    fma: bool
    features: frozenset[str] = frozenset()
    cflags: tuple[str, ...] = ()
    gcc_flags: tuple[str, ...] = ()
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 512 * 1024
    half_rate: bool = False
    adds_beside: bool = False
    l3_bytes: int = 8 * 1024 * 1024
    fma_rate: float = 2.0
    l2_rate: float = 24.0
    l3_rate: float = 16.0
    memory_rate: float = 8.0

    @property
    def vector_bytes(self) -> int:
        """Bytes of one vector register."""
        return self.lanes * 4

    def __post_init__(self) -> None:
        if self.lanes <= 0 or self.lanes & (self.lanes - 1):
            raise ValueError(f"target {self.name}: lanes must be a power of two, got {self.lanes}")
