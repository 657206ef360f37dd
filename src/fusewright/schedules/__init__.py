"""How does a fused group loop? One schedule for each kind of group; custom operations name their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fusewright.errors import InternalError
from fusewright.ops.opdef import Kind
from fusewright.ops.registry import find
from fusewright.schedules import (
    attention,
    concat,
    contract,
    conv,
    lrn,
    pool,
    recurrent,
    roi_align,
    scan,
    scatter,
    topk,
    transposed,
)
from fusewright.schedules.copy import lower_view
from fusewright.schedules.pointwise import lower_pointwise
from fusewright.schedules.rows import lower_rows
from fusewright.schedules.task import Lowered, Task

Schedule = Callable[[Task], list[Lowered]]

BY_KIND: Mapping[str, Schedule] = {
    Kind.ELEMENTWISE.value: lower_pointwise,
    Kind.MOVEMENT.value: lower_pointwise,
    Kind.VIEW.value: lower_view,
    Kind.REDUCTION.value: lower_rows,
}

BY_NAME: Mapping[str, Schedule] = {
    **attention.SCHEDULES,
    **contract.SCHEDULES,
    **conv.SCHEDULES,
    **pool.SCHEDULES,
    **recurrent.SCHEDULES,
    **transposed.SCHEDULES,
    **concat.SCHEDULES,
    **lrn.SCHEDULES,
    **scan.SCHEDULES,
    **roi_align.SCHEDULES,
    **scatter.SCHEDULES,
    **topk.SCHEDULES,
}


def lower(task: Task) -> list[Lowered]:
    """The kernels of one group, in execution order."""
    anchor = task.group.anchor
    definition = find(anchor.domain, anchor.op_type)
    name = task.group.schedule or (definition.schedule if definition is not None else "")
    if name:
        schedule = BY_NAME.get(name)
    else:
        schedule = BY_KIND.get(task.group.kind)
    if schedule is None:
        raise InternalError(f"no schedule for {anchor.op_type} ({task.group.kind})")
    return schedule(task)
