"""Resize(x) along two axes -> Resize(Resize(x) along the last) along the other, for an enlarged picture that leaves.

Interpolation is a sum along one axis of sums along the other. A network for segmentation enlarges small maps, whose
channels lie side by side, to planes that the caller gets: at once, each number is gathered from four places; in two
steps, the few rows that are there are gathered, and all others are made of whole vectors of two of these.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.graph.group import elements
from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.known import WIDE, attr_ints, attr_str, constant, input_at, maker, static_dims

FEWER = 2
"""Times as many numbers as the first step makes are in the result, at least."""


def leaves(value: ir.Value) -> bool:
    """Whether the value is an output of the graph."""
    return value.is_graph_output() and not value.uses()


def _pattern(op: Any, x: Any) -> Any:
    return op.Resize(x, _allow_other_inputs=True, _outputs=["root"])


def _replace(op: Any, x: ir.Value, root: ir.Value) -> Any:
    node, old, new = maker(root), static_dims(x), static_dims(root)
    if old is None or new is None or not leaves(root) or attr_str(node, "mode", "nearest") == "nearest":
        return refuse("")
    if root.dtype not in WIDE:
        return refuse("it would be rounded twice")
    if attr_str(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        return refuse("")
    changed = [d for d, (before, after) in enumerate(zip(old, new, strict=True)) if before != after]
    if len(changed) != 2 or changed[1] != len(old) - 1 or 0 in (*old, *new):
        return refuse("")
    between = (*old[:-1], new[-1])
    if elements(new) < FEWER * elements(between):
        return refuse("it is hardly enlarged")
    axes = [d % len(old) for d in attr_ints(node, "axes", range(len(old)))]
    given = constant(input_at(node, 2))
    if given is None or not given.size:
        if attr_str(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
            return refuse("its scales follow from one of its sizes")
        scales = None
    else:
        scales = {axis: float(scale) for axis, scale in zip(axes, given, strict=True)}
        if any(scale != 1.0 for axis, scale in scales.items() if axis not in changed):
            return refuse("it moves what keeps its extent, too")
    attributes = {name: value for name, value in node.attributes.items() if name != "axes"}

    def along(source: Any, axis: int, shape: tuple[int, ...]) -> Any:
        factors = np.ones(len(shape), np.float32)
        factors[axis] = 1.0 if scales is None else scales[axis]
        told = op.initializer(ir.tensor(np.array(shape) if scales is None else factors), name=f"{root.name}_{axis}")
        return op.Resize(source, None, *((None, told) if scales is None else (told,)), **attributes)

    return along(along(x, changed[1], between), changed[0], new)


SPLIT_RESIZE: tuple[Rule, ...] = (rule("split-resize", "Resize", _pattern, _replace),)
"""Needs static shapes."""
