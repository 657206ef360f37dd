"""Convolutions that follow each other, lowered as one kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from kernel_cases import Array, Case, floats, node

from fusewright.kernel.expr import MINUS_LN2
from fusewright.passes.fuse import find_groups
from fusewright.schedules import lower
from fusewright.schedules.chain import Chain
from fusewright.schedules.chain_parts import make_chain
from fusewright.schedules.task import Lowered
from fusewright.target.target import Target


@dataclass
class ChainCase(Case):
    """Several groups; `rows` of the last result are a unit of work. With open extents they are lowered apart."""

    rows: int = 1

    def lower(self, target: Target, *, open_extents: bool = False, threads: int = 1) -> list[Lowered]:
        made = self.chain(target, open_extents=open_extents, threads=threads)
        if open_extents:
            task, groups = self.task(target, open_extents=True, threads=threads), find_groups(self.model.graph)
            return [one for g in groups for one in lower(replace(task, group=g, sources={}, tensors={}))]
        assert isinstance(made, Chain), made
        made.rows = self.rows
        return made.lower()

    def chain(self, target: Target, *, open_extents: bool = False, threads: int = 1) -> Chain | str:
        return make_chain(
            self.task(target, open_extents=open_extents, threads=threads), find_groups(self.model.graph)
        )


@dataclass(frozen=True)
class Layer:
    """A pointwise convolution to so many channels, or (0) a depthwise one; then an activation. `image`: one that reads
    all channels of an image in planes, with a kernel as a depthwise one has."""

    channels: int = 0
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    dilations: tuple[int, int] = (1, 1)
    activation: str = "Relu"
    image: bool = False


SILU_CONSTANTS = {"minus_ln2": np.array(MINUS_LN2, np.float32)}


def silu(read: str, made: str) -> list[onnx.NodeProto]:
    """x sigmoid(x) as the pass `ScaleForPowers` leaves it: the weights in front make x / -ln2."""
    x, gate = f"{made}_x", f"{made}_gate"
    return [
        node("Mul", [read, "minus_ln2"], [x]), node("Sigmoid", [x], [gate]), node("Mul", [x, gate], [made])
    ]  # fmt: skip


def chain_of(x: tuple[int, ...], layers: Sequence[Layer], rows: int, residual: bool = False) -> ChainCase:
    constants: dict[str, Array] = {}
    nodes: list[onnx.NodeProto] = []
    value, channels = "x", x[1]
    for i, layer in enumerate(layers):
        attributes: dict[str, object] = {}
        if layer.channels:
            taps = layer.kernel if layer.image else (1, 1)
            constants[f"w{i}"] = floats(layer.channels, channels, *taps, seed=i) / np.float32(channels**0.5)
            if layer.image:
                attributes = {"strides": layer.strides, "pads": layer.pads}
            channels = layer.channels
        else:
            constants[f"w{i}"] = floats(channels, 1, *layer.kernel, seed=i) / np.float32(3)
            attributes = {
                "group": channels, "strides": layer.strides, "pads": layer.pads, "dilations": layer.dilations,
            }  # fmt: skip
        constants[f"b{i}"] = floats(channels, seed=i + 10)
        nodes.append(node("Conv", [value, f"w{i}", f"b{i}"], [f"c{i}"], **attributes))
        value = f"c{i}"
        if layer.activation == "Silu":
            nodes += silu(value, f"a{i}")
            constants |= SILU_CONSTANTS
        elif layer.activation == "Relu6":
            constants |= {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
            nodes.append(node("Clip", [value, "low", "high"], [f"a{i}"]))
        elif layer.activation == "Spelled":  # the hard form of x sigmoid(x) in single operations, and a learnt scale
            numbers = {"low": 0, "high": 6, "three": 3, "sixth": 1 / 6, f"scale{i}": 0.7 + i, f"shift{i}": -0.3 - i}
            constants |= {name: np.array(number, np.float32) for name, number in numbers.items()}
            steps = [("Add", value, "three"), ("Clip", "0", "low", "high"), ("Mul", "1", value), ("Mul", "2", "sixth")]
            steps += [("Mul", "3", f"scale{i}"), ("Add", "4", f"shift{i}")]
            for number, (op_type, *reads) in enumerate(steps):
                inputs = [f"h{i}_{r}" if r.isdigit() else r for r in reads]
                nodes.append(node(op_type, inputs, [f"a{i}" if number == 5 else f"h{i}_{number}"]))
        elif layer.activation:
            nodes.append(node(layer.activation, [value], [f"a{i}"]))
        if layer.activation:
            value = f"a{i}"
    if residual:
        nodes.append(node("Add", [value, "x"], ["sum"]))
    nodes[-1].output[0] = "y"
    planes = ["x"] if layers[0].image else []
    feeds = {"x": floats(*x, seed=99)}
    return ChainCase(nodes, feeds, constants=constants, layout="last", rows=rows, planes=planes)
