"""How fast can this machine multiply and add at all? A loop of independent fused multiply-adds in registers.

The loop reads and writes no memory, so nothing but the arithmetic units (and whoever shares them) limits it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fusewright.runtime.compiler import Commands, find_compiler
from fusewright.target import Target, host

_REPEAT = 4  # times all accumulators in the body, so that counting rounds costs next to nothing

_SOURCE = """\
typedef float v __attribute__((vector_size({vector_bytes})));
static volatile float half = 0.5f, one = 1.0f; /* volatile: the compiler must not know where this converges */

__attribute__((visibility("default"))) float fusewright_peak(long long rounds) {{
    v b, c, {names};
    for (int i = 0; i < {lanes}; i++) {{ b[i] = half; c[i] = one; }}
    {starts}
    for (long long r = 0; r < rounds; r++) {{
        {body}
    }}
    v sum = {sum};
    float s = 0;
    for (int i = 0; i < {lanes}; i++) s += sum[i];
    return s;
}}
"""


@dataclass(frozen=True)
class PeakLoop:
    """The library with the loop, and the arithmetic of one of its rounds on one thread."""

    library: Path
    flop_per_round: int


def source(target: Target) -> str:
    """The loop in C. Accumulators are named variables, because compilers spill arrays of them."""
    names = [f"a{i}" for i in range(_accumulators(target))]
    step = " ".join(f"{a} = {a} * b + c;" for a in names)
    return _SOURCE.format(
        vector_bytes=target.vector_bytes,
        lanes=target.lanes,
        names=", ".join(names),
        starts=" ".join(f"{a} = c * {i + 3}.0f;" for i, a in enumerate(names)),
        body="\n        ".join([step] * _REPEAT),
        sum=" + ".join(names),
    )


def build_peak(folder: Path, target: Target | None = None) -> PeakLoop:
    """Compiles the loop for this machine into `folder`. Raises BuildError."""
    target = target or host()
    compiler, commands = find_compiler(), Commands(folder)
    c, o, library = (str(folder / f"peak.{end}") for end in ("c", "o", "so"))
    Path(c).write_text(source(target), encoding="ascii")
    try:
        commands.run(compiler.compile_command(target, c, o))
        commands.run(compiler.link_command(target, [o], library))
    except BaseException:
        commands.kill()
        raise
    return PeakLoop(Path(library), flop_per_round(target))


def flop_per_round(target: Target) -> int:
    """Operations in one round of the loop."""
    return _accumulators(target) * _REPEAT * target.lanes * 2


def _accumulators(target: Target) -> int:
    # Enough to hide the latency of all FMA units (at most 5 cycles, at most 4 units), and few enough to leave
    # registers for the two operands.
    return 24 if target.vector_registers >= 32 else 12
