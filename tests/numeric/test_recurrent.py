"""Do LSTM, GRU and RNN agree with onnxruntime: directions, lengths, states, peepholes, clipping, activations?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from branches import Graph, check

import fusewright as fw

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, BATCH, FEATURES = 7, 3, 10


def add(
    graph: Graph,
    op: str,
    hidden: int,
    direction: str = "forward",
    optional: str = "bhcp",
    batch: int = BATCH,
    constant: bool = True,
    scale: float = 0.4,
    **attributes: Any,
) -> None:
    """One operation with those of bias b, lengths l, states h and c, and peepholes p that it has."""
    directions, gates = (2 if direction == "bidirectional" else 1), GATES[op]
    array = graph.normal(STEPS, batch, FEATURES)
    name = graph.input(array)
    x = graph.node("Tanh", name)[0]

    def weight(*shape: int) -> str:
        values = graph.normal(*shape) * np.float32(scale)
        return graph.weight(values) if constant else graph.input(values)

    inputs = [x, weight(directions, gates * hidden, FEATURES), weight(directions, gates * hidden, hidden)]
    inputs.append(weight(directions, 2 * gates * hidden) if "b" in optional else "")
    lengths = np.array([STEPS - 2 * (i % 3) for i in range(batch)], np.int32)
    inputs.append(graph.weight(lengths) if "l" in optional else "")
    inputs.append(graph.weight(graph.normal(directions, batch, hidden)) if "h" in optional else "")
    if op == "LSTM":
        inputs.append(graph.weight(graph.normal(directions, batch, hidden)) if "c" in optional else "")
        inputs.append(graph.weight(graph.normal(directions, 3 * hidden)) if "p" in optional else "")
    made = graph.node(
        op, *inputs, outputs=3 if op == "LSTM" else 2, hidden_size=hidden, direction=direction, **attributes
    )  # fmt: skip
    for i, y in enumerate(made):
        graph.output(y, 4 if i == 0 else 3)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(("threads", "open_extents"), [(1, False), (2, True)])
def test_directions_and_sizes(op: str, threads: int, open_extents: bool) -> None:
    graph = Graph(open=open_extents)
    for direction in ("forward", "reverse", "bidirectional"):
        for hidden in (5, 32, 41):
            add(graph, op, hidden, direction, batch=BATCH if not open_extents else 2)
        add(graph, op, 17, direction, optional="")
    check(graph, threads)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_batches(op: str) -> None:
    graph = Graph()
    for batch in (1, 2, 4, 5, 9):
        add(graph, op, 19, "bidirectional", batch=batch)
    check(graph, 2)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(("threads", "batch", "open_extents"), [(2, 1, False), (2, 2, True), (4, 3, False)])
def test_steps_that_threads_share(op: str, threads: int, batch: int, open_extents: bool) -> None:
    graph = Graph(open=open_extents)
    for direction, hidden in (("forward", 301), ("reverse", 272)):
        add(graph, op, hidden, direction, optional="bhc", batch=batch, scale=0.05)  # steps do not enlarge rounding
    check(graph, threads)
    session = fw.compile(graph.model(), threads=threads)
    session.run(None, graph.feeds)
    turns = [call.turns for call in session.programs[0].program.calls if call.turns > 1]
    assert turns == [1 + STEPS * (2 if op == "GRU" else 1)] * 2


def test_input_of_all_steps_of_one_sequence_is_one_product() -> None:
    graph = Graph()
    sequence = graph.input(graph.normal(1, STEPS, FEATURES))
    weights = [graph.weight(graph.normal(1, 4 * 19, n) * np.float32(0.4)) for n in (FEATURES, 19)]
    x = graph.node("Transpose", sequence, perm=[1, 0, 2])[0]
    graph.output(graph.node("LSTM", x, *weights, outputs=1, hidden_size=19)[0], 4)
    check(graph, 1)
    session = fw.compile(graph.model(), threads=1)
    session.run(None, graph.feeds)
    program = session.programs[0].program
    (units,) = [call.units for call in program.calls if "project" in program.kernels[call.kernel]]
    assert units == 1  # not one for each step, which would read all weights again


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("open_extents", [False, True])
def test_rows_of_different_length(op: str, open_extents: bool) -> None:
    graph = Graph(open=open_extents)
    for direction in ("forward", "reverse", "bidirectional"):
        add(graph, op, 18, direction, optional="blhc")
    check(graph, 2)


def test_gru_with_reset_after_the_product() -> None:
    graph = Graph()
    for direction in ("forward", "reverse", "bidirectional"):
        add(graph, "GRU", 20, direction, linear_before_reset=1)
        add(graph, "GRU", 7, direction, optional="l", linear_before_reset=1)
    check(graph, 1)


def test_lstm_without_peepholes_and_with_coupled_gates() -> None:
    graph = Graph()
    add(graph, "LSTM", 16, optional="bhc")
    add(graph, "LSTM", 16, optional="b", input_forget=1)
    add(graph, "LSTM", 9, "bidirectional", optional="hc")
    check(graph, 1)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_clipping(op: str) -> None:
    graph = Graph()
    add(graph, op, 21, "bidirectional", optional="b", clip=0.3)
    check(graph, 1)


def test_activations() -> None:
    graph = Graph()
    add(graph, "RNN", 12, activations=["Relu"])
    add(graph, "RNN", 12, "bidirectional", activations=["Relu", "Sigmoid"])
    add(graph, "RNN", 12, activations=["ScaledTanh"], activation_alpha=[1.5], activation_beta=[0.5])
    add(graph, "RNN", 12, activations=["LeakyRelu"], activation_alpha=[0.1])
    add(graph, "RNN", 12, activations=["Softsign"])
    add(graph, "GRU", 12, activations=["HardSigmoid", "Softsign"], activation_alpha=[0.25], activation_beta=[0.4])
    add(graph, "GRU", 12, activations=["Sigmoid", "ThresholdedRelu"], activation_alpha=[0.2])
    names = ["HardSigmoid", "Tanh", "Elu"]
    add(graph, "LSTM", 12, activations=names, activation_alpha=[0.2, 0.7], activation_beta=[0.5])
    add(graph, "LSTM", 12, activations=["Sigmoid", "Affine", "Tanh"], activation_alpha=[0.5], activation_beta=[0.1])
    add(graph, "LSTM", 12, activations=["Sigmoid", "Softplus", "Tanh"])
    check(graph, 1)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_weights_computed_at_run_time(op: str) -> None:
    graph = Graph()
    add(graph, op, 18, "bidirectional", constant=False)
    check(graph, 2)


def test_no_steps_leave_the_first_states() -> None:
    graph = Graph()
    x, h = graph.input(graph.normal(0, 2, 5)), graph.input(graph.normal(1, 2, 12))
    weights = [graph.weight(graph.normal(1, 36, n)) for n in (5, 12)]
    for y, rank in zip(graph.node("GRU", x, *weights, "", "", h, outputs=2, hidden_size=12), (4, 3), strict=True):
        graph.output(y, rank)
    all_states, last = fw.compile(graph.model(), threads=1).run(None, graph.feeds)
    assert all_states.shape == (0, 1, 2, 12)
    np.testing.assert_array_equal(last, graph.feeds[h])  # onnxruntime gives zeros


def test_only_the_last_state_is_wanted() -> None:
    graph = Graph()
    for op in ("LSTM", "GRU", "RNN"):
        add(graph, op, 24, "bidirectional")
        outputs = 3 if op == "LSTM" else 2
        del graph.outputs[-outputs : -outputs + 1]
    check(graph, 1)
