"""How are cases run so that one may die or hang without harm? By long-lived workers, replaced when one is lost."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from .cases import Case
from .engines import ENGINES
from .verdict import CRASHED, HUNG, Verdict, judge, one_line

START_SECONDS = 120.0  # importing an engine on a busy machine
POLL_SECONDS = 0.5
READY = -1


class StartError(RuntimeError):
    """The engine itself cannot be imported, so that no case says anything."""


def worker_main(connection: Connection, cases: list[Case], engine_name: str, threads: int, log: str) -> None:
    """Answer indices of cases with verdicts until the other end closes."""
    os.setsid()  # so that compilers started by a case can be ended with it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        engine = ENGINES[engine_name](threads)
    except Exception as error:
        connection.send((READY, f"{type(error).__name__}: {error}"))
        return
    gc.collect()
    gc.freeze()  # the suite's cases stay alive: do not walk them at every collection
    connection.send((READY, ""))
    while True:
        try:
            index = connection.recv()
        except EOFError:
            return
        os.ftruncate(1, 0)
        start = time.perf_counter()
        verdict = judge(cases[index], engine)
        seconds = round(time.perf_counter() - start, 3)
        connection.send((index, Verdict(verdict.outcome, verdict.reason, seconds)))


class Worker:
    """One process, the pipe to it, and the case that it is busy with (None before it is ready)."""

    def __init__(self, cases: list[Case], engine_name: str, threads: int) -> None:
        methods = multiprocessing.get_all_start_methods()
        # A fork shares the loaded suite: a replacement starts at once instead of after seconds.
        context: Any = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
        handle, log = tempfile.mkstemp(prefix="scoreboard-", suffix=".log")
        os.close(handle)
        self.log = Path(log)
        self.connection, other = context.Pipe()
        arguments = (other, cases, engine_name, threads, log)
        self.process = context.Process(target=worker_main, args=arguments, daemon=True)
        self.process.start()
        other.close()
        self.busy_with: int | None = None
        self.deadline = time.monotonic() + START_SECONDS

    def give(self, index: int, timeout: float) -> None:
        self.busy_with = index
        self.deadline = time.monotonic() + timeout
        with contextlib.suppress(BrokenPipeError):  # it died after its last answer: the next poll tells
            self.connection.send(index)

    def last_words(self) -> str:
        lines = self.log.read_bytes()[-4000:].decode(errors="replace").split("\n")
        return one_line(next((line for line in reversed(lines) if line.strip()), ""))

    def cause_of_death(self) -> str:
        self.process.join(5)
        code = self.process.exitcode
        if code is not None and code < 0:
            cause = f"killed by {signal.Signals(-code).name}"
        else:
            cause = f"the process ended with status {code}"
        words = self.last_words()
        return f"{cause}; it last wrote: {words}" if words else cause

    def end(self) -> None:
        """End the process and what it started; remove its log."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.connection.close()
        self.log.unlink(missing_ok=True)


def run_cases(
    cases: list[Case],
    engine_name: str,
    jobs: int,
    threads: int,
    timeout: float,
    on_result: Callable[[Case, Verdict], None],
) -> None:
    """Judge every case; `on_result` is called once for each, in the order in which they end."""
    waiting = list(range(len(cases)))[::-1]
    workers = [Worker(cases, engine_name, threads) for _ in range(min(jobs, len(cases)))]
    try:
        while workers:
            wait([worker.connection for worker in workers], timeout=POLL_SECONDS)
            for position, worker in enumerate(list(workers)):
                index, verdict = poll(worker)
                if index is None:
                    continue
                lost = verdict is not None and not worker.process.is_alive()
                if verdict is not None:
                    on_result(cases[index], verdict)
                if lost:
                    worker.end()
                    workers[position] = Worker(cases, engine_name, threads)
                elif waiting:
                    worker.give(waiting.pop(), timeout)
                else:
                    worker.busy_with = READY
            if not waiting and all(worker.busy_with in (None, READY) for worker in workers):
                break
    finally:
        for worker in workers:
            worker.end()


def poll(worker: Worker) -> tuple[int | None, Verdict | None]:
    """(None, None): nothing new. (READY, None): it can take a case. (index, verdict): a case is over."""
    if worker.busy_with == READY:
        return None, None
    if worker.connection.poll():
        try:
            index, answer = worker.connection.recv()
        except (EOFError, ConnectionError):
            return died(worker)
        if index == READY and answer:
            raise StartError(answer)
        return (READY, None) if index == READY else (index, answer)
    if time.monotonic() > worker.deadline:
        if worker.busy_with is None:
            raise StartError(f"the engine did not start within {START_SECONDS:.0f} s")
        worker.process.kill()
        worker.process.join()
        return worker.busy_with, Verdict(HUNG, "no answer within the time-out")
    return None, None


def died(worker: Worker) -> tuple[int, Verdict]:
    cause = worker.cause_of_death()
    if worker.busy_with is None:
        raise StartError(f"the engine could not start: {cause}")
    return worker.busy_with, Verdict(CRASHED, cause)
