"""What is an operation to the compiler? Its meaning as a function on tensors, and how it behaves among others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

import numpy as np
import onnx

from fusewright.kernel.tensor import Tensor


class Kind(Enum):
    """The trait by which passes and schedules treat an operation; they never ask for its name."""

    ELEMENTWISE = "elementwise"  # each element from the broadcast elements of the inputs; fuses anywhere
    REDUCTION = (
        "reduction"  # reductions along axes, with elementwise work around them (Softmax, LayerNormalization)
    )
    MOVEMENT = "movement"  # each element is some element of an input (or a constant): index maps, gathers
    VIEW = "view"  # the same elements under other dimensions: no kernel where the memory's order allows it
    CONTRACTION = "contraction"  # sums of products: matmul, convolution
    WINDOW = "window"  # pooling: each channel by itself over a sliding window
    CUSTOM = "custom"  # a schedule of its own, no fusion


@dataclass(frozen=True)
class Site:
    """Where an operation is applied: its attributes (with the schema's defaults), outputs and inputs.

    `constants` holds the inputs that `OpDef.constants` demands, by position; `dtypes` as in `kernel.expr`;
    `inputs` the dtype and shape of each input, None for one that is left out.
    """

    op_type: str
    attributes: Mapping[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    constants: Mapping[int, np.ndarray] = field(default_factory=dict)
    inputs: tuple[tuple[str, tuple[int, ...]] | None, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first output."""
        return self.shapes[0]

    @property
    def dtype(self) -> str:
        return self.dtypes[0]

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute; when the node does not give it, the schema's default, else `default`."""
        if name in self.attributes:
            return self.attributes[name]
        return _schema_defaults(self.op_type).get(name, default)

    def ints(self, position: int) -> list[int] | None:
        """The integers of a constant input, None when it is left out."""
        array = self.constants.get(position)
        return None if array is None else [int(v) for v in np.asarray(array).reshape(-1)]


@lru_cache(maxsize=512)
def _schema_defaults(op_type: str) -> dict[str, Any]:
    """Defaults of the attributes of ONNX operations (models arrive at the newest opset)."""
    if not onnx.defs.has(op_type):
        return {}
    attributes = onnx.defs.get_schema(op_type).attributes
    made: dict[str, Any] = {}
    for name, attribute in attributes.items():
        if attribute.default_value.type != onnx.AttributeProto.UNDEFINED:
            value = onnx.helper.get_attribute_value(attribute.default_value)
            made[name] = value.decode() if isinstance(value, bytes) else value
    return made


Strides = tuple[int, ...]


@dataclass(frozen=True)
class Alias:
    """The memory of a view's result within its operand's: strides and offset in elements."""

    strides: Strides
    offset: int = 0


Lower = Callable[..., Tensor | tuple[Tensor, ...]]


@dataclass(frozen=True)
class OpDef:
    """One operation of ONNX.

    `lower(site, *inputs)` gives the output tensor (or a tuple of them); an absent optional input is None, a constant
    one (its position in `constants`) too: read it from `site.constants`. Kinds CONTRACTION, WINDOW and CUSTOM have no
    `lower`: a schedule knows them by `schedule`.
    VIEW operations say by `alias(site, shape, strides)` of their first operand where their result lies in its memory.
    MOVEMENT operations whose results are parts of their first operand say so by `windows(site, shape, strides)`: where
    each result lies in its memory, or None where this use is no such.
    `joins(site)` gives the axis along which the operation puts its operands side by side and does nothing else.
    `supports(site)` gives None, or the reason why this use is not supported.
    REDUCTION operations say by `axes(site)` which dimensions of their first operand they reduce.
    `permutes` tells that a VIEW only puts dimensions in another order (its attribute `perm`).
    `channels` tells that dimension 1 (or `axis`) holds channels: results of structured operations lie channels last in
    memory, and operands of elementwise operations run along it instead of broadcasting.
    `prologue(site)` gives None where the schedule computes elementwise work on its first operand itself, or the reason
    why it does not; operations without it never do.
    `softmax` tells that a REDUCTION gives exp(x) divided by its sum along its one axis, `mean` that it gives the mean.
    `row_means(site)` tells whether the schedule takes means along the last dimension of what it computes, if asked to.
    """

    name: str
    kind: Kind
    lower: Lower | None = None
    constants: tuple[int, ...] = ()
    schedule: str = ""
    supports: Callable[[Site], str | None] = lambda site: None
    alias: Callable[[Site, Sequence[int], Strides], Alias | None] | None = None
    windows: Callable[[Site, Sequence[int], Strides], tuple[Alias, ...] | None] | None = None
    joins: Callable[[Site], int] | None = None
    domain: str = ""
    axes: Callable[[Site], tuple[int, ...]] | None = None
    permutes: bool = False
    channels: bool = False
    prologue: Callable[[Site], str | None] | None = None
    softmax: bool = False
    mean: bool = False
    row_means: Callable[[Site], bool] | None = None
