"""What is said of one model of the zoo: its name, its source, its shapes, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Shapes = dict[str, list[int]]
Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


@dataclass(frozen=True)
class Entry:
    """One model. `make(wheels)` returns the serialised ONNX file and a set of inputs with the default shapes;
    `wheels` is the folder that keeps downloaded packages."""

    name: str
    source: str
    shapes: Shapes
    make: Callable[[Path], tuple[bytes, Arrays]]
    extra_shapes: list[Shapes] = field(default_factory=list)
