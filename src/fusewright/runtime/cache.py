"""Where do compiled kernels stay, so that no process ever loads a half-written or foreign one?

An entry is a folder `<key>/` with `data` and `sha256`; it appears by one rename, and its data is compared
with its checksum each time before it is used. The cache belongs to the user alone; when it cannot, a
private temporary folder takes its place for the life of the process.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from fusewright.settings import settings

NEW_SECONDS = 60  # a folder this young may not have taken its lock yet
LAYOUT = "v1"  # changes whenever entries of another layout could be mistaken


class Cache:
    """One folder of entries, made when it is not there.

    Raises OSError when it cannot be made or is not the user's alone.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries = root / "entries"
        self.work = root / "work"
        for folder in (root, self.entries, self.work):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_ours(root)

    def find(self, key: str) -> Path | None:
        """The data of an entry, checked just now, or None; an altered entry is removed."""
        folder = self.entries / key
        try:
            data = (folder / "data").read_bytes()
            expected = (folder / "sha256").read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            if folder.exists():
                self._discard(folder)
            return None
        if hashlib.sha256(data).hexdigest() != expected:
            self._discard(folder)
            return None
        return folder / "data"

    def publish(self, key: str, data: bytes) -> Path:
        """Make the entry appear, whole; whoever was first wins. Returns the path of its data."""
        with self.workspace() as work:
            fresh = work / "entry"
            fresh.mkdir(mode=0o700)
            (fresh / "data").write_bytes(data)
            (fresh / "sha256").write_text(hashlib.sha256(data).hexdigest(), encoding="ascii")
            folder = self.entries / key
            for _ in range(3):
                try:
                    os.rename(fresh, folder)
                    break
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                # Another process was first; or a damaged entry is in the way, which `find` takes away.
                if self.find(key) is not None:
                    break
        return self.entries / key / "data"

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder of this process, gone afterwards; those of processes that were killed go as well."""
        self._remove_abandoned()
        work = Path(tempfile.mkdtemp(dir=self.work))
        lock = os.open(work / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
            os.close(lock)

    def _remove_abandoned(self) -> None:
        """The system drops a dead process's lock, so a folder whose lock is free has lost its owner."""
        for work in self.work.iterdir():
            try:
                if time.time() - work.stat().st_mtime < NEW_SECONDS:
                    continue
                lock = os.open(work / "lock", os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                continue  # being made or being removed at this moment
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(work, ignore_errors=True)
            except OSError:
                pass
            finally:
                os.close(lock)

    def _discard(self, folder: Path) -> None:
        with self.workspace() as work, contextlib.suppress(OSError):
            os.rename(folder, work / "altered")


def check_ours(root: Path) -> None:
    """Raise PermissionError unless only this user can write into the folder: its files are executed."""
    status = root.stat()
    if status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "belongs to another user", str(root))
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, "others may write into it", str(root))


def user_cache() -> Cache:
    """The cache that the settings name, or a private temporary one, with a warning once."""
    return _cache(settings().cache_dir, os.getpid())


_lock = threading.Lock()


def _cache(folder: Path, pid: int) -> Cache:
    with _lock:
        return _opened(folder, pid)


@lru_cache(maxsize=16)
def _opened(folder: Path, pid: int) -> Cache:
    root = folder / f"kernels-{LAYOUT}"
    try:
        cache = Cache(root)
        with cache.workspace():
            return cache
    except OSError as error:
        private = Path(tempfile.mkdtemp(prefix="fusewright-"))
        atexit.register(_remove_private, private, pid)
        warnings.warn(
            f"compiled kernels cannot be kept in {root} ({error.strerror or error}); each process compiles "
            "them again. Set FUSEWRIGHT_CACHE_DIR to a folder of yours.",
            RuntimeWarning,
            stacklevel=4,
        )
        return Cache(private)


def _remove_private(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # a fork also runs the exit functions of its parent
        shutil.rmtree(folder, ignore_errors=True)
