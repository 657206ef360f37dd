"""Fusewright: a graph optimiser and fusion compiler for neural networks."""

from fusewright.compiler import compile
from fusewright.session import Session
from fusewright.store import load

__all__ = ["Session", "compile", "load"]
