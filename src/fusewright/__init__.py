"""Fusewright: a graph optimiser and fusion compiler for neural networks.

session = fusewright.compile("model.onnx")      # or fusewright.load("model.fw")
outputs = session(x)
"""

from typing import TYPE_CHECKING, Any

from fusewright.opening import load
from fusewright.session import Session

if TYPE_CHECKING:
    from fusewright.compiler import compile

__all__ = ["Session", "compile", "load"]


def __getattr__(name: str) -> Any:
    """`compile` is imported when it is first asked for: running a compiled file needs a tenth of the package."""
    if name == "compile":
        from fusewright.compiler import compile

        return compile
    raise AttributeError(f"module 'fusewright' has no attribute {name!r}")
