"""How is a graph copied so that passes may change it, at the cost of its nodes and not of its weights?"""

from __future__ import annotations

import onnx_ir as ir


def shallow_copy(model: ir.Model) -> ir.Model:
    """A copy whose nodes, values and shapes are its own and whose weights are the same tensor objects."""
    copy: ir.Model = model.clone()
    return copy
