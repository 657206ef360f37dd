"""y = Scan(x) {body} -> body(x[0]); body(x[1]); ...: a loop whose steps can be counted is so many copies of its body.

Every copy is visited before the next is made, so that shapes and conditions that follow from the number of the step
are known in time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from fusewright.graph.edit import add_constant, rename, take_over, value_names
from fusewright.graph.evaluate import Array

Visit = Callable[[Sequence[ir.Node]], None]
Constant = Callable[[ir.Value | None], Array | None]

MAX_NODES = 4096
"""Nodes that one loop may become: planning takes a while for each, and every step has kernels to call."""


class Unroller:
    """Replaces one node by copies of its body. `visit` must give the nodes' outputs their types at once."""

    def __init__(self, node: ir.Node, visit: Visit, constant: Constant) -> None:
        graph = node.graph
        assert graph is not None
        self.node = node
        self.name = node.name or node.op_type.lower()
        self.graph = graph
        self.body = node.attributes["body"].as_graph()
        self.visit = visit
        self.constant = constant
        self.taken = value_names(graph)
        self.steps = 0
        self.added = 0

    def scan(self) -> str | None:
        """Unroll a Scan; the reason why not where it cannot be."""
        node = self.node
        count = node.attributes["num_scan_inputs"].as_int()
        states, sources = list(node.inputs[: len(node.inputs) - count]), node.inputs[len(node.inputs) - count :]
        axes = self._ints("scan_input_axes", count)
        backwards = self._ints("scan_input_directions", count)
        extent = _extent(sources[0], axes[0])
        if extent is None or any(value is None for value in sources):
            return "the number of its steps is not known"
        if extent == 0 or extent * len(self.body) > MAX_NODES:
            return f"it has {extent} steps of {len(self.body)} nodes; up to {MAX_NODES} nodes are unrolled"
        results: list[list[ir.Value]] = [[] for _ in range(len(self.body.outputs) - len(states))]
        for step in range(extent):
            parts = [
                self._element(value, axis, extent - 1 - step if back else step)
                for value, axis, back in zip(sources, axes, backwards, strict=True)
            ]
            outputs = self._copy([*states, *parts])
            states = list(outputs[: len(states)])
            for result, value in zip(results, outputs[len(states) :], strict=True):
                result.append(value)
        out_axes = self._ints("scan_output_axes", len(results))
        reverse = self._ints("scan_output_directions", len(results))
        stacked = [
            self._stack(parts[::-1] if back else parts, axis)
            for parts, axis, back in zip(results, out_axes, reverse, strict=True)
        ]
        self._replace([*states, *stacked])
        return None

    def loop(self) -> str | None:
        """Unroll a Loop whose number of steps and conditions are constants; the reason why not."""
        node = self.node
        given = [node.inputs[i] if i < len(node.inputs) else None for i in (0, 1)]
        if any(value is not None and self.constant(value) is None for value in given):
            return "the number of its steps is not known"
        numbers = [None if value is None else self._number(value) for value in given]
        trips, goes_on = numbers[0], True if numbers[1] is None else bool(numbers[1])
        states = list(node.inputs[2:])
        results: list[list[ir.Value]] = [[] for _ in range(len(self.body.outputs) - 1 - len(states))]
        while goes_on and (trips is None or self.steps < trips):
            if (self.steps + 1) * len(self.body) > MAX_NODES:
                return f"it becomes more than {MAX_NODES} nodes"
            number = add_constant(self.graph, f"{self.name}/step", np.array(self.steps, np.int64))
            outputs = self._copy([number, add_constant(self.graph, f"{self.name}/on", np.array(True)), *states])
            if self.constant(outputs[0]) is None:
                return "whether it goes on depends on data"
            goes_on = bool(self._number(outputs[0]))
            states = list(outputs[1 : 1 + len(states)])
            for result, value in zip(results, outputs[1 + len(states) :], strict=True):
                result.append(value)
        if results and not self.steps:
            return "it has no steps, and what it collects no shape"
        self._replace([*states, *(self._stack(parts, 0) for parts in results)])
        return None

    def _number(self, value: ir.Value) -> int:
        array = self.constant(value)
        assert array is not None
        return int(array.reshape(-1)[0])

    def _ints(self, name: str, count: int) -> list[int]:
        attribute = self.node.attributes.get(name)
        return [0] * count if attribute is None else list(attribute.as_ints())

    def _copy(self, arguments: Sequence[ir.Value | None]) -> list[ir.Value]:
        """One step in front of the node: the outputs of a copy of the body for these inputs."""
        copy = self.body.clone(allow_outer_scope_values=True)
        prefix = f"{self.name}/{self.steps}"
        holders = [ir.node("Identity", [v]) for v in copy.outputs]  # follow what loops and branches inside become
        copy.outputs.clear()
        for name in list(copy.initializers):
            value = copy.initializers.pop(name)
            rename(value, prefix, self.taken)
            self.graph.register_initializer(value)
        for parameter, argument in zip(copy.inputs, arguments, strict=True):
            if argument is not None:
                parameter.replace_all_uses_with(argument)
        nodes = list(copy)
        copy.remove(nodes)
        for number, node in enumerate(nodes):
            node.name = f"{prefix}/{node.name or number}"
            for value in node.outputs:
                rename(value, prefix, self.taken)
        self._insert(nodes)
        self.steps += 1
        outputs = [holder.inputs[0] for holder in holders]
        for holder in holders:
            holder.replace_input_with(0, None)
        return [value for value in outputs if value is not None]

    def _insert(self, nodes: Sequence[ir.Node]) -> None:
        self.graph.insert_before(self.node, nodes)
        self.visit(nodes)

    def _add(self, op_type: str, inputs: Sequence[ir.Value | None], **attributes: int) -> ir.Value:
        node = ir.node(op_type, inputs, attributes, name=f"{self.name}/{op_type.lower()}_{self.added}")
        node.outputs[0].name = node.name
        rename(node.outputs[0], self.name, self.taken)
        self.added += 1
        self._insert([node])
        return node.outputs[0]

    def _element(self, value: ir.Value | None, axis: int, position: int) -> ir.Value:
        index = add_constant(self.graph, f"{self.name}/step", np.array(position, np.int64))
        return self._add("Gather", [value, index], axis=axis)

    def _stack(self, parts: Sequence[ir.Value], axis: int) -> ir.Value:
        rank = 0 if parts[0].shape is None else len(parts[0].shape)
        axis %= rank + 1
        place = add_constant(self.graph, f"{self.name}/axis", np.array([axis], np.int64))
        return self._add("Concat", [self._add("Unsqueeze", [part, place]) for part in parts], axis=axis)

    def _replace(self, results: Sequence[ir.Value | None]) -> None:
        for old, new in zip(self.node.outputs, results, strict=True):
            if new is not None:
                identity = take_over(old, new)
                if identity is not None:
                    self.visit([identity])
        self.graph.remove(self.node, safe=True)


def _extent(value: ir.Value | None, axis: int) -> int | None:
    if value is None or value.shape is None or not value.shape:
        return None
    extent = value.shape[axis]
    return extent if isinstance(extent, int) else None
