"""In which other ways may a case of the suite be asked, with the same answer?

Each case is a small graph of its own. Within a network the same node reads what lies otherwise, and not all of its
results are read.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from .cases import Case, Data

Sets = list[tuple[dict[str, Data], list[Data]]]
Way = Callable[[onnx.ModelProto, Sets], tuple[onnx.ModelProto, Sets] | None]
MULTIPLIED = (
    onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16,
    onnx.TensorProto.INT32, onnx.TensorProto.INT64,
)  # fmt: skip


@dataclass(frozen=True)
class Otherwise(Case):
    """A case of the suite that is asked in another way."""

    model: onnx.ModelProto
    sets: Sets

    def load(self) -> tuple[onnx.ModelProto, Sets]:
        return self.model, self.sets


def asked(cases: Sequence[Case], name: str) -> list[Case]:
    """The cases that can be asked in the way of this name."""
    return [other for case in cases for other in _others(case, name)]


def _others(case: Case, name: str) -> Iterator[Case]:
    model, sets = case.load()
    for way in [_alone(k) for k in range(len(model.graph.output))] if name == "alone" else [SINGLE[name]]:
        made = way(copy.deepcopy(model), sets)
        if made is not None:
            yield Otherwise(case.name, case.test, *made)


def _tensors(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    weights = {tensor.name for tensor in model.graph.initializer}
    return [v for v in model.graph.input if v.name not in weights and v.type.HasField("tensor_type")]


def turned(model: onnx.ModelProto, sets: Sets) -> tuple[onnx.ModelProto, Sets] | None:
    """Inputs come with their dimensions in the opposite order, are multiplied by 1, and seen the right way round."""
    made, nodes = [(dict(inputs), outputs) for inputs, outputs in sets], list(model.graph.node)
    front: list[onnx.NodeProto] = []
    for value in _tensors(model):
        kind, name = value.type.tensor_type, value.name
        extents = [d.dim_value for d in kind.shape.dim]
        if len(extents) < 2 or not all(extents) or kind.elem_type not in MULTIPLIED:
            continue
        value.name, one, product = f"{name} turned", f"{name} one", f"{name} product"
        del kind.shape.dim[:]
        kind.shape.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=extent) for extent in reversed(extents))
        model.graph.input.append(helper.make_tensor_value_info(one, kind.elem_type, ()))
        front += [
            helper.make_node("Mul", [value.name, one], [product]),
            helper.make_node("Transpose", [product], [name], perm=list(range(len(extents)))[::-1]),
        ]
        for inputs, _ in made:
            array = np.asarray(inputs.pop(name))
            inputs[value.name], inputs[one] = np.ascontiguousarray(array.T), np.ones((), array.dtype)
    del model.graph.node[:]
    model.graph.node.extend([*front, *nodes])
    return (model, made) if front else None


def opened(model: onnx.ModelProto, sets: Sets) -> tuple[onnx.ModelProto, Sets] | None:
    """All extents are open."""
    extents = [
        (value.name, k, extent)
        for value in (*_tensors(model), *model.graph.output)
        for k, extent in enumerate(value.type.tensor_type.shape.dim)
    ]
    for name, k, extent in extents:
        extent.dim_param = f"{name}_{k}"
    return (model, sets) if extents else None


def _alone(k: int) -> Way:
    def alone(model: onnx.ModelProto, sets: Sets) -> tuple[onnx.ModelProto, Sets] | None:
        """Of several results only number `k` is asked for."""
        if len(model.graph.output) < 2:
            return None
        kept: Any = copy.deepcopy(model.graph.output[k])
        del model.graph.output[:]
        model.graph.output.append(kept)
        return model, [(inputs, [outputs[k]]) for inputs, outputs in sets]

    return alone


SINGLE: dict[str, Way] = {"turned": turned, "open": opened}
WAYS = (*SINGLE, "alone")
