"""What does this machine give at most, at this moment: arithmetic, memory, cache, clock?

A profile holds kernels against these roofs, and measures them in turns with the kernels: on a machine that is shared,
a roof of a minute ago says little. All threads of the session run each loop at once.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from fusewright.bench import peak
from fusewright.plan.weights import private_memory
from fusewright.runtime.build import Unit, library_path
from fusewright.runtime.loader import open_library
from fusewright.target import Target, host

SLICE_NS = 2_000_000  # length of one measurement: short, so that some pass while nobody else has the processor
SLICES = 5  # of which the best counts, as a roof is what is possible
TIMES_LAST_CACHE = 4  # so much more than all last-level caches hold is read, lest they keep part of it
LEAST_BYTES, MOST_BYTES = 64 << 20, 1 << 30
SHARE_OF_MEMORY = 8  # at most this part of the machine's memory is taken
UNKNOWN_CACHE = 32 << 20
_STEPS = 8  # vectors read or copied in the body
_CHAIN = 64  # additions in the body, each waiting for the one before it

_SOURCE = """\
typedef float v __attribute__((vector_size({vector_bytes})));
#define EXPORT __attribute__((visibility("default")))

/* Sums that do not wait for each other: nothing but the loads limits it. */
EXPORT float fusewright_read(const v *from, v *to, long long vectors, long long rounds) {{
    v {zeros};
    for (long long r = 0; r < rounds; r++)
        for (long long i = 0; i + {steps} <= vectors; i += {steps}) {{
            {adds}
        }}
    v sum = {sum};
    (void)to;
    return sum[0];
}}

EXPORT float fusewright_copy(const v *from, v *to, long long vectors, long long rounds) {{
    for (long long r = 0; r < rounds; r++)
        for (long long i = 0; i + {steps} <= vectors; i += {steps}) {{
            {copies}
        }}
    return to[0][0];
}}

