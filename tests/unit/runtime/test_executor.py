"""Does a program give the right numbers whatever the threads, the callers and the process?"""

from __future__ import annotations

import ctypes
import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from runtime_processes import Start
from runtime_programs import SOURCES, UNITS, aligned, chain, chain_result, keeping, turning, waiting

from fusewright.errors import InternalError, UserError
from fusewright.plan.program import Call, Port, Program, Ref, Space
from fusewright.runtime.build import build
from fusewright.runtime.executor import Executor, encode
from fusewright.runtime.native import runtime
from fusewright.runtime.pool import close_pools, pool
from fusewright.target import host

WEIGHTS = aligned(np.arange(UNITS, dtype=np.int64) * 7 - 100)


def executor(program: Program, threads: int) -> Executor:
    return Executor(program, build(SOURCES, host()).addresses, WEIGHTS, pool(threads))


@pytest.mark.parametrize("planned", [1, 2, 3, 7])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_any_number_of_threads_gives_the_same(planned: int, threads: int) -> None:
    runner = executor(chain(40, planned), threads)
    x = np.random.default_rng(1).integers(-(10**6), 10**6, UNITS)
    y = np.empty_like(x)
    for _ in range(5):
        y[:] = 0
        runner.run([x], [y])
        np.testing.assert_array_equal(y, chain_result(x, WEIGHTS, 40))


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_shares_are_timed_and_the_numbers_stay_right(threads: int) -> None:
    program = chain(12, 4)
    runner = executor(program, 4) if threads == 4 else executor(chain(12, threads), threads)
    x = np.random.default_rng(2).integers(-(10**6), 10**6, UNITS)
    for _ in range(3):
        y = np.zeros_like(x)
        shares = runner.profile_shares([x], [y])
        np.testing.assert_array_equal(y, chain_result(x, WEIGHTS, 12))
        counts = Counter(s.call for s in shares)
        assert set(counts) == set(range(12))
        for i, call in enumerate(runner.program.calls):
            assert len({s.thread for s in shares if s.call == i}) <= call.shares
            assert counts[i] == 1 or call.shares > 1
        assert {s.thread for s in shares} <= set(range(threads)) and any(s.thread == 0 for s in shares)
        ends = [max(s.end for s in shares if s.call == i) for i in counts]
        begins = [min(s.begin for s in shares if s.call == i) for i in counts]
        assert all(s.begin <= s.end for s in shares)
        assert all(end <= begin for end, begin in zip(sorted(ends), sorted(begins)[1:], strict=False))
        y[:] = 0
        runner.run([x], [y])  # not timed, and just as right
        np.testing.assert_array_equal(y, chain_result(x, WEIGHTS, 12))


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_what_is_kept_lasts_for_a_call_of_a_thread(threads: int) -> None:
    runner = executor(keeping(20, threads), threads)
    x = np.random.default_rng(3).integers(-(10**6), 10**6, UNITS)
    wanted = x
    for step in range(20):
        wanted = wanted * 5 + step
    for _ in range(20):
        y = np.zeros_like(x)
        runner.run([x], [y])
        np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_turn_begins_when_the_one_before_is_done(threads: int) -> None:
    turns = 300
    runner = executor(turning(turns, threads), threads)
    x = np.random.default_rng(4).integers(-(10**6), 10**6, UNITS)
    wanted = x
    with np.errstate(over="ignore"):
        for turn in range(turns):
            wanted = wanted + np.roll(wanted, UNITS // 2) * (turn + 2)
    for _ in range(20):
        y = np.zeros_like(x)
        runner.run([x], [y])
        np.testing.assert_array_equal(y, wanted)
    y[:] = 0
    shares = runner.profile_shares([x], [y])
    np.testing.assert_array_equal(y, wanted)
    assert len(shares) >= turns and {s.call for s in shares} == {0}
    assert len(runner.profile([x], [y])) == 1


@pytest.mark.parametrize("threads", [2, 3])
def test_others_do_what_a_thread_has_no_time_for(threads: int) -> None:
    y = np.zeros(UNITS, np.int64)
    executor(waiting(threads), threads).run([], [y])
    np.testing.assert_array_equal(y, 1)


def test_fewer_units_than_shares() -> None:
    program = chain(9, 4, units=2)
    x, y = np.array([5, 6]), np.zeros(2, np.int64)
    executor(program, 4).run([x], [y])
    np.testing.assert_array_equal(y, chain_result(x, WEIGHTS, 9))


def test_many_callers_share_executors_and_pools() -> None:
    runners = [executor(chain(30, 2), 2), executor(chain(30, 4), 4), executor(chain(30, 2), 2)]
    faults: list[str] = []

    def call(seed: int) -> None:
        random = np.random.default_rng(seed)
        y = np.empty(UNITS, np.int64)
        for turn in range(60):
            x = random.integers(-(10**6), 10**6, UNITS)
            runners[(seed + turn) % len(runners)].run([x], [y])
            if not np.array_equal(y, chain_result(x, WEIGHTS, 30)):
                faults.append(f"caller {seed}, turn {turn}")

    callers = [threading.Thread(target=call, args=(seed,)) for seed in range(6)]
    for each in callers:
        each.start()
    for each in callers:
        each.join(60)
    assert not any(each.is_alive() for each in callers), "a run hangs"
    assert faults == []


def test_memory_is_kept_for_the_next_run() -> None:
    runner = executor(chain(6, 2), 2)
    x, y = np.arange(UNITS), np.empty(UNITS, np.int64)
    runner.run([x], [y])
    kept = list(runner._free)
    for _ in range(10):
        runner.run([x], [y])
    assert len(kept) == 1 and runner._free == kept


def test_inputs_stay_as_they_are_and_may_be_read_only() -> None:
    x, y = np.arange(UNITS), np.empty(UNITS, np.int64)
    x.flags.writeable = False
    executor(chain(6, 2), 2).run([x], [y])
    np.testing.assert_array_equal(x, np.arange(UNITS))


def test_profile_gives_a_time_for_each_call() -> None:
    program = chain(12, 2)
    times = executor(program, 2).profile([np.arange(UNITS)], [np.empty(UNITS, np.int64)])
    assert len(times) == len(program.calls) and all(0 <= each < 10**9 for each in times)


def test_workers_that_sleep_wake_up() -> None:
    runner = executor(chain(12, 2), 2)
    x, y = np.arange(UNITS), np.empty(UNITS, np.int64)
    for _ in range(5):
        threading.Event().wait(0.02)  # far longer than workers spin
        runner.run([x], [y])
        np.testing.assert_array_equal(y, chain_result(x, WEIGHTS, 12))


def test_pools_restart_after_they_were_closed() -> None:
    runner = executor(chain(12, 3), 3)
    x, y = np.arange(UNITS), np.empty(UNITS, np.int64)
    for _ in range(3):
        runner.run([x], [y])
        close_pools()
    np.testing.assert_array_equal(y, chain_result(x, WEIGHTS, 12))


FORK = """
import os, signal, threading, numpy as np
from runtime_programs import *
from fusewright.runtime.build import build
from fusewright.runtime.executor import Executor
from fusewright.runtime.pool import pool
from fusewright.target import host
weights = aligned(np.arange(UNITS, dtype=np.int64))
runner = Executor(chain(20, 2), build(SOURCES, host()).addresses, weights, pool(2))
x = np.arange(UNITS)
def check():
    y = np.empty(UNITS, np.int64)
    for _ in range(20):
        runner.run([x], [y])
        assert np.array_equal(y, chain_result(x, weights, 20))
def fork():
    child = os.fork()
    if child == 0:
        signal.alarm(8)  # ends a child that waits for threads it has not
        try:
            check()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(child, 0)[1]
check()
statuses = [fork()]  # while the pool is idle; then while a run may hold it
stop = threading.Event()
busy = threading.Thread(target=lambda: [check() for _ in iter(stop.is_set, True)])
busy.start()
statuses += [fork() for _ in range(4)]
stop.set()
busy.join()
check()
print(statuses)
"""


def test_a_fork_runs_with_threads_of_its_own(start: Start) -> None:
    out, errors = start(FORK).communicate(timeout=60)
    assert out.strip() == "[0, 0, 0, 0, 0]", errors


def test_what_does_not_fit_is_refused() -> None:
    runner = executor(chain(3, 1), 1)
    x, y = np.arange(UNITS), np.empty(UNITS, np.int64)
    read_only = np.empty(UNITS, np.int64)
    read_only.flags.writeable = False
    for inputs, outputs in (
        ([], [y]), ([x, x], [y]), ([x[:-1]], [y]), ([np.arange(2 * UNITS)[::2]], [y]), ([x], [read_only]),
    ):  # fmt: skip
        with pytest.raises(InternalError):
            runner.run(inputs, outputs)
    runner.run([x], [y])
    runner.close()
    with pytest.raises(InternalError, match="closed"):
        runner.run([x], [y])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"refs": (Ref(Space.ARENA, 1 << 40), Ref(Space.ARENA, 0))}, "outside"),
        ({"refs": (Ref(Space.WEIGHTS, UNITS * 8 + 1), Ref(Space.ARENA, 0))}, "outside"),
        ({"refs": (Ref(Space.INPUT, 0, 1), Ref(Space.ARENA, 0))}, "outside"),
        ({"refs": (Ref(Space.ARENA, -8), Ref(Space.ARENA, 0))}, "outside"),
        ({"kernel": 2}, "no kernel"),
        ({"units": -1}, "negative"),
        ({"turns": 0}, "turns"),
        ({"turns": 1 << 45}, "turns"),
        ({"shares": 0}, "shares"),
        ({"shares": 3}, "shares"),
    ],
)
def test_a_program_that_cannot_run_is_refused(change: dict[str, object], why: str) -> None:
    program = chain(3, 2)
    bad = replace(program.calls[1], **change)  # type: ignore[arg-type]  # the test gives the fields by name
    with pytest.raises(InternalError, match=why):
        executor(replace(program, calls=(program.calls[0], bad, program.calls[2])), 2)


