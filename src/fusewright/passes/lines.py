"""Along which loops of its kernel does each dimension of a value run? What may join a group without changing its loops.

Loops have the extents of what the group's anchor computes, or reads where it reduces: then a value has an element for
each step (full), or one for each row (the reduced dimensions are gone, or 1).
"""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]
Line = tuple[int, ...]


@dataclass(frozen=True)
class Loops:
    """`full` extents; `reduced` dimensions of them (none where nothing is reduced)."""

    full: Shape
    reduced: frozenset[int] = frozenset()

    @property
    def reduces(self) -> bool:
        return bool(self.reduced)

    def line(self, shape: Shape) -> Line | None:
        """The loops that the dimensions of a result (without those of extent 1) run along, None if it has others."""
        if not self.reduces:
            return self.moving if shape == self.full else None
        extents = [d for d in shape if d != 1]
        kept = tuple(d for d in self.moving if d not in self.reduced)
        for dims in (kept, self.moving):
            if extents == [self.full[d] for d in dims]:
                return dims
        return None

    @property
    def moving(self) -> Line:
        return tuple(d for d, extent in enumerate(self.full) if extent != 1)

    def clash(self, result: Shape, operand: Shape) -> bool:
        """Whether broadcasting runs a dimension of an operand made inside along another loop than in the result."""
        line, own = self.line(result), self.line(operand)
        if line is None or own is None:
            return True
        along = dict(zip((d for d, extent in enumerate(result) if extent != 1), line, strict=True))
        shift = len(result) - len(operand)
        places = [d for d, extent in enumerate(operand) if extent != 1]
        return any(along.get(place + shift) != loop for place, loop in zip(places, own, strict=True))


def broadcasts_to(shape: Shape, full: Shape) -> bool:
    """Whether a tensor of `shape` is a smaller operand of the loops over `full`."""
    tail = full[len(full) - len(shape) :] if len(shape) <= len(full) else ()
    return len(tail) == len(shape) and all(d in (1, e) for d, e in zip(shape, tail, strict=True))