/* One cycle an addition; the empty statement keeps the compiler from adding them up. */
EXPORT float fusewright_chain(const v *from, v *to, long long step, long long rounds) {{
    unsigned long long x = 1, y = (unsigned long long)step;
    for (long long r = 0; r < rounds; r++) {{
        {chain}
    }}
    (void)from, (void)to;
    return (float)x;
}}
"""

Loop = Callable[[int, int, int, int], float]


@dataclass(frozen=True)
class Roofs:
    """`gflops` in 10^9 operations a second, bandwidths in 10^9 bytes a second, all threads together; `clock` in 10^9
    cycles a second of one thread. `memory` is beyond all caches, `cache` within each thread's own (half of its L2):
    the better of reading and of copying (where both what is read and what is written counts)."""

    gflops: float
    memory_read: float
    memory_copy: float
    cache_read: float
    cache_copy: float
    clock: float

    @property
    def memory(self) -> float:
        return max(self.memory_read, self.memory_copy)

    @property
    def cache(self) -> float:
        return max(self.cache_read, self.cache_copy)


def source(target: Target) -> str:
    """The loops in C."""
    numbers = range(_STEPS)
    return _SOURCE.format(
        vector_bytes=target.vector_bytes,
        steps=_STEPS,
        zeros=", ".join(f"s{i} = {{0}}" for i in numbers),
        adds=" ".join(f"s{i} += from[i + {i}];" for i in numbers),
        sum=" + ".join(f"s{i}" for i in numbers),
        copies=" ".join(f"to[i + {i}] = from[i + {i}];" for i in numbers),
        chain=" ".join(['x += y; __asm__ volatile("" : "+r"(x));'] * _CHAIN),
    )


class Meter:
    """Measures the roofs again and again; holds memory and threads until the context is left.

    Raises BuildError when the loops cannot be built (they are, once, and then kept with the kernels).
    """

    def __init__(self, threads: int) -> None:
        target = host()
        units = (Unit("peak.c", peak.source(target), target), Unit("roofs.c", source(target), target))
        library = open_library(library_path(units, None, None))
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fusewright-meter")
        self._multiply = library.fusewright_peak
        self._multiply.argtypes, self._multiply.restype = [ctypes.c_int64], ctypes.c_float
        self._flop = peak.flop_per_round(target)
        self._vector = target.vector_bytes
        share = memory_bytes() // 2 // threads // (self._vector * _STEPS) * self._vector * _STEPS
        inner = min(share, target.l2_bytes // 4 // (self._vector * _STEPS) * self._vector * _STEPS)
        self._memory = private_memory(2 * share * threads)
        view = np.frombuffer(self._memory, np.float32)
        view.fill(1.0)  # a page that nobody has written is one page of zeros, which a cache holds
        first = view.ctypes.data
        self._halves = [(first + i * share, first + (threads + i) * share) for i in range(threads)]
        self._share, self._inner = share, inner
        self._functions: dict[str, Loop] = {}
        for name in ("read", "copy", "chain"):
            function = getattr(library, f"fusewright_{name}")
            function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
            function.restype = ctypes.c_float
            self._functions[name] = function
        self._rounds: dict[tuple[str, int], int] = {}  # of each loop, that last about SLICE_NS

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def measure(self) -> Roofs:
        """Each loop a few times, some ten milliseconds in all; the best time counts."""
        return Roofs(
            gflops=self._flop * self._rate(("multiply", 0), lambda i, n: self._multiply(n)),
            memory_read=self._share * self._stream("read", self._share),
            memory_copy=2 * self._share * self._stream("copy", self._share),
            cache_read=self._inner * self._stream("read", self._inner),
            cache_copy=2 * self._inner * self._stream("copy", self._inner),
            clock=_CHAIN * self._rate(("chain", 0), lambda i, n: self._functions["chain"](0, 0, 3, n)) / self._threads,
        )

    def _stream(self, name: str, size: int) -> float:
        loop = self._functions[name]
        return self._rate((name, size), lambda i, n: loop(*self._halves[i], size // self._vector, n))

    def _rate(self, key: tuple[str, int], run: Callable[[int, int], float]) -> float:
        """Rounds a nanosecond, of all threads together."""
        rounds = self._rounds.setdefault(key, 1)
        best = min(self._timed(run, rounds) for _ in range(SLICES))
        while best < SLICE_NS / 2:  # the first time, or when it was disturbed then
            self._rounds[key] = rounds = 2 * rounds
            best = min(self._timed(run, rounds) for _ in range(SLICES))
        return rounds * self._threads / best

    def _timed(self, run: Callable[[int, int], float], rounds: int) -> int:
        """From the first thread's start to the last one's end; how long it takes to set them going does not count."""

        def timed(thread: int) -> tuple[int, int]:
            begin = time.perf_counter_ns()
            run(thread, rounds)
            return begin, time.perf_counter_ns()

        begins, ends = zip(*self._pool.map(timed, range(self._threads)), strict=True)
        return int(max(ends) - min(begins))


def memory_bytes() -> int:
    """How much to read so that it comes from memory: more than the last caches of all cores hold."""
    most = MOST_BYTES
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        most = min(most, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // SHARE_OF_MEMORY)
    return max(min(LEAST_BYTES, most), min(most, TIMES_LAST_CACHE * last_cache_bytes()))


def last_cache_bytes(root: Path = Path("/sys/devices/system/cpu")) -> int:
    """Bytes of the outermost caches of all processors together, as Linux tells; else a guess."""
    found: dict[str, tuple[int, int]] = {}  # by the processors that share it: level and bytes
    for folder in root.glob("cpu[0-9]*/cache/index[0-9]*"):
        try:
            level = int((folder / "level").read_text())
            size = int((folder / "size").read_text().strip().removesuffix("K")) << 10
            sharers = (folder / "shared_cpu_list").read_text().strip()
        except (OSError, ValueError):
            continue
        found[sharers] = max(found.get(sharers, (0, 0)), (level, size))
    outermost = max((level for level, _ in found.values()), default=0)
    return sum(size for level, size in found.values() if level == outermost) or UNKNOWN_CACHE
