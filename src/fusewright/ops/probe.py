"""What does one use of an elementwise operation cost, and has it a vector form? Found by tracing its declaration."""

from __future__ import annotations

from dataclasses import dataclass

from fusewright.kernel.expr import Const, Expr, Load, Op, Var, children, index
from fusewright.kernel.tensor import Index, Source, Tensor
from fusewright.kernel.vectorize import vectorizable
from fusewright.ops.apply import apply
from fusewright.ops.opdef import OpDef, Site

SIMPLE = frozenset(
    {
        "add", "sub", "mul", "fma", "max", "min", "neg", "abs", "sign", "cast", "select", "lt", "le", "gt", "ge", "eq",
        "ne", "and", "or", "xor", "not", "isnan", "isinf", "bitand", "bitor", "bitxor", "bitnot", "shl", "shr", "sqrt",
        "floor", "ceil", "trunc", "round", "copysign",
    }
)  # fmt: skip
HARD = 10  # what an exponential, a division or a power counts for, beside an addition


@dataclass(frozen=True)
class Work:
    """`cost` of one element in additions; `vector` tells whether all of it has a vector form."""

    cost: int
    vector: bool


def elementwise_work(definition: OpDef, site: Site) -> Work:
    """The work of one element of an ELEMENTWISE operation."""
    if definition.lower is None:
        return Work(HARD, False)
    inputs: list[Tensor | None] = []
    for i, known in enumerate(site.inputs):
        inputs.append(None if known is None or i in definition.constants else _operand(*known))
    values = [t.at(tuple(index(0) for _ in t.shape)) for t in apply(definition, site, inputs)]
    return Work(_cost(values), all(vectorizable(v) for v in values))


def _operand(dtype: str, shape: tuple[int, ...]) -> Tensor:
    tensor = Source(shape, dtype)
    element = Var(dtype, False, "x")

    def read(idx: Index) -> Expr:
        return element

    tensor.bound = read
    return tensor


def _cost(roots: list[Expr]) -> int:
    seen: set[int] = set()
    stack, total = list(roots), 0
    while stack:
        e = stack.pop()
        if id(e) in seen or isinstance(e, (Const, Load, Var)):
            continue
        seen.add(id(e))
        if isinstance(e, Op):
            total += 1 if e.name in SIMPLE else HARD
        stack += children(e)
    return total
