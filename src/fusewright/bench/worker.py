"""One engine in a process of its own: loads a model, then runs it a few times whenever it is asked to.

Started by its path, not as a module, so that a process that measures another engine imports nothing of ours.
It reads one JSON object a line from standard input and answers each with one on standard output: first the
job (see `main`), then `{"runs": k}` again and again. While it waits, it is blocked on the pipe. It ends when
its input does, so it never outlives the process that started it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

Job = dict[str, Any]
Run = Callable[[], Any]

WARM_RUNS = 3  # before memory is read and the length of a run is estimated
PEAK_SECONDS = 0.01  # length of one run of the loop that measures the machine


def open_fusewright(job: Job) -> tuple[str, Callable[[], Run]]:
    """Measured from the compiled file on: that is what a user's program loads."""
    from importlib.metadata import PackageNotFoundError, version

    import fusewright

    def load() -> Run:
        session = fusewright.load(job["artifact"], threads=job["threads"])
        feed = job["feed"]
        return lambda: session.run(None, feed)

    try:
        return version("fusewright"), load
    except PackageNotFoundError:
        return "", load


def open_onnxruntime(job: Job) -> tuple[str, Callable[[], Run]]:
    """All graph optimisations, `threads` within an operation, open dimensions fixed to their values.

    Its threads spin for a while after a run, as by default: without that it would be slower than its users
    see it. They are asleep before the next engine's turn (`Engine.settle` in process.py).
    """
    import onnxruntime as ort

    def load() -> Run:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = job["threads"]
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        for name, extent in job["dims"].items():
            options.add_free_dimension_override_by_name(name, extent)
        session = ort.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
        feed = job["feed"]
        return lambda: session.run(None, feed)

    return ort.__version__, load


def open_openvino(job: Job) -> tuple[str, Callable[[], Run]]:
    """Latency hint, float32 arithmetic, static shapes, arrays shared and not copied."""
    import openvino as ov

    def load() -> Run:
        core = ov.Core()
        model = core.read_model(job["model"])
        feed = {name: array for name, array in job["feed"].items()}
        if any(port.get_partial_shape().is_dynamic for port in model.inputs):
            model.reshape({name: list(array.shape) for name, array in feed.items()})
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": job["threads"],
            "INFERENCE_PRECISION_HINT": "f32",
        }
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        return lambda: request.infer(feed, share_inputs=True, share_outputs=True)

    return ov.__version__, load


def open_peak(job: Job) -> tuple[str, Callable[[], Run]]:
    """No engine: the fused-multiply-add loop of peak.py on `threads` threads at once."""

    def load() -> Run:
        loop = ctypes.CDLL(job["library"]).fusewright_peak
        loop.argtypes, loop.restype = [ctypes.c_int64], ctypes.c_float
        rounds, seconds = 1 << 10, 0.0
        while seconds < PEAK_SECONDS / 4:  # find how many rounds last long enough
            rounds *= 2
            seconds = min(timed(partial(loop, rounds)) for _ in range(3)) / 1e9
        rounds = max(1, int(rounds * PEAK_SECONDS / seconds))
        pool = ThreadPoolExecutor(job["threads"])  # ctypes lets go of Python's lock, so they run at once
        job["flop"] = rounds * job["flop_per_round"] * job["threads"]
        return lambda: list(pool.map(loop, [rounds] * job["threads"]))

    return "", load


ENGINES = {
    "fusewright": open_fusewright,
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
    "peak": open_peak,
}


def resident_bytes() -> int | None:
    """Memory of this process that is in use now, with files that are mapped; None where it cannot be told."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def read_feed(job: Job) -> None:
    """Arrays are stored by number, with the names and dtypes in the job (a file cannot say bfloat16)."""
    import ml_dtypes  # noqa: F401
    import numpy as np

    job["feed"] = {}
    if job.get("arrays"):
        with np.load(job["arrays"], allow_pickle=False) as stored:
            for index, (name, dtype) in enumerate(job["ports"]):
                job["feed"][name] = np.ascontiguousarray(stored[f"a{index}"]).view(np.dtype(dtype))


def timed(run: Run) -> int:
    start = time.perf_counter_ns()
    run()
    return time.perf_counter_ns() - start


def set_up(job: Job) -> tuple[Run, dict[str, Any]]:
    """Loads the engine and the model; tells times, and memory above what the import took."""
    read_feed(job)
    version, load = ENGINES[job["engine"]](job)
    before = resident_bytes()
    start = time.perf_counter()
    run = load()
    load_seconds = time.perf_counter() - start
    first = timed(run)
    warm = [timed(run) for _ in range(WARM_RUNS)]
    after = resident_bytes()
    return run, {
        "version": version,
        "load_seconds": load_seconds,
        "first_run_ns": first,
        "run_ns": min(warm),
        "memory_bytes": after - before if after is not None and before is not None else None,
        "flop": job.get("flop"),
    }


def main() -> None:
    """A job has: engine, threads, model, artifact, arrays, ports, dims; of peak: library, flop_per_round."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever an engine prints must not end up among the answers

    def answer(data: dict[str, Any]) -> None:
        answers.write(json.dumps(data) + "\n")
        answers.flush()

    job: Job = json.loads(sys.stdin.readline())
    # Our own folder holds names that other packages may use too; the package's root is what is needed.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    try:
        run, facts = set_up(job)
    except ModuleNotFoundError as error:
        return answer({"error": str(error), "missing": error.name})
    except Exception as error:
        return answer({"error": f"{type(error).__name__}: {error}", "missing": None})
    answer(facts)
    for line in sys.stdin:
        runs = int(json.loads(line)["runs"])
        run()  # not measured: fills the caches that other engines have emptied, and wakes the threads
        answer({"ns": [timed(run) for _ in range(runs)]})


if __name__ == "__main__":
    main()
