"""How does a library of ours enter the process, and where is a function of it?"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from functools import lru_cache

from fusewright.errors import InternalError

_MODE = os.RTLD_NOW | os.RTLD_LOCAL  # all at once, so that what is missing shows here; nothing leaks out


def open_library(path: str | os.PathLike[str]) -> ctypes.CDLL:
    """Load a library. Raises OSError with the loader's reason.

    Our libraries name no other library, so that they need none at link time: what they call is found
    among those that the process already has.
    """
    _need_mathematics()
    return ctypes.CDLL(os.fspath(path), mode=_MODE)


@lru_cache(maxsize=1)
def _need_mathematics() -> None:
    """Nearly every Python has loaded libm for all; make sure of it."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):  # musl has no such file: its libc holds the functions
            ctypes.CDLL("libm.so.6", mode=os.RTLD_NOW | os.RTLD_GLOBAL)


def address_of(handle: ctypes.CDLL, symbol: str) -> int:
    """The address of a function of a loaded library. Raises InternalError when it has none."""
    try:
        address = ctypes.cast(getattr(handle, symbol), ctypes.c_void_p).value
    except AttributeError:
        address = None
    if not address:
        raise InternalError(f"the compiled library lacks the function {symbol!r} that it was built for")
    return address
