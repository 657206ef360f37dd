"""How does the benchmark talk with an engine in another process, and notice that it died or hangs?"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

WORKER = Path(__file__).with_name("worker.py")
LOAD_TIMEOUT = 600.0  # seconds; the largest models take minutes to load in some engines
TURN_TIMEOUT = 300.0
# Between turns: thread pools spin after a run in the hope of more work (onnxruntime's for some 40 ms), and must
# not compete with the next engine. A running thread's time is brought up to date every few milliseconds.
QUIET_SECONDS = 0.012
LONGEST_SETTLING = 0.3
BLIND_SETTLING = 0.05  # where the system does not tell the time that a process used
_TAIL = 1500  # characters of an engine's own words that go into a message


class EngineError(Exception):
    """The engine is missing, refused the model, died or hung; `missing` names a package that is not there."""

    def __init__(self, message: str, missing: str | None = None) -> None:
        super().__init__(message)
        self.missing = missing


class Engine:
    """A worker process; `facts` is what it said after loading. Leaving the context ends the process."""

    def __init__(self, name: str, job: Mapping[str, Any], folder: Path | None = None) -> None:
        """`folder` is where the worker finds room for temporary files; some engines leave theirs behind."""
        self.name = name
        self.facts: dict[str, Any] = {}
        self._job = {"engine": name, **job}
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | ({"TMPDIR": str(folder)} if folder is not None else {}),
            start_new_session=True,  # Ctrl-C reaches only us; we end the workers
        )
        self._unread = b""

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def load(self) -> None:
        """Loads the engine and the model. Raises EngineError."""
        self._send(self._job)
        self.facts = self._receive(LOAD_TIMEOUT)
        if "error" in self.facts:
            raise EngineError(f"{self.name}: {self.facts['error']}", self.facts["missing"])

    def turn(self, runs: int) -> list[int]:
        """Runs the model once to warm up, then `runs` times: the times of these, in nanoseconds."""
        self.begin(runs)
        times: list[int] = self._receive(TURN_TIMEOUT)["ns"]
        return times

    def begin(self, runs: int) -> None:
        """Starts a turn, and does not wait for its end."""
        self._send({"runs": runs})

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while the process runs."""
        return self._process.poll()

    def settle(self) -> None:
        """Waits until the process sleeps: until it has used no processor time for `QUIET_SECONDS`."""
        deadline = time.monotonic() + LONGEST_SETTLING
        used = self._processor_time()
        if used is None:
            time.sleep(BLIND_SETTLING)
            return
        while time.monotonic() < deadline:
            time.sleep(QUIET_SECONDS)
            before, used = used, self._processor_time()
            if used == before:
                return

    def _processor_time(self) -> int | None:
        """Nanoseconds that all threads have run, where Linux tells them."""
        total = 0
        try:
            for thread in Path(f"/proc/{self.pid}/task").iterdir():
                total += int((thread / "schedstat").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            return None
        return total

    def hang_up(self) -> None:
        """Closes the worker's input, as the end of this process would; it then ends by itself."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def close(self) -> None:
        """Ends the process, and whatever it started."""
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise EngineError(self._obituary()) from None

    def _receive(self, timeout: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._line(timeout))
        return answer

    def _line(self, timeout: float) -> bytes:
        assert self._process.stdout is not None
        handle, deadline = self._process.stdout.fileno(), time.monotonic() + timeout
        while b"\n" not in self._unread:
            ready, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise EngineError(f"{self.name}: no answer for {timeout:.0f} seconds")
            piece = os.read(handle, 1 << 16)
            if not piece:
                raise EngineError(self._obituary())
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _obituary(self) -> str:
        code = self._process.wait(timeout=10)
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").strip()[-_TAIL:]
        cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{self.name}: the process ended with {cause}" + (f":\n{words}" if words else "")
