"""How does a program run on arrays? Everything is laid out once; a run hands pointers to C."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Mapping, Sequence

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

_WHY = {
    1: "it is not a program of this version",
    2: "a number of its header makes no sense",
    3: "its length differs from its header",
    4: "a buffer lies outside the arena, the weights, the inputs or the outputs",
    5: "its list of caller's arrays is wrong",
    6: "its calls end in the wrong place",
    7: "a call has no kernel, negative units, or more shares than threads",
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
        calls += (call.kernel, call.units, call.shares, first, len(call.refs), len(call.args), *call.args)
    header = [
        *(MAGIC, ABI, HEADER_WORDS + len(slots) + len(patches) + len(calls), len(program.kernels)),
        *(len(program.calls), len(program.inputs), len(program.outputs), number, len(patches)),
        *(_aligned(program.arena_bytes), _aligned(program.scratch_bytes), program.threads),
    ]
    header += [0] * (HEADER_WORDS - len(header))
    return array("q", (*header, *slots, *patches, *calls))


def _aligned(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


class _Context:
    """What one run in flight needs for itself: arena, scratch, pointer table, and two lists of pointers."""

    def __init__(self, size: int, inputs: int, outputs: int) -> None:
        # A mapping of its own: the system takes it back whole, and after a fork parent and child go on with their own.
        self._memory = private_memory(size)
        self._view = np.frombuffer(self._memory, np.uint8)
        self.address: int = self._view.ctypes.data
        self.inputs = (ctypes.c_void_p * inputs)()
        self.outputs = (ctypes.c_void_p * outputs)()


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
        self._pool = pool
        self._runtime = runtime().handle
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
        self._free: list[_Context] = []
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
        self._run(inputs, outputs, None)

    def profile(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> list[int]:
        """Like `run`; returns the nanoseconds that each call took."""
        times = (ctypes.c_int64 * len(self.program.calls))()
        self._run(inputs, outputs, ctypes.addressof(times))
        return list(times)

    def profile_shares(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> list[Share]:
        """Like `run`; tells what each thread did when. Raises BuildError when that needs a compiler and has none."""
        if self._clock is None:
            self._clock = ShareClock(self.program, [int(k or 0) for k in self._kernels])
        return self._run(inputs, outputs, None, self._clock)

    def close(self) -> None:
        """Give the memory back; runs in flight finish, new ones are refused."""
        self._closed = True
        self._free.clear()

    def _run(
        self,
        inputs: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray],
        times: int | None,
        clock: ShareClock | None = None,
    ) -> list[Share]:
        if self._closed:
            raise InternalError("a run of an executor that is closed")
        try:
            context = self._free.pop()
        except IndexError:
            context = self._new_context()
        try:
            _fill(context.inputs, inputs, self._input_bytes, "input")
            _fill(context.outputs, outputs, self._output_bytes, "output")
            arrays = (context.inputs, context.outputs, context.address, self._pool.address(), times)
            if clock is None:
                self._runtime.fw_run(self._words_address, self._kernels, *arrays)
                return []
            table = context.address + self._table
            return clock.time(table, lambda: self._runtime.fw_run(self._words_address, clock.kernels, *arrays))
        finally:
            if not self._closed:
                self._free.append(context)

    def _new_context(self) -> _Context:
        context = _Context(self._bytes, len(self.program.inputs), len(self.program.outputs))
        self._runtime.fw_prepare(self._words_address, context.address, self._weights.ctypes.data)
        return context


def _port_bytes(dtype: str, shape: Sequence[int]) -> int:
    size = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
    for extent in shape:
        size *= extent
    return size


def _fill(
    pointers: ctypes.Array[ctypes.c_void_p], arrays: Sequence[np.ndarray], sizes: Sequence[int], what: str
) -> None:
    if len(arrays) != len(sizes):
        raise InternalError(f"the program has {len(sizes)} {what}s, the caller gave {len(arrays)}")
    for i, each in enumerate(arrays):
        flags = each.flags
        if each.nbytes != sizes[i] or not flags.c_contiguous:
            raise InternalError(f"{what} {i}: expected {sizes[i]} bytes without gaps, got {each.nbytes} {each.shape}")
        if flags.writeable:
            pointers[i] = _address(each)
        elif what == "output":
            raise InternalError(f"output {i} is read-only")
        else:
            pointers[i] = each.ctypes.data


def _address(array: np.ndarray) -> int:
    """As `array.ctypes.data`, which runs much Python; the buffer protocol knows neither empty arrays nor bfloat16."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]  # it is a Buffer
    except ValueError:
        address: int = array.ctypes.data
        return address
