"""What is there to say of a compiled model? Plain data: `inspect` prints it, `--json` dumps it, tests read.

Filled by `Session.describe`; holds nothing but names, numbers and reasons, so that an artifact can store it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Extent = int | str | None
"""One extent of a shape: a number, the name of an open dimension, or None for an open one without a name."""


@dataclass(frozen=True)
class PortInfo:
    """An input or output of the model as the user sees it."""

    name: str
    dtype: str
    shape: tuple[Extent, ...]


@dataclass(frozen=True)
class NodeInfo:
    """An original node that a kernel computes: its name in the model file (or "") and its operation."""

    name: str
    op_type: str


@dataclass(frozen=True)
class KernelInfo:
    """One kernel of the program, in the order of execution.

    `title` is what a person reads ("conv_relu_add 1x64x56x56"); `symbol` is the C function; `calls` is how
    many call records of the program belong to it. The rest is for one run, all its calls together: `flop` is
    the arithmetic (a multiply-add is two); the bytes are those it reads (`bytes_in` activations,
    `bytes_weights`) and writes (`bytes_out`); `scratch` is bytes per thread, `shares` the number of threads
    that take part. `work` estimates the operations of each of `nodes`; `way` names the chosen schedule where there
    were several, and `cycles` what it was predicted to take on one thread (None where nothing was predicted).
    """

    index: int
    title: str
    symbol: str
    nodes: tuple[NodeInfo, ...]
    calls: int = 1
    flop: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    bytes_weights: int = 0
    scratch: int = 0
    shares: int = 1
    work: tuple[int, ...] = ()
    way: str = ""
    cycles: float | None = None


@dataclass(frozen=True)
class AbsentNode:
    """A node of the model that no kernel computes: a view, folded, or taken over by a rewrite."""

    name: str
    op_type: str
    reason: str


@dataclass(frozen=True)
class MemoryInfo:
    """Bytes. `arena` is all intermediate tensors of one run at their offsets; `peak` is weights + arena +
    scratch of all threads: what a session holds beside the caller's arrays."""

    arena: int
    weights: int
    peak: int


@dataclass(frozen=True)
class Decision:
    """A choice made or refused, recorded where it was taken: `what` ("fuse add into conv"), `where` (node
    names or a kernel's title), the reason in words, and `by` which pass."""

    made: bool
    what: str
    where: str
    reason: str
    by: str = ""


@dataclass(frozen=True)
class Description:
    """All of it. `shapes` are the input shapes that the kernels and the memory are shown for; with an open
    dimension unbound, `kernels` is empty and `memory` is None, and the rest still holds."""

    model: str
    target: str
    threads: int
    inputs: tuple[PortInfo, ...]
    outputs: tuple[PortInfo, ...]
    kernels: tuple[KernelInfo, ...] = ()
    memory: MemoryInfo | None = None
    decisions: tuple[Decision, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] | None = None
    absent: tuple[AbsentNode, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The same as JSON-ready dicts, lists, strings and numbers."""
        return asdict(self)


def description_from_json(data: Mapping[str, Any]) -> Description:
    """The inverse of `Description.to_json`. Raises KeyError or TypeError where something is missing."""

    def ports(rows: Any) -> tuple[PortInfo, ...]:
        return tuple(PortInfo(r["name"], r["dtype"], tuple(r["shape"])) for r in rows)

    kernels = tuple(
        KernelInfo(
            **{**row, "nodes": tuple(NodeInfo(**node) for node in row["nodes"]), "work": tuple(row.get("work", ()))}
        )
        for row in data["kernels"]
    )
    return Description(
        model=data["model"],
        target=data["target"],
        threads=data["threads"],
        inputs=ports(data["inputs"]),
        outputs=ports(data["outputs"]),
        kernels=kernels,
        memory=None if data["memory"] is None else MemoryInfo(**data["memory"]),
        decisions=tuple(Decision(**row) for row in data["decisions"]),
        shapes=None if data["shapes"] is None else {n: tuple(s) for n, s in data["shapes"].items()},
        absent=tuple(AbsentNode(**row) for row in data.get("absent", ())),
    )
