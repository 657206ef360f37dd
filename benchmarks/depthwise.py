"""How fast are depthwise convolutions beside onnxruntime? Layers of known networks, in alternation, one line each.

Run: python benchmarks/depthwise.py [--threads N] [--rounds N] [--filter TEXT]
Each model is the layer behind a 1x1 convolution from eight channels, as in a network, so that its input lies as it
would lie there; the cost of that convolution alone is measured too and taken away from both sides.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import fusewright as fw

# name, channels, height and width, filter, stride
LAYERS = [
    ("mobilenet 112 3x3", 32, 112, 3, 1),
    ("mobilenet 112 3x3/2", 96, 112, 3, 2),
    ("mobilenet 56 3x3", 144, 56, 3, 1),
    ("mobilenet 28 3x3", 192, 28, 3, 1),
    ("mobilenet 14 3x3", 576, 14, 3, 1),
    ("mobilenet 7 3x3", 960, 7, 3, 1),
    ("efficientnet 56 5x5/2", 144, 56, 5, 2),
    ("efficientnet 28 5x5", 240, 28, 5, 1),
    ("efficientnet 14 5x5", 672, 14, 5, 1),
    ("efficientnet 7 5x5", 1152, 7, 5, 1),
    ("convnext 56 7x7", 96, 56, 7, 1),
    ("convnext 14 7x7", 384, 14, 7, 1),
]
FEED = 8  # channels before the 1x1 convolution
INNER = 10  # calls in one measurement


def model(channels: int, size: int, taps: int, stride: int, with_layer: bool) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    feed = rng.standard_normal((channels, FEED, 1, 1)).astype(np.float32)
    weights = {"feed": feed}
    nodes = [helper.make_node("Conv", ["x", "feed"], ["a"])]
    if with_layer:
        weights["filters"] = rng.standard_normal((channels, 1, taps, taps)).astype(np.float32)
        weights["bias"] = rng.standard_normal(channels).astype(np.float32)
        pads = [taps // 2] * 4
        attributes = {"group": channels, "pads": pads, "strides": [stride] * 2}
        nodes += [
            helper.make_node("Conv", ["a", "filters", "bias"], ["b"], **attributes),
            helper.make_node("Relu", ["b"], ["c"]),
        ]
    last = nodes[-1].output[0]
    # one pixel leaves: what is measured is no transposition of the result
    nodes.append(helper.make_node("MaxPool", [last], ["y"], kernel_shape=[1, 1], strides=[size, size]))
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, FEED, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, 1, 1])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def runners(proto: onnx.ModelProto, threads: int, x: np.ndarray) -> list[Callable[[], object]]:
    """Calls of Fusewright and of onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    peer = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    own = fw.compile(proto, threads=threads)
    np.testing.assert_allclose(own.run(None, {"x": x})[0], peer.run(None, {"x": x})[0], rtol=1e-3, atol=1e-3)
    return [lambda: own.run(None, {"x": x}), lambda: peer.run(None, {"x": x})]


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(INNER):
        call()
    return (time.perf_counter() - start) / INNER * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--filter", default="")
    options = parser.parse_args()
    print(f"{'layer':24}{'fusewright ms':>14}{'ORT ms':>10}{'ratio':>8}{'GFLOP/s':>9}")
    for name, channels, size, taps, stride in LAYERS:
        if options.filter not in name:
            continue
        x = np.random.default_rng(1).standard_normal((1, FEED, size, size)).astype(np.float32)
        calls = [
            call
            for with_layer in (True, False)
            for call in runners(model(channels, size, taps, stride, with_layer), options.threads, x)
        ]
        rounds = [[milliseconds(call) for call in calls] for _ in range(options.rounds)]
        own, peer, own_feed, peer_feed = (min(column) for column in zip(*rounds, strict=True))
        own, peer = own - own_feed, peer - peer_feed
        ratio = statistics.median((r[1] - r[3]) / max(r[0] - r[2], 1e-6) for r in rounds)
        flop = 2 * channels * (size // stride) ** 2 * taps**2
        print(f"{name:24}{own:14.3f}{peer:10.3f}{ratio:8.2f}{flop / own / 1e6:9.1f}", flush=True)


if __name__ == "__main__":
    main()
