"""Which threads help a caller? One pool for each number of threads, shared by all sessions of a process."""

from __future__ import annotations

import ctypes
import os
import threading

from fusewright.errors import UserError
from fusewright.runtime.native import runtime
from fusewright.settings import MAX_THREADS


class Pool:
    """`threads` threads, the caller's included; the others are made when first needed."""

    def __init__(self, threads: int) -> None:
        if not 1 <= threads <= MAX_THREADS:
            raise UserError(f"threads: expected a number from 1 to {MAX_THREADS}, got {threads}")
        self.threads = threads
        self._lock = threading.Lock()
        self._address: int | None = None

    def address(self) -> int | None:
        """The C pool for fw_run; None for one thread, which needs no pool."""
        if self.threads == 1:
            return None
        address = self._address
        return self._start() if address is None else address

    def _start(self) -> int:
        with self._lock:
            if self._address is None:
                address: int | None = runtime().handle.fw_pool_new(self.threads)
                if address is None:
                    raise UserError(
                        f"threads: the system refuses to start {self.threads}; ask for fewer (FUSEWRIGHT_THREADS)"
                    )
                self._address = address
            return self._address

    def _forget(self) -> None:
        """After a fork: the child has none of the parent's threads, and any lock may have been held."""
        self._address = None
        self._lock = threading.Lock()


_pools: dict[int, Pool] = {}


def pool(threads: int) -> Pool:
    """The process's pool of that many threads. Raises UserError for a number that makes no sense."""
    found = _pools.get(threads)
    # setdefault is atomic: of two callers at once, both get the same pool.
    return found if found is not None else _pools.setdefault(threads, Pool(threads))


def _after_fork() -> None:
    for each in _pools.values():
        each._forget()


os.register_at_fork(after_in_child=_after_fork)


def close_pools() -> None:
    """End all threads of all pools; no run may be in flight. They start again when needed."""
    for each in list(_pools.values()):
        if each._address is not None:
            address, each._address = each._address, None
            runtime().handle.fw_pool_free(ctypes.c_void_p(address))
