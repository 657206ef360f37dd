"""How does a program run on arrays? Everything is laid out once; a run hands pointers to C."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fusewright.errors import InternalError
from fusewright.plan.program import Program, Space
from fusewright.plan.weights import private_memory
from fusewright.runtime.native import ABI, runtime
from fusewright.runtime.pool import Pool
from fusewright.runtime.shares import Share, ShareClock

MAGIC = 0x474F525057465F46  # FW_MAGIC, FW_HEADER_WORDS, FW_KEPT_BYTES and FW_ALIGN of csrc/fw_runtime.h
HEADER_WORDS = 16
KEPT_BYTES = 128
ALIGN = 128
WEIGHT_ALIGN = 64

_addressof: Callable[[Any], int] = ctypes.addressof
_from_buffer: Callable[[Any], Any] = ctypes.c_char.from_buffer

_WHY = {
    1: "it is not a program of this version",
    2: "a number of its header makes no sense",
    3: "its length differs from its header",
    4: "a buffer lies outside the arena, the weights, the inputs or the outputs",
    5: "its list of caller's arrays is wrong",
    6: "its calls end in the wrong place",
    7: "a call has no kernel, negative units or turns, or more shares than threads",
    8: "a call's buffers are not in order",
}


def encode(program: Program) -> array[int]:
    """The program as the C runtime walks it: the words that csrc/fw_runtime.h documents."""
    slots: list[int] = []
    patches: list[int] = []
    calls: list[int] = []
    number = 0
    for call in program.calls:
        first = number
        for ref in call.refs:
            slots += (int(ref.space), ref.index, ref.offset)
            if ref.space in (Space.INPUT, Space.OUTPUT):
                patches.append(number)
            number += 1
        calls += (call.kernel, call.units, call.turns, call.shares, first, len(call.refs), len(call.args), *call.args)
    header = [
        *(MAGIC, ABI, HEADER_WORDS + len(slots) + len(patches) + len(calls), len(program.kernels)),
        *(len(program.calls), len(program.inputs), len(program.outputs), number, len(patches)),
        *(_aligned(program.arena_bytes), _aligned(program.scratch_bytes), program.threads),
    ]
    header += [0] * (HEADER_WORDS - len(header))
    return array("q", (*header, *slots, *patches, *calls))


def _aligned(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


class _FrameWords(ctypes.Structure):
    """fw_frame of csrc/fw_runtime.h."""

    _fields_ = tuple(
        (name, ctypes.c_void_p) for name in ("words", "kernels", "inputs", "outputs", "memory", "pool", "times")
    )


class _Frame:
    """What one run in flight needs for itself: the record that fw_run reads, the pointers of inputs and outputs, and
    memory for arena, scratch and pointer table."""

    def __init__(self, size: int, words: int, kernels: int, inputs: int, outputs: int) -> None:
        # A mapping of its own: the system takes it back whole, and after a fork parent and child go on with their own.
        self._view = np.frombuffer(private_memory(size), np.uint8)
        self.memory: int = self._view.ctypes.data
        self.arrays = (ctypes.c_void_p * (inputs + outputs))()
        first = ctypes.addressof(self.arrays)
        second = first + inputs * ctypes.sizeof(ctypes.c_void_p)
        self.words = _FrameWords(words, kernels, first, second, self.memory, None, None)
        self.address = ctypes.addressof(self.words)


class Executor:
    """Runs one program; safe from several threads at once.

    Each run in flight has an arena of its own, kept for the next run.
    """

    def __init__(
        self,
        program: Program,
        addresses: Mapping[str, int],
        weights: memoryview | np.ndarray,
        pool: Pool,
    ) -> None:
        self.program = program
        self._pool, self._threads = pool, pool.threads
        self._runtime = runtime().handle
        self._fw_run = self._runtime.fw_run
        self._weights = np.frombuffer(weights, np.uint8) if len(weights) else np.zeros(ALIGN, np.uint8)
        if len(weights) and self._weights.ctypes.data % WEIGHT_ALIGN:
            raise InternalError(f"weights must be aligned to {WEIGHT_ALIGN} bytes")
        self._words = encode(program)
        self._kernels = (ctypes.c_void_p * len(program.kernels))(*(addresses[k] for k in program.kernels))
        self._words_address, count = self._words.buffer_info()
        fault = self._runtime.fw_check(self._words_address, count, self._weights.nbytes)
        if fault:
            raise InternalError(f"the plan made a program that cannot run: {_WHY.get(fault, fault)}")
        self._bytes: int = self._runtime.fw_memory_bytes(self._words_address)
        self._input_bytes = [_port_bytes(port.dtype, port.shape) for port in program.inputs]
        self._output_bytes = [_port_bytes(port.dtype, port.shape) for port in program.outputs]
        # append and pop are atomic, so the list needs no lock, and a fork cannot leave one held.
        self._free: list[_Frame] = []
        self._closed = False
        thread_bytes = KEPT_BYTES + _aligned(program.scratch_bytes)
        self._table = _aligned(program.arena_bytes) + thread_bytes * program.threads
        self._clock: ShareClock | None = None

    @property
    def memory_bytes(self) -> int:
        """Bytes that each run in flight occupies besides inputs, outputs and weights."""
        return self._bytes

    def run(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Fill the outputs. Arrays must be C-contiguous, of the ports' dtypes and shapes."""
        self._check(inputs, outputs)
        self.run_unchecked(inputs, outputs)

    def run_unchecked(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Like `run`, of arrays that are known to be right: outside of the kernels the time goes to Python objects,
        which after a run come from memory, so this does all that it can in one function."""
        try:
            frame = self._free.pop()
        except IndexError:
            frame = self._take()
        try:
            arrays, i = frame.arrays, 0
            for each in (*inputs, *outputs):
                try:
                    arrays[i] = _addressof(_from_buffer(each))
                except (TypeError, ValueError):  # read-only, empty or bfloat16: what the buffer protocol cannot say
                    arrays[i] = each.ctypes.data
                i += 1
            if self._threads > 1:
                frame.words.pool = self._pool.address()  # another after a fork
            self._fw_run(frame.address)
        finally:
            if not self._closed:
                self._free.append(frame)

    def profile(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> list[int]:
        """Like `run`; returns the nanoseconds that each call took."""
        times = (ctypes.c_int64 * len(self.program.calls))()
        with self._special(inputs, outputs) as frame:
            frame.words.times = ctypes.addressof(times)
            self._fw_run(frame.address)
        return list(times)

    def profile_shares(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> list[Share]:
        """Like `run`; tells what each thread did when. Raises BuildError when that needs a compiler and has none."""
        if self._clock is None:
            self._clock = ShareClock(self.program, [int(k or 0) for k in self._kernels])
        with self._special(inputs, outputs) as frame:
            frame.words.kernels = ctypes.addressof(self._clock.kernels)
            return self._clock.time(frame.memory + self._table, lambda: self._fw_run(frame.address))

    def close(self) -> None:
        """Give the memory back; runs in flight finish, new ones are refused."""
        self._closed = True
        self._free.clear()

    def _check(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        for what, arrays, sizes in (("input", inputs, self._input_bytes), ("output", outputs, self._output_bytes)):
            if len(arrays) != len(sizes):
                raise InternalError(f"the program has {len(sizes)} {what}s, the caller gave {len(arrays)}")
            for i, (each, size) in enumerate(zip(arrays, sizes, strict=True)):
                if each.nbytes != size or not each.flags.c_contiguous:
                    found = f"{each.nbytes} {each.shape}"
                    raise InternalError(f"{what} {i}: expected {size} bytes without gaps, got {found}")
                if what == "output" and not each.flags.writeable:
                    raise InternalError(f"output {i} is read-only")

    @contextmanager
    def _special(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Iterator[_Frame]:
        """The frame of a run that is looked at; afterwards it is as it was."""
        self._check(inputs, outputs)
        frame = self._take()
        try:
            for i, each in enumerate((*inputs, *outputs)):
                frame.arrays[i] = each.ctypes.data
            frame.words.pool = self._pool.address()
            yield frame
        finally:
            frame.words.times, frame.words.kernels = None, ctypes.addressof(self._kernels)
            if not self._closed:
                self._free.append(frame)

    def _take(self) -> _Frame:
        """A frame that no other run uses."""
        if self._closed:
            raise InternalError("a run of an executor that is closed")
        try:
            return self._free.pop()
        except IndexError:
            pass
        kernels = ctypes.addressof(self._kernels)
        frame = _Frame(self._bytes, self._words_address, kernels, len(self._input_bytes), len(self._output_bytes))
        self._runtime.fw_prepare(self._words_address, frame.memory, self._weights.ctypes.data)
        return frame


def _port_bytes(dtype: str, shape: Sequence[int]) -> int:
    size = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
    for extent in shape:
        size *= extent
    return size
