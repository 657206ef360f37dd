"""The register tile of a product of pairs (`schedules.paired`): another form of `schedules.tile`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fusewright.kernel.expr import Buffer, Expr, Load, Op, Var, const, index, known, minimum, select
from fusewright.kernel.loops import CallC, Kernel
from fusewright.schedules.pack import PIECE, STEPS
from fusewright.schedules.tile import Left, Right

EXTRA_ROWS = 2  # of a packed panel: what is subtracted, and the scales
EXTRA = 2  # elements of a row: what is subtracted, and its scale undone
FEWEST_AHEAD = 2  # rows of the next panel that a turn asks for


@dataclass(frozen=True)
class Behind:
    """What belongs to the rows of a block besides their steps: EXTRA elements of each, from `start` of `memory` on, and
    whether one of these rows has a scale that must be undone."""

    memory: Buffer
    start: Expr
    scaled: Expr


@dataclass(frozen=True)
class Strips:
    """Where the rows of a block lie: how many elements from a row of a strip to the next, from a piece of its steps
    along k to the next, and from a strip to the next.

    With `twins` the rows of a strip lie two by two in turns. What belongs to a row besides is where `behind` tells, or
    (None) behind its steps.
    """

    row: int
    piece: int
    strip: int
    twins: bool = False
    behind: Callable[[], Behind] | None = None

    def ahead(self, i: Expr, pairs: int, height: int) -> list[tuple[Expr, int]]:
        """What turn i (by twos) of a piece with so many pairs asks for of the next piece, which a tile of this height
        is to read: from where on, and how many elements."""
        if self.row <= PIECE:  # rows lie together
            part = -(-height * self.row // pairs)
            return [(i * part, 2 * part)]
        return [((i * height // pairs + r) * self.row, PIECE) for r in range(-(-2 * height // pairs))]


def staged_elements(k: int) -> int:
    """Elements of scratch for a row: whole pieces."""
    return -(-(k + EXTRA) // PIECE) * PIECE


def in_pieces(height: int, k: int, twins: bool = False) -> Strips:
    """Strips of so many rows, each of which has its pieces side by side."""
    return Strips(PIECE, height * PIECE, height * staged_elements(k), twins)


def rows_ahead(strips: int) -> int:
    """How many rows of the next panel a turn asks for, where so many strips pass a panel."""
    return max(FEWEST_AHEAD, -(-STEPS // strips))


@dataclass(frozen=True)
class _Lines:
    """The lines of a tile: each a row, or (`shared`) two rows that lie in turns and share a vector."""

    dtype: str
    left: Left
    k: int
    strips: Strips
    shared: bool
    extras: tuple[Buffer, Expr] | None  # of the first row, if not behind its steps

    @property
    def count(self) -> int:
        return -(-len(self.left.rows) // 2) if self.shared else len(self.left.rows)

    def at(self, line: int, first: Expr, i: Expr, u: int) -> Expr:
        """Step i + u of the piece that begins at `first`, spread over a vector."""
        left = self.left
        if self.shared:
            place = first + i * 2 + (2 * u + line * (2 * PIECE))
            return Load(self.dtype, True, left.buffer, left.base + place, repeat=2)
        if self.strips.twins:
            place = first + i * 2 + (2 * u + line // 2 * (2 * PIECE) + line % 2)
        else:
            place = first + i + u + left.rows[line]
        return self._spread(left.buffer, left.base + place)

    def step(self, line: int, i: int) -> Expr:
        """Step i along k."""
        return self.at(line, index(i // PIECE * self.strips.piece), index(0), i % PIECE)

    def extra(self, line: int, i: int) -> Expr:
        """What is subtracted from the results of a line (0), or what undoes its scale (1)."""
        if self.extras is None:
            return self.step(line, self.k + i)
        buffer, place = self.extras
        return self._spread(buffer, place + (line * EXTRA + i))

    def _spread(self, buffer: Buffer, place: Expr) -> Expr:
        return Op(self.dtype, True, "splat", (Load(self.dtype, False, buffer, place),))

    def rows_of(self, line: int, value: Expr) -> list[tuple[int, Expr]]:
        """The rows of a line, and what is theirs of its result."""
        if not self.shared:
            return [(line, value)]
        both = [(2 * line + r, Op(self.dtype, True, own, (value,))) for r, own in enumerate(("evens", "odds"))]
        return [(row, own) for row, own in both if row < len(self.left.rows)]


def _columns(kernel: Kernel, dtype: str, right: Right, row: Expr) -> Expr:
    """A row of the panel: one vector of columns."""
    return Load(dtype, True, right.buffer, right.base + row * kernel.lanes)


@dataclass(frozen=True)
class _Pieces:
    """The loops over the steps of a tile that are multiplied in pairs, where `strip` is the number of its strip."""

    kernel: Kernel
    lines: _Lines
    right: Right
    acc: list[Var]
    strip: Expr
    ahead: int

    def emit(self) -> None:
        kernel, strips = self.kernel, self.lines.strips
        whole, rest = divmod(self.lines.k, PIECE)
        partial_piece = rest >= STEPS
        if whole:
            with kernel.loop(whole, "piece") as p:
                first = kernel.let(p * strips.piece, "first")
                next_piece = first + strips.piece
                then = next_piece if partial_piece else select(p + 1 < whole, next_piece, strips.strip)
                self.piece(first, p * PIECE, PIECE // 3, kernel.let(then, "then"))
        if partial_piece:
            self.piece(index(whole * strips.piece), index(whole * PIECE), rest // STEPS * 2, index(strips.strip))

    def piece(self, first: Expr, row: Expr, pairs: int, then: Expr) -> None:
        """The steps of a piece that begins at `first`; their rows of the right side begin at `row`. The piece that
        follows is at `then`."""
        kernel, left, dtype, at = self.kernel, self.lines.left, self.lines.dtype, self.lines.at
        with kernel.loop(pairs, "i", step=2) as i:
            place = kernel.let(row + i * 3, "row")
            b = [kernel.let(_columns(kernel, dtype, self.right, place + u), f"b{u}") for u in range(STEPS)]
            self.ask(place)
            for start, elements in self.lines.strips.ahead(i, pairs, len(left.rows)):
                kernel.emit(CallC("fw_prefetch_l1_f32", (left.buffer, left.base + then + start, index(elements))))
            for m, c in enumerate(self.acc):
                for u in range(2):  # the single step last: else clang spills from 21 rows on
                    own, other, single = b[2 * u], b[2 * u + 1], b[4 + u]
                    one = kernel.let(at(m, first, i, u) + other, "s")
                    two = kernel.let(at(m, first, i, pairs + u) + own, "t")
                    kernel.assign(c, Op(dtype, True, "fma", (-one if u else one, two, c)))
                    kernel.assign(c, Op(dtype, True, "fma", (at(m, first, i, 2 * pairs + u), single, c)))

    def ask(self, place: Expr) -> None:
        """What the turn that reads the right side at `place` asks for of it."""
        k, lanes, right = self.lines.k, self.kernel.lanes, self.right
        panel = index(k + EXTRA_ROWS)
        turn = self.strip * (k // STEPS) + place // STEPS
        near, far = (place + PIECE, STEPS), (panel + minimum(turn * self.ahead, panel), self.ahead)
        for cache, (row, rows) in (("l1", near), ("l2", far)):
            args = (right.buffer, right.base + row * lanes, index(rows * lanes))
            self.kernel.emit(CallC(f"fw_prefetch_{cache}_f32", args))


def emit_pairs(
    strips: Strips,
    ahead: int,
    kernel: Kernel,
    dtype: str,
    vectors: int,
    left: Left,
    right: Right,
    finish: Callable[[int, int, Expr], None],
    unroll: int,
    strip: Expr | None = None,
) -> None:
    """A tile of balanced rows, which lie as `strips` tells, by one vector of columns: another form of `tile.emit_tile`.
    Rows that lie in turns share a vector of `few` columns.

    Weights that come from beyond the second cache would make the first strip wait: each turn asks for the rows of its
    panel that are a piece away, and for `ahead` rows of the next panel, which all strips together ask for. The rows
    behind those of k are asked for by themselves: few strips do not come so far, and a tile begins with them. The next
    piece of the left side is asked for too: a turn would miss all of its lines at once. `strip` is the number of the
    strip, if strips do not begin at the start of `left`.
    """
    k = known(left.k)
    if vectors != 1 or left.taps or k is None:
        raise ValueError(f"pairs come in tiles of one vector, not {vectors}, with k known and without taps")
    lanes, extras = kernel.lanes, None
    behind = None if strips.behind is None else strips.behind()
    if behind is not None:
        extras = behind.memory, kernel.let(behind.start + left.base // strips.row * EXTRA, "extra")
    lines = _Lines(dtype, left, k, strips, strips.twins and right.few, extras)

    strip = kernel.let(left.base // strips.strip if strip is None else strip, "strip")
    before = kernel.let(_columns(kernel, dtype, right, index(k)), "before")
    beyond = right.base + (k + EXTRA_ROWS + k) * lanes  # what the next panel is read for first: turns do not reach it
    kernel.emit(CallC("fw_prefetch_l2_f32", (right.buffer, beyond, index(EXTRA_ROWS * lanes))))
    acc = [kernel.mutable(before + lines.extra(m, 0), f"c{m}") for m in range(lines.count)]
    _Pieces(kernel, lines, right, acc, strip, ahead).emit()
    for i in range(k - k % STEPS, k):
        row = kernel.let(_columns(kernel, dtype, right, index(i)), "b")
        for m, c in enumerate(acc):
            kernel.assign(c, Op(dtype, True, "fma", (lines.step(m, i), row, c)))
    scales = kernel.let(_columns(kernel, dtype, right, index(k + 1)), "scales")
    for m, result in enumerate(_undo_scales(kernel, lines, acc, scales, behind)):
        y = kernel.let(result, f"y{m}")
        for r, own in lines.rows_of(m, y):
            finish(r, 0, own if own is y else kernel.let(own, f"y{r}"))


def _undo_scales(kernel: Kernel, lines: _Lines, acc: list[Var], scales: Expr, behind: Behind | None) -> list[Expr]:
    """The results of a tile, whose rows and columns had been scaled. Few blocks have rows that had: those of others
    are spared a multiplication for each vector."""

    def both(line: int) -> Expr:
        return acc[line] * (scales * lines.extra(line, 1))

    if behind is None:
        return [both(m) for m in range(lines.count)]
    left = kernel.mutable(scales, "left")
    with kernel.when(behind.scaled):
        for m, c in enumerate(acc):
            kernel.assign(c, both(m))
        kernel.assign(left, Op(lines.dtype, True, "splat", (const(1, lines.dtype),)))
    return [c * left for c in acc]
