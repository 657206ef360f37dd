"""In which order do passes run? Two flat lists: one for each model, one for each set of input shapes."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from fusewright.graph.copy import shallow_copy
from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass, Repeat, run_passes
from fusewright.passes.fold_affine import FoldAffine
from fusewright.passes.fold_pad import FoldPad
from fusewright.passes.merge_common import MergeCommon
from fusewright.passes.merge_transposes import MergeTransposes
from fusewright.passes.merge_views import MergeViews
from fusewright.passes.remove_dead import RemoveDead
from fusewright.passes.remove_no_ops import RemoveNoOps

OPTIMIZE: tuple[Pass, ...] = (
    Repeat(
        (
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