def test_words_that_were_cut_or_changed_are_refused() -> None:
    words = encode(chain(5, 2))
    address, count = words.buffer_info()
    check = runtime().handle.fw_check
    assert check(address, count, WEIGHTS.nbytes) == 0
    for shorter in range(count):
        assert check(address, shorter, WEIGHTS.nbytes) != 0
    for place in range(11):  # the header, up to the scratch bytes
        before = words[place]
        for value in (-1, before + 1, 1 << 62):
            words[place] = value
            accepted_anyway = check(address, count, WEIGHTS.nbytes) == 0
            # one more kernel, input or output than the calls name is no fault
            assert not accepted_anyway or (place in (3, 5, 6) and value == before + 1)
        words[place] = before


def test_a_program_without_inputs_calls_or_weights() -> None:
    program = Program((), (Port("y", "float32", (3,)),), (), (), 0, 0, 1)
    y = np.full(3, 7, np.float32)
    Executor(program, {}, memoryview(b""), pool(1)).run([], [y])
    np.testing.assert_array_equal(y, 7)


def test_scratch_and_arena_are_aligned() -> None:
    source = """void where(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
        for (int64_t u = lo; u < hi; u++) ((int64_t *)p[1])[u] = ((int64_t)p[0] | (int64_t)scratch) % 64;
    }"""
    call = Call(0, (Ref(Space.ARENA, 64), Ref(Space.OUTPUT, 0, 0)), (), 4, 4, 24)
    program = Program((), (Port("y", "int64", (4,)),), ("where",), (call,), 65, 24, 4)
    y = np.full(4, -1)
    Executor(program, build({"where": source}, host()).addresses, memoryview(b""), pool(4)).run([], [y])
    np.testing.assert_array_equal(y, 0)


def test_weights_at_an_odd_address_are_refused() -> None:
    memory = np.zeros(UNITS * 8 + 128, np.uint8)
    odd = memory[(-memory.ctypes.data % 64) + 8 :][: UNITS * 8]
    with pytest.raises(InternalError, match="aligned"):
        Executor(chain(2, 1), build(SOURCES, host()).addresses, odd, pool(1))


@pytest.mark.parametrize("threads", [0, -1, 10**6])
def test_a_number_of_threads_that_makes_no_sense(threads: int) -> None:
    with pytest.raises(UserError, match="threads"):
        pool(threads)


def test_one_pool_for_each_number_of_threads() -> None:
    assert pool(2) is pool(2)
    address = pool(3).address()
    assert address is not None
    assert runtime().handle.fw_pool_threads(ctypes.c_void_p(address)) == 3
    assert pool(1).address() is None
