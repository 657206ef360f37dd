"""Fusewright: a graph optimiser and fusion compiler for neural networks."""

from fusewright.compiler import compile
from fusewright.runtime.session import Session

__all__ = ["Session", "compile"]
