"""How do single layers compare with onnxruntime? Alternating runs, medians and ratios, share of the FMA peak.

    python benchmarks/layers.py [conv|matmul] [--threads N]
"""

from __future__ import annotations

import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import fusewright as fw

CONV = [  # c_in, size, c_out, kernel, stride
    (3, 224, 64, 7, 2), (64, 56, 64, 1, 1), (64, 56, 64, 3, 1), (64, 56, 256, 1, 1), (256, 56, 64, 1, 1),
    (256, 56, 512, 1, 2), (128, 28, 128, 3, 1), (256, 28, 256, 3, 2), (128, 28, 512, 1, 1), (256, 14, 256, 3, 1),
    (256, 14, 1024, 1, 1), (1024, 14, 256, 1, 1), (512, 7, 512, 3, 1), (512, 7, 2048, 1, 1), (2048, 7, 512, 1, 1),
    (32, 112, 16, 1, 1), (16, 112, 96, 1, 1), (96, 56, 24, 1, 1), (24, 56, 144, 1, 1), (192, 28, 32, 1, 1),
    (384, 14, 96, 1, 1), (960, 7, 320, 1, 1), (320, 7, 1280, 1, 1),
]  # fmt: skip
MATMUL = [(128, 768, 768), (128, 768, 3072), (128, 3072, 768), (197, 768, 2304), (1, 2048, 1000), (128, 384, 1536)]


def conv_model(ci: int, size: int, co: int, k: int, s: int) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    w = numpy_helper.from_array((rng.standard_normal((co, ci, k, k)) / (ci * k * k) ** 0.5).astype("f"), "w")
    b = numpy_helper.from_array(rng.standard_normal(co).astype("f"), "b")
    out = (size + 2 * (k // 2) - k) // s + 1
    # a convolution before and behind keeps the layer's own layout: graph inputs and outputs are NCHW in every engine
    pads = [k // 2] * 4
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["t"], kernel_shape=[k, k], strides=[s, s], pads=pads),
        helper.make_node("Relu", ["t"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, ci, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, co, out, out])], [w, b],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def matmul_model(m: int, k: int, n: int) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    w = numpy_helper.from_array((rng.standard_normal((k, n)) / k**0.5).astype("f"), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["t"]), helper.make_node("Relu", ["t"], ["y"])], "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [m, k])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [m, n])], [w],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def kernel_time(session: fw.Session, x: np.ndarray) -> tuple[float, float]:
    """Best whole run, and best time of the last call alone, in seconds."""
    ready = session.prepare({session.inputs[0].name: x.shape})
    outputs = [np.empty(p.shape, p.dtype) for p in ready.program.outputs]
    times = ready.executor.profile([x, *ready.constants], outputs)
    return sum(times) / 1e9, max(times) / 1e9


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else "conv"
    threads = int(sys.argv[sys.argv.index("--threads") + 1]) if "--threads" in sys.argv else 1
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    print(f"{'layer':>28} {'ours ms':>9} {'ort ms':>9} {'ratio':>6} {'GFLOP/s':>8}")
    for layer in CONV if what == "conv" else MATMUL:
        model = conv_model(*layer) if what == "conv" else matmul_model(*layer)
        shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
        x = np.random.default_rng(1).standard_normal(shape).astype("f")
        theirs = ort.InferenceSession(model.SerializeToString(), options)
        ours = fw.compile(model, threads=threads)
        expected, got = theirs.run(None, {"x": x})[0], ours(x)
        error = float(np.abs(expected - got).max() / np.abs(expected).max())
        if error > 1e-4:
            raise SystemExit(f"{layer}: wrong, error {error:g}")
        times: list[tuple[float, float]] = []
        for _ in range(40):
            mine = kernel_time(ours, x)[0]
            start = time.perf_counter()
            theirs.run(None, {"x": x})
            times.append((mine, time.perf_counter() - start))
        a, b = (float(np.median([t[i] for t in times])) for i in (0, 1))
        out = [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim]
        flop = 2 * np.prod(out) * (layer[0] * layer[3] ** 2 if what == "conv" else layer[1])
        print(f"{layer!s:>28} {a * 1e3:9.3f} {b * 1e3:9.3f} {b / a:6.2f} {flop / a / 1e9:8.1f}")


if __name__ == "__main__":
    main()
