"""At which opset are the graphs inside Fusewright?

At one, so that passes and operations know one form of each operator. It is the newest that other runtimes
accept (onnxruntime refuses opsets that are not released yet), so that they can run the graph after every pass.
A model that already declares a newer one keeps it: nothing can convert downwards without loss.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

OPSET = min(26, onnx.defs.onnx_opset_version())
"""The opset of the default domain that older models are converted to."""

OLDEST_OPSET = 6
"""Older operators name the memory that they may overwrite, and are in no exporter's output since 2017."""


def opset_of(model: ir.Model) -> int:
    """The version of the default domain that `model` imports (OPSET when it uses none of its operators)."""
    imports = model.graph.opset_imports
    return int(imports.get("", imports.get("ai.onnx", OPSET)))


def ir_version_for(opset: int) -> int:
    """The oldest ONNX IR version that may hold `opset`."""
    version: int = onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)])
    return version
