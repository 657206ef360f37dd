"""What does fusion hand to the kernels? Groups of nodes, each of which becomes one kernel (or, as a view, none)."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from fusewright.errors import UnsupportedError

DTYPES = {
    ir.DataType.FLOAT: "f32", ir.DataType.DOUBLE: "f64", ir.DataType.FLOAT16: "f16", ir.DataType.BFLOAT16: "bf16",
    ir.DataType.INT8: "i8", ir.DataType.INT16: "i16", ir.DataType.INT32: "i32", ir.DataType.INT64: "i64",
    ir.DataType.UINT8: "u8", ir.DataType.UINT16: "u16", ir.DataType.UINT32: "u32", ir.DataType.UINT64: "u64",
    ir.DataType.BOOL: "bool",
}  # fmt: skip


@dataclass(eq=False)
class Group:
    """Nodes in execution order; `inputs` come from outside, `outputs` are used outside (or are graph outputs).

    `kind` is the kind of the node that decides how the group loops; `anchor` is that node. `schedule` names how a group
    loops that no one node decides.
    """

    index: int
    kind: str
    anchor: ir.Node
    nodes: list[ir.Node]
    inputs: list[ir.Value] = field(default_factory=list)
    outputs: list[ir.Value] = field(default_factory=list)
    schedule: str = ""

    @property
    def title(self) -> str:
        """What a person reads: the operations in order and the shape of the first output."""
        ops = "_".join(n.op_type.lower() for n in self.nodes[:6]) + (
            "_and_more" if len(self.nodes) > 6 else ""
        )
        return f"{ops} {'x'.join(map(str, shape_of(self.outputs[0])))}"


def shape_of(value: ir.Value) -> tuple[int, ...]:
    """The static shape; every value has one after `specialize`."""
    if value.shape is None:
        raise ValueError(f"value {value.name!r} has no shape")
    return value.shape.numpy()


def dtype_of(value: ir.Value) -> str:
    """The kernel dtype of a value, as in `kernel.expr`."""
    if value.dtype is None or value.dtype not in DTYPES:
        known = ", ".join(d.name.lower() for d in DTYPES)
        kind = value.dtype.name.lower() if value.dtype is not None else value.type
        raise UnsupportedError(f"value {value.name!r} is of type {kind}; Fusewright compiles {known}")
    return DTYPES[value.dtype]


def elements(shape: tuple[int, ...]) -> int:
    count = 1
    for d in shape:
        count *= d
    return count
