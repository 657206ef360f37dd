"""Which copy of the C runtime serves this process?

The first that is there: one that came inside an artifact (no compiler needed), else our own build of it.
"""

from __future__ import annotations

import ctypes
import os
import threading
from dataclasses import dataclass

from fusewright.errors import ArtifactError, BuildError
from fusewright.runtime.build import library_path, runtime_units
from fusewright.runtime.loader import open_library
from fusewright.target import host

ABI = 4  # FW_ABI of csrc/fw_runtime.h

_pointer = ctypes.c_void_p
_int64 = ctypes.c_int64


@dataclass(frozen=True)
class Runtime:
    """The functions of csrc/fw_runtime.h. Calls release Python's global lock."""

    handle: ctypes.CDLL

    def __post_init__(self) -> None:
        for name, result, arguments in (
            ("fw_abi", _int64, ()),
            ("fw_check", _int64, (_pointer, _int64, _int64)),
            ("fw_memory_bytes", _int64, (_pointer,)),
            ("fw_prepare", None, (_pointer, _pointer, _pointer)),
            ("fw_run", None, (_pointer,)),
            ("fw_pool_new", _pointer, (_int64,)),
            ("fw_pool_threads", _int64, (_pointer,)),
            ("fw_pool_free", None, (_pointer,)),
        ):
            function = getattr(self.handle, name)
            function.restype = result
            function.argtypes = arguments


_lock = threading.Lock()
_runtime: Runtime | None = None


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_renew_lock)


def runtime() -> Runtime:
    """The C runtime, built on first use. Raises BuildError when that needs a compiler and there is none."""
    global _runtime
    if _runtime is None:
        with _lock:
            if _runtime is None:
                path = library_path(runtime_units(host()), None, None)
                try:
                    _runtime = Runtime(open_library(path))
                except OSError as error:
                    raise BuildError(f"the runtime does not load: {error}") from None
    return _runtime


def adopt(handle: ctypes.CDLL) -> None:
    """Use the runtime inside an artifact's library, if none is in use yet.

    Raises ArtifactError for another version.
    """
    global _runtime
    try:
        abi = int(handle.fw_abi())
    except AttributeError:
        raise ArtifactError("the artifact's library holds no Fusewright runtime; compile the model again") from None
    if abi != ABI:
        raise ArtifactError(
            f"the artifact's runtime has version {abi}, this Fusewright expects {ABI}; compile the model again"
        )
    with _lock:
        if _runtime is None:
            _runtime = Runtime(handle)
