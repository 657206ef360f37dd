"""Memory of large outputs is used again, and never while an array looks into it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fusewright as fw
from fusewright.graph.text import parse_model
from fusewright.runtime import outputs
from fusewright.runtime.outputs import KEPT, LARGE, maker

COUNT = LARGE // 4
FLOAT = np.dtype(np.float32)
WITHOUT_LOCK = sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)()
reuses = pytest.mark.skipif(WITHOUT_LOCK, reason="references are not counted exactly here")


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


@reuses
def test_memory_is_used_again() -> None:
    make = maker((2, COUNT), FLOAT)
    first = make()
    assert first.shape == (2, COUNT) and first.dtype == FLOAT and first.flags.writeable and first.flags.c_contiguous
    place = address(first)
    del first
    assert address(make()) == place


@reuses
@pytest.mark.parametrize(
    "look",
    [
        lambda array: array,
        lambda array: array[0, 5:9],
        lambda array: array.reshape(-1).view(np.uint8),
        lambda array: array.T,
        lambda array: memoryview(array),
        lambda array: array.base,
        lambda array: np.asarray(memoryview(array)),
        lambda array: np.lib.stride_tricks.sliding_window_view(array, 3, axis=1),
        lambda array: array.flat,
    ],
    ids=["itself", "slice", "bytes", "transposed", "buffer", "base", "array of buffer", "windows", "iterator"],
)
def test_memory_that_somebody_looks_into_is_not(look: Callable[[np.ndarray], Any]) -> None:
    make = maker((2, COUNT), FLOAT)
    array = make()
    array[:] = 7
    place, kept = address(array), look(array)
    del array
    others = [make() for _ in range(2 * KEPT)]
    assert place not in [address(other) for other in others] and len({address(other) for other in others}) == 2 * KEPT
    for other in others:
        other[:] = 3
    untouched = np.asarray(kept if not isinstance(kept, np.flatiter) else kept.base)
    assert untouched.tobytes()[:4] == np.float32(7).tobytes()


@reuses
def test_a_decoder_needs_two_pieces() -> None:
    """Each output is held while the next is made."""
    make = maker((COUNT,), FLOAT)
    last, places = make(), []
    for _ in range(6):
        last = make()
        places.append(address(last))
    assert len(set(places)) == 2


@pytest.mark.parametrize("dtype", ["float16", "bool", "int64", "float64", "bfloat16"])
def test_types(dtype: str) -> None:
    kind = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    array = maker((3, COUNT), kind)()
    assert array.dtype == kind and array.shape == (3, COUNT)
    array[:] = np.ones((), kind)
    assert np.all(array == np.ones((), kind))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 5), (1000,)])
def test_small_outputs_are_plain_arrays(shape: tuple[int, ...]) -> None:
    array = maker(shape, FLOAT)()
    assert array.shape == shape and array.base is None


def test_without_exact_counts_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert not outputs._counts() and maker((COUNT,), FLOAT)().base is None


def test_results_of_several_threads_stay_as_they_were() -> None:
    session = fw.compile(parse_model(f"g (float[{COUNT}] x) => (float[{COUNT}] y) {{ y = Neg(x) }}"), threads=1)
    wrong: list[float] = []

    def work(seed: int) -> None:
        held: list[tuple[float, np.ndarray]] = []
        for n in range(200):
            number = float(seed * 1000 + n)
            held.append((number, session.run(None, {"x": np.full(COUNT, number, np.float32)})[0]))
            if n % 3 == 0:
                number, result = held.pop(0)
                wrong.extend(float(v) for v in np.unique(result) if v != -number)
        for number, result in held:
            wrong.extend(float(v) for v in np.unique(result) if v != -number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong
