"""Can everything in this graph be compiled? If not, one error lists all that cannot, with node names."""

from __future__ import annotations

import difflib

import onnx_ir as ir

from fusewright.errors import UnsupportedError
from fusewright.graph.evaluate import RANDOM
from fusewright.graph.group import DTYPES
from fusewright.graph.site import make_site
from fusewright.ops.registry import OPS, find

LISTED = 12  # nodes named for each reason


def check_support(model: ir.Model) -> None:
    """Raise UnsupportedError naming every operation, dtype and use of an operation that has no kernel."""
    reasons: dict[str, list[str]] = {}
    for node in model.graph:
        reason = reason_against(node)
        if reason:
            reasons.setdefault(reason, []).append(node.name or f"(node that makes {node.outputs[0].name})")
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.dtype not in DTYPES:
            reasons.setdefault(f"values of type {value.dtype or value.type}", []).append(value.name or "")
    if not reasons:
        return
    lines = [
        f"  {reason}: {', '.join(names[:LISTED])}{f' and {len(names) - LISTED} more' if len(names) > LISTED else ''}"
        for reason, names in reasons.items()
    ]
    raise UnsupportedError("the model holds what Fusewright cannot compile yet:\n" + "\n".join(lines))


def reason_against(node: ir.Node) -> str | None:
    definition = find(node.domain, node.op_type)
    if definition is None and node.domain == "" and node.op_type in RANDOM:
        return f"operation {node.op_type}, whose random numbers no other run gives again"
    if definition is None:
        name = f"{node.domain}:{node.op_type}" if node.domain else node.op_type
        near = difflib.get_close_matches(node.op_type, [n for d, n in OPS if d == node.domain], 1, 0.8)
        return f"operation {name}" + (f" (did you mean {near[0]}?)" if near and not node.domain else "")
    for value in (*node.inputs, *node.outputs):
        if value is not None and value.name and value.dtype is not None and value.dtype not in DTYPES:
            return f"{node.op_type} on {value.dtype.name.lower()}"
    constants = {}
    for i in definition.constants:
        value = node.inputs[i] if i < len(node.inputs) else None
        if value is None:
            continue
        if value.const_value is None:
            return f"{node.op_type} whose input {i} is computed at run time"
        constants[i] = value.const_value.numpy()
    why = definition.supports(make_site(node, constants))
    return f"{node.op_type}: {why}" if why else None
