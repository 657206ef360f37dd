"""How do a library's bytes become code of this process, without a file that others could touch?"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading

from fusewright.errors import ArtifactError
from fusewright.runtime.cache import user_cache
from fusewright.runtime.loader import open_library

# By the sha256 of the bytes: a library is loaded once, however often its artifact is opened. Handles are
# never closed, since addresses are handed out. Nor are the memory files: the loader knows libraries by
# path, and would take the next one under the same number for one that it has.
_loaded: dict[str, ctypes.CDLL] = {}
_memory_files: list[int] = []
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_renew_lock)


def load_image(image: memoryview) -> ctypes.CDLL:
    """Load a library from memory; through a file of the user's cache where the system has no memory files.

    Raises ArtifactError when the system's loader refuses it.
    """
    key = hashlib.sha256(image).hexdigest()
    with _lock:
        handle = _loaded.get(key)
        if handle is None:
            handle = _from_memory(image) or _from_cache(image, key)
            _loaded[key] = handle
        return handle


def _from_memory(image: memoryview) -> ctypes.CDLL | None:
    if not hasattr(os, "memfd_create"):
        return None
    try:
        file = os.memfd_create("fusewright", os.MFD_CLOEXEC)
    except OSError:
        return None
    try:
        with os.fdopen(os.dup(file), "wb") as writer:
            writer.write(image)
        handle = open_library(f"/proc/self/fd/{file}")
    except OSError:  # some systems forbid to execute memory files
        os.close(file)
        return None
    _memory_files.append(file)
    return handle


def _from_cache(image: memoryview, key: str) -> ctypes.CDLL:
    cache = user_cache()
    name = f"image-{key}"
    path = cache.find(name) or cache.publish(name, bytes(image))
    try:
        return open_library(path)
    except OSError as error:
        raise ArtifactError(
            f"the artifact's library does not load: {error}. If the cache lies on a file system that forbids "
            "execution, set FUSEWRIGHT_CACHE_DIR to another folder; else compile the model again."
        ) from None
