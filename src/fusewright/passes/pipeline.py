"""In which order do passes run? Two flat lists: one for each model, one for each set of input shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from fusewright.graph.copy import shallow_copy
from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass, Repeat, run_passes
from fusewright.passes.bind_shapes import BindShapes
from fusewright.passes.fold_affine import FoldAffine
from fusewright.passes.fold_constants import FoldConstants
from fusewright.passes.fold_pad import FoldPad
from fusewright.passes.merge_common import MergeCommon
from fusewright.passes.merge_transposes import MergeTransposes
from fusewright.passes.merge_views import MergeViews
from fusewright.passes.remove_dead import RemoveDead
from fusewright.passes.remove_no_ops import RemoveNoOps

OPTIMIZE: tuple[Pass, ...] = (
    Repeat(
        (
            FoldConstants(),
            RemoveNoOps(),
            MergeCommon(),
            FoldAffine(),
            FoldPad(),
            MergeTransposes(),
            MergeViews(),
            RemoveDead(),
        )
    ),
)
"""Once a model, before any shape is known."""


def optimize(model: ir.Model, log: Log | None = None) -> ir.Model:
    """A smaller model that computes the same for every input shape; `model` is left as it was."""
    result = shallow_copy(model)
    run_passes(result, OPTIMIZE, log or Log())
    return result


SPECIALIZE: tuple[Pass, ...] = (
    RemoveDead(optional_outputs=False),
    FoldConstants(static=True),
    Repeat((RemoveNoOps(), MergeCommon(), MergeTransposes(), MergeViews(), RemoveDead(optional_outputs=False))),
    FoldConstants(static=True),  # gives shapes to what the passes before made
)
"""Once for each set of input shapes, after BindShapes: cheap, for a session waits for it."""


def specialize(model: ir.Model, shapes: Mapping[str, Sequence[int]] | None = None, log: Log | None = None) -> ir.Model:
    """A copy of `model` (sharing its weights) for inputs of these shapes: every value has a static shape, and no
    shape computation is left.

    Inputs that `shapes` does not name must be fully known already. Raises ShapeError when the shapes do not fit
    the model or leave a dimension open, UnsupportedError when a shape depends on data.
    """
    result = shallow_copy(model)
    run_passes(result, (BindShapes(dict(shapes or {})), *SPECIALIZE), log or Log())
    return result
