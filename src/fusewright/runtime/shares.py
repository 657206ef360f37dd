"""Which thread worked on which call, from when to when? For profiles; see csrc/fw_shares.c."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from fusewright.plan.program import Program
from fusewright.runtime.build import Unit, library_path
from fusewright.runtime.compiler import csrc
from fusewright.runtime.loader import address_of, open_library
from fusewright.target import host

PARTS = 64  # of a call that a thread may make: halves of halves, and what it takes over from others
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Share:
    """What one thread did of one call: `begin` and `end` in nanoseconds of one clock; thread 0 is the caller's."""

    call: int
    thread: int
    begin: int
    end: int


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    base = replace(host(), name="base", features=frozenset(), cflags=(), gcc_flags=())
    text = (csrc() / "fw_shares.c").read_text(encoding="utf-8")
    handle = open_library(library_path((Unit("fw_shares.c", text, base),), None, None))
    handle.fw_time_shares.restype = handle.fw_timed_shares.restype = ctypes.c_int64
    handle.fw_time_shares.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int64]
    handle.fw_timed_shares.argtypes = []
    return handle


class ShareClock:
    """Times the shares of one program's calls. Raises BuildError when its C cannot be built."""

    def __init__(self, program: Program, kernels: Sequence[int]) -> None:
        """`kernels` are the addresses of the program's kernels."""
        self._handle = _library()
        timed = address_of(self._handle, "fw_timed_kernel")
        self.kernels = (ctypes.c_void_p * len(kernels))(*([timed] * len(kernels)))
        self._real = (ctypes.c_void_p * len(program.calls))(*(kernels[c.kernel] for c in program.calls))
        slots = [number for number, call in enumerate(program.calls) for _ in call.refs]
        self._call_of_slot = (ctypes.c_int64 * len(slots))(*slots)
        parts = sum(min(c.units, PARTS * c.shares) * c.turns for c in program.calls)
        self._shares = np.zeros((parts, 4), np.int64)

    def time(self, table: int, run: Callable[[], None]) -> list[Share]:
        """The shares of one run of the program, whose table of pointers lies at `table`, by when they began."""
        with _one_at_a_time:
            caller = self._handle.fw_time_shares(
                table, self._call_of_slot, self._real, self._shares.ctypes.data, len(self._shares)
            )
            run()
            rows = self._shares[: self._handle.fw_timed_shares()].tolist()  # of calls in more parts, the first
        rows.sort(key=lambda row: (row[2], row[0]))
        threads = {caller: 0}
        return [Share(call, threads.setdefault(thread, len(threads)), begin, end) for call, thread, begin, end in rows]
