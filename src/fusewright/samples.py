"""Which arrays does a model run on when the user gives none? Random ones, valid for it, the same each time.

Floats are standard normal. Booleans are either value, 8-bit integers any value. Wider integers are 0 or 1
(valid as a mask, as a token type and as an index of almost any table), except where the graph shows that an
input indexes rows of a table (a word embedding): then any row. Each input has a random stream of its own, so
that its values do not depend on which others the user gave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import ml_dtypes  # noqa: F401  (gives NumPy the names bfloat16, float8_*, int4, ...)
import numpy as np
import onnx_ir as ir

from fusewright.errors import ShapeError, UnsupportedError

Extent = int | str | None

# Operations that hand integers on unchanged, so that what indexes a table can be followed back to an input.
_HANDS_ON = frozenset("Identity Cast Reshape Squeeze Unsqueeze Flatten Expand Transpose".split())


class PortLike(Protocol):
    """An input of a model: of a session, a description or a graph."""

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> Sequence[Extent]: ...


def random_inputs(
    ports: Sequence[PortLike],
    shapes: Mapping[str, Sequence[int]],
    seed: int = 0,
    rows: Mapping[str, int] | None = None,
) -> dict[str, np.ndarray]:
    """One array for each port, of the shape given for its name; `rows` (see `table_rows`) bounds indices."""
    rows = rows or {}
    feed = {}
    for position, port in enumerate(ports):
        if port.name not in shapes:
            raise ShapeError(f"no shape is known for input '{port.name}': give it one with --shape")
        random = np.random.default_rng([seed, position])
        feed[port.name] = _random(random, port, tuple(shapes[port.name]), rows.get(port.name, 2))
    return feed


def _random(random: np.random.Generator, port: PortLike, shape: tuple[int, ...], high: int) -> np.ndarray:
    if port.dtype in ("string", "object", "str"):
        raise UnsupportedError(
            f"input '{port.name}' holds strings, for which no random values can be made: give it with --input"
        )
    dtype = np.dtype(port.dtype)
    if dtype == np.bool_:
        return random.integers(0, 2, shape).astype(np.bool_)
    if dtype in (np.int8, np.uint8):
        info = np.iinfo(dtype)
        return random.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    if dtype.kind in "iu" or dtype.name in ("int4", "uint4", "int2", "uint2"):
        return random.integers(0, high, shape).astype(dtype)
    if dtype.kind == "c":
        return (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(dtype)
    return random.standard_normal(shape, dtype=np.float32).astype(dtype)


def table_rows(model: ir.Model) -> dict[str, int]:
    """For each input that indexes rows of constant tables: how many rows the smallest of them has."""
    rows: dict[str, int] = {}
    for graph_input in model.graph.inputs:
        found = _rows_behind(graph_input, set())
        if found and graph_input.name is not None:
            rows[graph_input.name] = min(found)
    return rows


def _rows_behind(value: ir.Value, seen: set[ir.Value]) -> list[int]:
    """Row counts of the tables that `value` indexes, itself or through operations that hand it on."""
    if value in seen:
        return []
    seen.add(value)
    rows: list[int] = []
    for node, position in value.uses():
        if node.op_type == "Gather" and position == 1:
            table, axis = node.inputs[0], node.attributes.get_int("axis", 0)
            if table is not None and table.is_initializer() and table.shape is not None:
                extent = table.shape[axis]
                if isinstance(extent, int) and extent > 0:
                    rows.append(extent)
        elif node.op_type in _HANDS_ON and position == 0:
            rows += _rows_behind(node.outputs[0], seen)
    return rows
