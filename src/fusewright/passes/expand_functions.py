"""y = SwiGLU(a, b) -> y = Mul(Swish(a), b): operations that no kernel computes as a whole become what defines them."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import onnx_ir as ir
from onnx_ir.passes import common

from fusewright.graph.decisions import Log
from fusewright.graph.evaluate import RANDOM
from fusewright.graph.opset import OLDEST_OPSET, opset_of
from fusewright.graph.shapes import infer
from fusewright.graph.upgrade import upgrade
from fusewright.ops.registry import find
from fusewright.passes.base import Pass
from fusewright.passes.remove_dead import RemoveDead
from fusewright.rules.body import DOMAIN
from fusewright.rules.definitions import DEFINITIONS

DEEPEST = 4  # definitions whose nodes have definitions themselves


@dataclass(frozen=True)
class ExpandFunctions(Pass):
    """Uses the definitions (function bodies) of the ONNX standard. Every value must have its type and shape already;
    what comes in has them too afterwards."""

    def run(self, model: ir.Model, log: Log) -> bool:
        changed = False
        for _ in range(DEEPEST):
            if not self._expand(model, log):
                break
            common.InlinePass()(model)
            RemoveDead(optional_outputs=False).run(model, log)
            common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
            infer(model, log)
            changed = True
        return changed

    def _expand(self, model: ir.Model, log: Log) -> int:
        """Turn nodes into calls of model functions; returns how many."""
        version = opset_of(model)
        count = 0
        for node in model.graph:
            if node.domain != "" or node.op_type in RANDOM or find("", node.op_type) is not None:
                continue
            proto = definition(node, version)
            if proto is None:
                continue
            if not _fit_outputs(proto, node):
                log.refused("expand-function", str(node.name), "its definition lacks an output that is used")
                continue
            function = ir.serde.deserialize_function(proto)
            since = function.opset_imports.get("", version)
            if OLDEST_OPSET <= since < version:
                upgrade(function, since, version)
            function.opset_imports[""] = version
            function.domain, function.name = DOMAIN, f"{node.op_type}_{count}"
            _spell_defaults(node, version)
            log.made("expand-function", str(node.name), f"no kernel computes {node.op_type} as a whole")
            node.domain, node.op_type = function.domain, function.name
            model.functions[function.identifier()] = function
            count += 1
        return count


def definition(node: ir.Node, version: int) -> onnx.FunctionProto | None:
    """The function body that the standard (or, where it has only words, `rules.definitions`) gives for `node`."""
    if node.op_type in DEFINITIONS:
        return DEFINITIONS[node.op_type](node, version)
    if not onnx.defs.has(node.op_type):
        return None
    schema = onnx.defs.get_schema(node.op_type, version)
    if schema.has_function:
        data = schema.get_function_with_opset_version(_newest(schema.function_opset_versions, version))
    elif schema.has_context_dependent_function:
        asked = _newest(schema.context_dependent_function_opset_versions, version)
        types = [_type(value) for value in node.inputs]
        data = schema.get_context_dependent_function_with_opset_version(asked, _proto(node), types)
    else:
        return None
    if not data:
        return None
    made = onnx.FunctionProto()
    made.ParseFromString(data)
    return made if made.node else None


def _fit_outputs(proto: onnx.FunctionProto, node: ir.Node) -> bool:
    """Leave the outputs that `node` has; bodies do not make optional outputs that are not asked for."""
    del proto.output[len(node.outputs) :]
    made = {name for inner in proto.node for name in inner.output}
    for name, output in zip(proto.output, node.outputs, strict=True):
        if name not in made:
            if output.uses() or output.is_graph_output():
                return False
            proto.node.append(onnx.helper.make_node("Constant", [], [name], value_float=0.0))
    return True


def _newest(versions: list[int], limit: int) -> int:
    return max((v for v in versions if v <= limit), default=max(versions))


def _proto(node: ir.Node) -> bytes:
    data: bytes = ir.to_proto(node).SerializeToString()
    return data


def _type(value: ir.Value | None) -> bytes:
    proto = onnx.TypeProto()
    if value is not None and value.dtype is not None:
        dims = None if value.shape is None else [d if isinstance(d, int) else None for d in value.shape]
        proto = onnx.helper.make_tensor_type_proto(int(value.dtype), dims)
    data: bytes = proto.SerializeToString()
    return data


def _spell_defaults(node: ir.Node, version: int) -> None:
    """Write the schema's defaults into the node: the nodes of a definition refer to its attributes."""
    for name, attribute in onnx.defs.get_schema(node.op_type, version).attributes.items():
        if name not in node.attributes and attribute.default_value.type != onnx.AttributeProto.UNDEFINED:
            node.attributes[name] = ir.from_proto(attribute.default_value)
