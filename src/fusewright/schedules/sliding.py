"""What is slid over what? The parts of a windowed computation that `window.emit_window` emits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fusewright.kernel.expr import Buffer, Expr, Load, Op, Var
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Index, Tensor
from fusewright.kernel.vectorize import LANE, Vectorizer
from fusewright.schedules.epilogue import Results
from fusewright.schedules.task import Task

TILE_PIXELS = 8  # independent accumulators that hide the latency of a multiply-add
EVEN_ROWS = 16  # rows a thread, from which on one row more for some threads does not matter
NEAR_SHARE = 0.6  # of the L1 cache that the rows of a window may fill, beside weights and results


@dataclass(frozen=True)
class Slide:
    """One spatial dimension: extents of input and output, and how the window slides."""

    size: int
    out: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    def first(self, o: int) -> int:
        """The input position of tap 0."""
        return o * self.stride - self.before

    def taps(self, o: int) -> tuple[int, ...]:
        """The taps that lie in the input."""
        return tuple(k for k in range(self.kernel) if 0 <= self.first(o) + k * self.dilation < self.size)

    @property
    def inside(self) -> tuple[int, int]:
        """The outputs [first, last) whose taps all lie in the input."""
        reach = (self.kernel - 1) * self.dilation
        low = min(-(-self.before // self.stride), self.out)
        high = (self.size - 1 - reach + self.before) // self.stride + 1
        return low, max(low, min(self.out, high))


@dataclass(eq=False)
class Lanes:
    """The channels of image `n` that one step computes: a vector of them from `first`, or (no `vectorize`) one."""

    n: Expr
    first: Expr
    vectorize: Vectorizer | None

    def channel(self) -> Expr:
        """A new node each time: values are remembered by the nodes of their index."""
        return self.first if self.vectorize is None else Op("i64", False, "add", (self.first, LANE))

    def load(self, buffer: Buffer, at: Expr, step: Expr) -> Expr:
        """`buffer[at + channel * step]`."""
        element = Load(buffer.dtype, False, buffer, at + self.channel() * step)
        return element if self.vectorize is None else self.vectorize(element)

    def spread(self, value: Expr) -> Expr:
        return value if self.vectorize is None or value.vec else Op(value.dtype, True, "splat", (value,))

    def fresh(self) -> Vectorizer | None:
        return None if self.vectorize is None else Vectorizer(self.vectorize.count)


@dataclass(eq=False)
class Rule:
    """What is done at each tap: `states` (dtype, start value) become `combine(states, input, weight, position)`.

    `position()` is the flat spatial position of the input. `finish(states, scale, lanes)` gives the anchors' values;
    `scale` is 1 / taps where `mean` is `inside` (taps in the input) or `padded` (taps in input and padding).
    `ask(kernel, lanes, tap)` asks for what the next block of channels reads for the row of taps from `tap` on.
    """

    states: Sequence[tuple[str, int | float]]
    combine: Callable[[Sequence[Var], Expr, Expr | None, Callable[[], Expr]], Sequence[Expr]]
    finish: Callable[[Sequence[Expr], Expr | None, Lanes], Sequence[Expr]]
    weight: Callable[[Lanes, Expr], Expr] | None = None
    ask: Callable[[Kernel, Lanes, Expr], None] | None = None
    mean: str = ""
    start: Callable[[Lanes], Expr] | None = None  # of the first state, if it varies along the channels
    columns_first: bool = False  # positions count down the columns (MaxPool's storage_order)


@dataclass(eq=False)
class Window:
    """One windowed computation. `strides` of the input, by logical dimension; `varies` tells that pads are not fixed.

    `block` is the number of channels in a unit of work (a multiple of the lanes; the whole where channels are open).
    """

    slides: list[Slide]
    batch: int
    channels: int
    channels_fixed: bool
    fixed: bool
    varies: bool
    source: Buffer
    strides: Sequence[int]
    rule: Rule
    anchors: Sequence[Tensor]
    results: Results
    vector: bool
    place: Callable[[Index], Index] | None = None  # where an index of the loops lies in the result, if elsewhere
    block: int = 1 << 30
    pixels: int = TILE_PIXELS
    origin: Expr | None = None  # where the input starts in `source`, if not at its first element


def channel_block(task: Task, slides: Sequence[Slide], batch: int, channels: int, element_bytes: int) -> int:
    """How many channels a unit takes: as many as let the rows that it reads stay near for the unit below it, and more
    where the threads would get uneven shares of the rows. Only where extents are fixed: the text shows it."""
    lanes = task.target.lanes
    rows, wide = batch, slides[-1].size * element_bytes
    for s in slides[:-1]:
        rows *= s.out
        wide *= min(s.kernel, s.size)
    near = int(NEAR_SHARE * task.target.l1_bytes) // max(wide, 1) // lanes * lanes
    most = near or max(lanes, task.target.l2_bytes // 2 // max(wide, 1) // lanes * lanes)
    blocks = -(-channels // most)
    vectors = -(-channels // lanes)
    if rows % task.threads and rows < EVEN_ROWS * task.threads and vectors >= task.threads:
        blocks = max(blocks, task.threads)
    return -(-vectors // blocks) * lanes
