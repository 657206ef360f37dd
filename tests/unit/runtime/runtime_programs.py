"""Kernels small enough to check by hand, and programs of them."""

from __future__ import annotations

import numpy as np

from fusewright.plan.program import Call, Port, Program, Ref, Space

# Each unit reads its right neighbour, so a thread that starts a call too early reads an old value.
SHIFT = """void shift(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const uint64_t *a = p[0], *w = p[1];
    uint64_t *c = p[2];
    for (int64_t u = lo; u < hi; u++) c[u] = a[(u + 1) % n[0]] * 3 + w[u] + n[1];
}"""
# Writes all its scratch, then reads it: wrong as soon as two threads share scratch.
FOLD = """void fold(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const int64_t *a = p[0];
    int64_t *c = p[1], *s = (int64_t *)scratch;
    for (int64_t u = lo; u < hi; u++) {
        for (int64_t j = 0; j < n[0]; j++) s[j] = a[u] ^ j;
        int64_t sum = 0;
        for (int64_t j = 0; j < n[0]; j++) sum += s[j];
        c[u] = sum;
    }
}"""
# Writes its scratch once a call, in its first part, and reads it in every part: wrong where what a kernel keeps is not
# 0 at first, is that of another call or thread, or where the scratch does not last.
KEEP = """void keep(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const int64_t *a = p[0];
    int64_t *c = p[1], *s = (int64_t *)scratch, *kept = (int64_t *)(scratch - 128);
    if (!kept[15]) s[7] = n[0];
    for (int64_t u = lo; u < hi; u++) c[u] = a[u] * 5 + s[7] + (kept[15] < 0);
    kept[15] += hi - lo;
}"""
# Unit 0 is done when the second half of what its thread begins with is: others have to do that.
WAIT = """#include <time.h>
void wait(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    volatile int64_t *c = p[0];
    time_t start = time(0);
    for (int64_t u = lo; u < hi; u++) {
        for (int64_t v = n[0] / 4; u == 0 && v < n[0] / 2; v++)
            while (!c[v] && time(0) - start < 20) {}
        c[u] = u || c[n[0] / 2 - 1] ? 1 : -1;
    }
}"""
# Each unit adds up two of what the turn before made, so a thread that begins a turn too early adds old values.
TURN = """void turn(void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch) {
    const int64_t units = n[0], turn = lo / units, first = turn * units;
    const uint64_t *a = (const uint64_t *)p[turn == 0 ? 0 : 1] + (turn ? turn % 2 * units : 0);
    uint64_t *c = turn == n[1] - 1 ? p[2] : (uint64_t *)p[1] + (turn + 1) % 2 * units;
    for (int64_t u = lo - first; u < hi - first; u++) c[u] = a[u] + a[(u + units / 2) % units] * (turn + 2);
}"""
SOURCES = {"shift": SHIFT, "fold": FOLD, "keep": KEEP, "wait": WAIT, "turn": TURN}

UNITS = 96
FOLDED = 50  # elements of scratch that `fold` uses


def chain(steps: int, threads: int, units: int = UNITS) -> Program:
    """x -> shift, fold, shift, ... -> y, with every number of shares from 1 to `threads`."""
    size = units * 8
    calls = []
    for step in range(steps):
        shares = step % threads + 1
        source = Ref(Space.INPUT, 0, 0) if step == 0 else Ref(Space.ARENA, (step % 2) * size)
        target = Ref(Space.OUTPUT, 0, 0) if step == steps - 1 else Ref(Space.ARENA, ((step + 1) % 2) * size)
        if step % 3 == 1:
            calls.append(Call(1, (source, target), (FOLDED,), units, shares, FOLDED * 8))
        else:
            calls.append(Call(0, (source, Ref(Space.WEIGHTS, 0), target), (units, step), units, shares, 0))
    port = (units,)
    return Program(
        (Port("x", "int64", port),), (Port("y", "int64", port),), ("shift", "fold"), tuple(calls),
        2 * size, FOLDED * 8, threads,
    )  # fmt: skip


def keeping(steps: int, threads: int) -> Program:
    """x -> keep, keep, ... -> y."""
    size = UNITS * 8
    between = [Ref(Space.ARENA, i % 2 * size) for i in range(steps - 1)]
    places = [Ref(Space.INPUT, 0, 0), *between, Ref(Space.OUTPUT, 0, 0)]
    calls = tuple(Call(0, (places[i], places[i + 1]), (i,), UNITS, threads, 64) for i in range(steps))
    ports = (Port("x", "int64", (UNITS,)),), (Port("y", "int64", (UNITS,)),)
    return Program(*ports, ("keep",), calls, 2 * size, 64, threads)


def waiting(threads: int) -> Program:
    """One call, whose first unit waits for others."""
    call = Call(0, (Ref(Space.OUTPUT, 0, 0),), (UNITS,), UNITS, threads, 0)
    return Program((), (Port("y", "int64", (UNITS,)),), ("wait",), (call,), 0, 0, threads)


def turning(turns: int, threads: int) -> Program:
    """x -> one call of `turn` in many turns -> y."""
    size = UNITS * 8
    refs = (Ref(Space.INPUT, 0, 0), Ref(Space.ARENA, 0), Ref(Space.OUTPUT, 0, 0))
    call = Call(0, refs, (UNITS, turns), UNITS, threads, 0, turns)
    ports = (Port("x", "int64", (UNITS,)),), (Port("y", "int64", (UNITS,)),)
    return Program(*ports, ("turn",), (call,), 2 * size, 0, threads)


def chain_result(x: np.ndarray, weights: np.ndarray, steps: int) -> np.ndarray:
    """What `chain` computes, in NumPy."""
    j = np.arange(FOLDED)
    with np.errstate(over="ignore"):
        for step in range(steps):
            x = (x[:, None] ^ j).sum(1) if step % 3 == 1 else np.roll(x, -1) * 3 + weights[: len(x)] + step
    return x


def aligned(values: np.ndarray) -> np.ndarray:
    """The same values at an address that weights must have."""
    memory = np.empty(values.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    result = memory[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    result[...] = values
    return result
