"""In which order do passes run? Flat lists: two for each model, one for each set of input shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from fusewright.graph.blockers import ValueDependentError
from fusewright.graph.copy import shallow_copy
from fusewright.graph.decisions import Log
from fusewright.passes.base import Pass, Repeat, run_passes
from fusewright.passes.bind_shapes import BindShapes, BindValues
from fusewright.passes.expand_functions import ExpandFunctions
from fusewright.passes.find_groups import FindGroups
from fusewright.passes.fold_affine import FoldAffine
from fusewright.passes.fold_constants import FoldConstants
from fusewright.passes.fold_pad import FoldPad
from fusewright.passes.join_scatters import JoinScatters
from fusewright.passes.means_of_rows import MeansOfRows
from fusewright.passes.merge_common import MergeCommon
from fusewright.passes.merge_parallel import MergeParallel
from fusewright.passes.merge_phases import MergePhases
from fusewright.passes.merge_sums import MergeSums
from fusewright.passes.merge_transposes import MergeTransposes
from fusewright.passes.merge_views import MergeViews
from fusewright.passes.multiply_once import MultiplyOnce
from fusewright.passes.remove_dead import RemoveDead
from fusewright.passes.remove_no_ops import RemoveNoOps
from fusewright.passes.scale_after import ScaleAfter
from fusewright.passes.scale_for_powers import ScaleForPowers
from fusewright.passes.sink_views import SinkViews
from fusewright.passes.skip_zeros import SkipZeros
from fusewright.passes.slice_gathers import SliceGathers
from fusewright.passes.split_resize import SplitResize
from fusewright.passes.tell_casts import TellCasts
from fusewright.passes.widen_half import WidenHalf

BOUND_VALUES = "fusewright.bound_values"

OPTIMIZE: tuple[Pass, ...] = (
    Repeat(
        (
            FoldConstants(),  # gives types too
            TellCasts(),
            RemoveNoOps(),
            MergeCommon(),
            ScaleAfter(),
            SinkViews(),
            FoldAffine(),
            MergeSums(),
            FoldPad(),
            MergeTransposes(),
            MergeViews(),
            RemoveDead(),
        )
    ),
    MergeParallel(),  # at the end: what folds into weights has done so
)
"""Once a model, before any shape is known."""


def optimize(model: ir.Model, log: Log | None = None) -> ir.Model:
    """A smaller model that computes the same for every input shape; `model` is left as it was."""
    result = shallow_copy(model)
    run_passes(result, OPTIMIZE, log or Log())
    return result


PREPARE: tuple[Pass, ...] = (ScaleForPowers(), MultiplyOnce(), WidenHalf(), RemoveDead())
"""Behind OPTIMIZE, once a model, for kernels that Fusewright makes: other engines gain nothing by it."""


def prepare(model: ir.Model, log: Log | None = None) -> ir.Model:
    """What `optimize` makes of the model, as kernels want it."""
    result = optimize(model, log)
    run_passes(result, PREPARE, log or Log())
    return result


def bind(model: ir.Model, shapes: Mapping[str, Sequence[int]], log: Log | None = None) -> ir.Model:
    """A copy of `model` (sharing its weights) for inputs of these shapes alone; raises ShapeError as `specialize`."""
    result = shallow_copy(model)
    run_passes(result, (BindShapes(dict(shapes)),), log or Log())
    return result


SPECIALIZE: tuple[Pass, ...] = (
    RemoveDead(optional_outputs=False),
    FoldConstants(static=True),
    SkipZeros(),
    MergePhases(),
    FindGroups(),
    ExpandFunctions(),
    TellCasts(),
    WidenHalf(),
    SliceGathers(),
    JoinScatters(),
    SplitResize(),
    Repeat(
        (
            RemoveNoOps(),
            MergeCommon(),
            SinkViews(),
            MergeTransposes(),
            MergeViews(),
            RemoveDead(optional_outputs=False),
        )
    ),
    FoldConstants(static=True),  # gives shapes to what the passes before made
    MeansOfRows(),
)
"""Once for each set of input shapes, after BindShapes: cheap, for a session waits for it."""


def specialize(
    model: ir.Model,
    shapes: Mapping[str, Sequence[int]] | None = None,
    log: Log | None = None,
    values: Mapping[str, np.ndarray[Any, Any]] | None = None,
) -> ir.Model:
    """A copy of `model` (sharing its weights) for inputs of these shapes: every value has a static shape, and no
    shape computation is left.

    Inputs that `shapes` does not name must be fully known already. Where a shape depends on the values of an
    input (the target of a Reshape), the input is taken from `values` as a constant: the result then holds for
    these values only, and `bound_values` names them. Raises ShapeError when the shapes do not fit the model or
    leave a dimension open, ValueDependentError when a value is needed that `values` lacks, UnsupportedError when
    a shape depends on data.
    """
    bound: dict[str, np.ndarray[Any, Any]] = {}
    while True:
        result = shallow_copy(model)
        try:
            run_passes(result, (BindShapes(dict(shapes or {})), BindValues(bound), *SPECIALIZE), log or Log())
        except ValueDependentError as error:
            needed = {name: values[name] for name in error.inputs if values and name in values and name not in bound}
            if not needed:
                raise
            bound.update(needed)
            continue
        result.meta[BOUND_VALUES] = tuple(bound)
        return result


def bound_values(model: ir.Model) -> tuple[str, ...]:
    """The inputs whose values `specialize` took as constants: the model holds for these values only."""
    names: tuple[str, ...] = model.meta.get(BOUND_VALUES, ())
    return names
