"""How is a list of rewrite rules applied to a model, with every decision recorded?

A rule is a pattern, a check and a replacement, written with `onnxscript.rewriter`. The walk visits each node once,
in order, and nodes that a rule puts in are visited too: a chain collapses in one walk. What the library matches is
rewritten here rather than there, so that names stay unique, graph outputs keep theirs, and refusals reach the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
from onnxscript.rewriter import pattern as rewriter

from fusewright.graph.decisions import Log


@dataclass(frozen=True)
class Rule:
    """One rewrite: `what` names it in the log, `root` is the operation that ends the pattern."""

    what: str
    root: str
    rewrite: Any  # onnxscript.rewriter.pattern.RewriteRule, which is not typed


def rule(
    what: str,
    root: str,
    pattern: Callable[..., Any],
    replace: Callable[..., Any],
    check: Callable[..., Any] | None = None,
    shared: bool = False,
) -> Rule:
    """A rule; unless `shared`, its inner values must have no other reader and be no graph output.

    `check` and `replace` return `refuse(reason)` to say no; the reason is recorded, unless it is empty.
    """

    def checked(context: Any, **bindings: Any) -> Any:
        if check is not None:
            verdict = check(context, **bindings)
            if not verdict:
                return verdict
        if not shared and _read_elsewhere(context.nodes, context.output_values):
            return refuse("an inner value is read elsewhere or is a graph output")
        return True

    return Rule(what, root, rewriter.RewriteRule(pattern, replace, checked, name=what, remove_nodes=False))


def refuse(reason: str) -> Any:
    """What a check returns to say no, and why; an empty reason means that nothing was to be expected here."""
    return rewriter.MatchResult().fail(reason)


def _read_elsewhere(nodes: Sequence[ir.Node], results: Sequence[ir.Value]) -> bool:
    for node in nodes:
        for value in node.outputs:
            if value in results:
                continue
            if value.is_graph_output() or any(usage.node not in nodes for usage in value.uses()):
                return True
    return False


def apply_rules(model: ir.Model, rules: Sequence[Rule], log: Log) -> bool:
    """Apply `rules` to every graph of the model, in order; True when any fired."""
    by_root: dict[str, list[Rule]] = {}
    for one in rules:
        by_root.setdefault(one.root, []).append(one)
    return _Walk(model, by_root, log).graph(model.graph)


class _Walk:
    def __init__(self, model: ir.Model, by_root: dict[str, list[Rule]], log: Log) -> None:
        self.model, self.by_root, self.log = model, by_root, log
        self.refused = {(d.what, d.where, d.reason) for d in log.decisions if not d.made}
        self.names = {value.name for node in model.graph.all_nodes() for value in node.outputs}
        for graph in model.graphs():
            self.names |= {value.name for value in graph.inputs} | set(graph.initializers)

    def graph(self, graph: ir.Graph) -> bool:
        changed = False
        for node in graph:
            for attr in node.attributes.values():
                if attr.type == ir.AttributeType.GRAPH:
                    changed |= self.graph(attr.as_graph())
                elif attr.type == ir.AttributeType.GRAPHS:
                    for inner in attr.as_graphs():
                        changed |= self.graph(inner)
            if node.domain == "":
                changed |= any(self.try_rule(one, graph, node) for one in self.by_root.get(node.op_type, ()))
        return changed

    def try_rule(self, one: Rule, graph: ir.Graph, node: ir.Node) -> bool:
        where = str(node.outputs[0].name)
        delta = one.rewrite.try_rewrite(
            self.model, graph, node, tracer=_Refusals(one.what, where, self.log, self.refused)
        )
        if delta is None:
            return False
        for initializer in delta.new_initializers:
            initializer.name = self.unique(initializer.name)
            graph.register_initializer(initializer)
        names = {old.op_type: old.name for old in reversed(delta.match.nodes)}
        for new in reversed(delta.new_nodes):  # that which gives the result has the first choice
            new.name = names.pop(new.op_type, None)  # the graph finds a name for None
        for new in delta.new_nodes:
            for output in new.outputs:
                output.name = self.unique(f"{where}_inner")
        ir.convenience.replace_nodes_and_values(
            graph, node, [], delta.new_nodes, delta.match.outputs, delta.new_outputs
        )
        left = list(delta.match.nodes)
        while unread := [old for old in left if not any(v.uses() or v.is_graph_output() for v in old.outputs)]:
            graph.remove(unread, safe=True)
            left = [old for old in left if old not in unread]
        for old in left:
            if old.name in [new.name for new in delta.new_nodes]:
                old.name = None
        self.log.made(one.what, where)
        return True

    def unique(self, base: str) -> str:
        name, count = base, 0
        while name in self.names:
            count += 1
            name = f"{base}_{count}"
        self.names.add(name)
        return name


@dataclass(frozen=True)
class _Refusals:
    """Stands where the library expects its tracer: a match that a check or another reader stops is recorded.

    Passes run again until nothing changes, so what was refused before is not recorded again.
    """

    what: str
    where: str
    record: Log
    before: set[tuple[str, str, str]]

    def log(self, rule: object, graph: object, node: object, match: Any, status: Any) -> None:
        if status.name in ("CONDITION_FAILED", "REPLACEMENT_FAILED") and match.reason:
            decision = (self.what, self.where, match.reason)
            if decision in self.before:
                return
            self.before.add(decision)
            self.record.refused(self.what, self.where, match.reason)
