"""Do products of pairs agree with float64, and keep rows and columns apart that are not finite or of another size?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from branches import Graph, check
from paired_cases import adding, only_pairs

import fusewright as fw
from fusewright.schedules.paired import relative_error
from fusewright.target import host

__all__ = ["only_pairs"]
pytestmark = pytest.mark.usefixtures("only_pairs", "adding_host")
Array = np.ndarray[Any, Any]


@pytest.fixture
def adding_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusewright.compiler.host", lambda: adding(host()))


def compiled(graph: Graph, threads: int = 1) -> tuple[fw.Session, int]:
    """The session, and how many of its kernels are products of pairs."""
    session = fw.compile(graph.model(), threads=threads)
    session.run(None, graph.feeds)
    plan = session.programs[0].plan
    assert plan is not None
    return session, sum(any(c.chosen.name.startswith("pairs") for c in note.choices) for note in plan.notes)


def product(x: Array, w: Array, *, bias: Array | None = None, threads: int = 1) -> Array:
    graph = Graph()
    y = graph.node("MatMul", graph.input(x), graph.weight(w))[0]
    graph.output(y if bias is None else graph.node("Add", y, graph.weight(bias))[0], 2)
    session, pairs = compiled(graph, threads)
    assert pairs == 1
    return np.asarray(session.run(None, graph.feeds)[0])


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# channels in, channels out, input extents, filter, pads, strides, batch
LAYERS = [
    (64, 64, (28, 28), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (96, 17, (31, 29), (1, 1), (0, 0, 0, 0), (1, 1), 2),
    (48, 100, (15, 14), (1, 1), (0, 0, 0, 0), (2, 2), 1),
    (512, 33, (7, 7), (1, 1), (0, 0, 0, 0), (1, 1), 3),
    (33, 35, (9, 30), (3, 3), (1, 1, 1, 1), (1, 1), 2),
    (24, 40, (17, 13), (3, 3), (1, 0, 2, 1), (2, 1), 1),
    (20, 12, (50,), (5,), (2, 2), (1,), 2),
]
# the same, of inputs whose channels are planes
PLANES = [
    (3, 64, (33, 47), (7, 7), (3, 3, 3, 3), (2, 2), 2),
    (5, 17, (16, 31), (3, 3), (1, 0, 2, 1), (1, 1), 1),
    (3, 40, (48, 64), (8, 8), (0, 0, 0, 0), (8, 8), 1),
    (2, 12, (50,), (5,), (2, 2), (1,), 2),
]


@pytest.mark.parametrize("open_extents", [False, True], ids=["fixed", "open"])
@pytest.mark.parametrize("threads", [1, 3])
def test_layers_of_planes(threads: int, open_extents: bool) -> None:
    graph = Graph(open=open_extents)
    for ci, co, extents, taps, pads, strides, batch in PLANES:
        w, bias = graph.weight(graph.normal(co, ci, *taps)), graph.weight(graph.normal(co))
        x = graph.input(graph.normal(batch, ci, *extents))
        graph.output(graph.node("Conv", x, w, bias, pads=pads, strides=strides)[0], 2 + len(extents))
    assert compiled(graph, threads)[1] == len(PLANES)
    check(graph, threads)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_the_windows_that_hold_it(value: float) -> None:
    graph = Graph()
    x = graph.normal(1, 3, 20, 40)
    x[0, 1, 10, 21] = value
    y = graph.node("Conv", graph.input(x), graph.weight(graph.normal(16, 3, 5, 5)), pads=[2] * 4, strides=[2, 2])[0]
    graph.output(y, 4)
    session, pairs = compiled(graph)
    finite = np.isfinite(np.asarray(session.run(None, graph.feeds)[0]))
    assert pairs == 1 and finite.sum() == finite.size - 16 * 3 * 2
    assert not finite[0, :, 4:7, 10:12].any()


@pytest.mark.parametrize("open_extents", [False, True], ids=["fixed", "open"])
@pytest.mark.parametrize("threads", [1, 3])
def test_layers(threads: int, open_extents: bool) -> None:
    graph = Graph(open=open_extents)
    for i, (ci, co, extents, taps, pads, strides, batch) in enumerate(LAYERS):
        x = graph.channels_last(graph.input(graph.normal(batch, ci, *extents)), ci, 2 + len(extents))
        w, bias = graph.weight(graph.normal(co, ci, *taps)), graph.weight(graph.normal(co))
        if i % 2:
            x = graph.node("Mul", x, graph.input(graph.normal(batch, ci, *(1 for _ in extents))))[0]
        y = graph.node("Conv", x, w, bias, pads=pads, strides=strides)[0]
        graph.output(graph.node("Relu", y)[0], 2 + len(extents))
    for rows, k, columns in ((128, 96, 96), (50, 100, 1000), (197, 47, 70), (2000, 768, 24)):
        x = graph.input(graph.normal(2, rows, k))
        graph.output(graph.node("MatMul", x, graph.weight(graph.normal(k, columns)))[0], 3)
    assert compiled(graph, threads)[1] >= len(LAYERS) + 4
    check(graph, threads)


KINDS: dict[str, Callable[[Array], Array]] = {
    "normal": lambda x: x,
    "positive": lambda x: np.asarray(np.random.default_rng(1).random(x.shape)),
    "relu": lambda x: np.maximum(x, 0),
    "skew": np.exp,
}


@pytest.mark.parametrize("weights", ["normal", "positive"])
@pytest.mark.parametrize("kind", KINDS)
def test_error_is_what_is_promised(kind: str, weights: str) -> None:
    for k in (6, 7, 16, 48, 100, 512, 1024, 4096):
        x = KINDS[kind](normal(48, k)).astype(np.float32)
        w = KINDS[weights](normal(k, 40, seed=2)).astype(np.float32)
        wanted = x.astype(np.float64) @ w
        error = np.sqrt(np.mean((product(x, w) - wanted) ** 2) / np.mean(wanted**2))
        assert error < 2 * relative_error(k), k


LONG = 330
"""A row that is staged in one pass, by the size of 64 of its elements."""
of_both = pytest.mark.parametrize("k", [100, LONG])


@of_both
def test_rows_of_zeros_give_the_bias(k: int) -> None:
    x, bias = normal(25, k), normal(33, seed=3)
    x[3:9] = 0
    y = product(x, normal(k, 33, seed=1), bias=bias)
    np.testing.assert_array_equal(y[3:9], np.broadcast_to(bias, (6, 33)))
    assert (y[[0, 24]] != bias).all()


@pytest.mark.parametrize("size", [4e37, 1e30, 1e18, 1e-18, 1e-30, 1e-38])
@of_both
def test_rows_of_every_size(size: float, k: int) -> None:
    x, w = normal(25, k), normal(k, 33, seed=1) / np.float32(k)
    x[::3] *= np.float32(size)
    wanted = x.astype(np.float64) @ w
    error = np.abs(product(x, w) - wanted).max(axis=1) / np.sqrt(np.mean(wanted**2, axis=1))
    assert error.max() < 4e-6


@pytest.mark.parametrize("size", [0, 1e-30, 1e-3, 0.1, 10, 1e3, 1e18])
@pytest.mark.parametrize("period", [2, 16, 64, 160])
def test_rows_of_which_parts_are_of_another_size(size: float, period: int) -> None:
    x, w = normal(25, LONG), normal(LONG, 33, seed=1)
    x[:, np.arange(LONG) // period % 2 == 0] *= np.float32(size)
    wanted = x.astype(np.float64) @ w
    error = np.abs(product(x, w) - wanted).max(axis=1) / np.sqrt(np.mean(wanted**2, axis=1))
    assert error.max() < 4e-6


@pytest.mark.parametrize("k", [24, 100, LONG, 1024])
@pytest.mark.parametrize("size", [0, 1e-20, 0.1, 0.124, 4.1, 1e3])
def test_rows_do_not_depend_on_the_size_of_others(size: float, k: int) -> None:
    """One row of another size has all rows of its block copied, where they are read where they lie."""
    x, w = normal(45, k), normal(k, 33, seed=1)
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    x[::5] *= 3.9
    x[1::5] /= 7.9
    clean = product(x, w)
    x[[7, 44]] *= np.float32(size)
    np.testing.assert_array_equal(np.delete(product(x, w), [7, 44], 0), np.delete(clean, [7, 44], 0))


def test_rows_of_zeros_are_no_reason_to_copy() -> None:
    x, w = normal(45, 100), normal(100, 33, seed=1)
    x[4] = 0
    y = product(x, w)
    assert not y[4].any()
    np.testing.assert_allclose(y, x.astype(np.float64) @ w, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 3])
def test_rows_that_are_parts_of_longer_ones(threads: int) -> None:
    """Channels of a concatenation, which is made in place."""
    graph = Graph()
    x = graph.channels_last(graph.input(graph.normal(1, 40, 9, 11)), 40, 4)
    one = graph.node("Relu", x)[0]
    other = graph.node("Relu", graph.node("Conv", one, graph.weight(graph.normal(24, 40, 1, 1)))[0])[0]
    both = graph.node("Concat", one, other, axis=1)[0]
    graph.output(graph.node("Conv", both, graph.weight(graph.normal(33, 64, 1, 1)))[0], 4)
    assert compiled(graph, threads)[1] >= 3
    check(graph, threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_added_to_a_product_of_itself_is_not_written_over(threads: int) -> None:
    graph = Graph()
    x = graph.node("Relu", graph.input(graph.normal(100, 96)))[0]
    for _ in range(3):
        made = graph.node("MatMul", x, graph.weight(graph.normal(96, 96) / np.float32(10)))[0]
        x = graph.node("Add", x, made)[0]
    graph.output(x, 2)
    assert compiled(graph, threads)[1] == 3
    check(graph, threads)


@pytest.mark.parametrize("size", [1e11, 1e-11, 1e-30, 1e-37])
def test_columns_of_every_size(size: float) -> None:
    x, w = normal(25, 100), normal(100, 33, seed=1)
    w[:, ::3] *= np.float32(size)
    wanted = x.astype(np.float64) @ w
    error = np.abs(product(x, w) - wanted).max(axis=0) / np.sqrt(np.mean(wanted**2, axis=0))
    assert error.max() < 4e-6


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 15, 16, 47, 48, 99])
@of_both
def test_what_is_not_finite_stays_in_its_row(value: float, place: int, k: int) -> None:
    x, w = normal(25, k), normal(k, 33, seed=1)
    clean = product(x, w)
    x[17, place] = value
    y = product(x, w)
    assert not np.isfinite(y[17]).any()
    np.testing.assert_array_equal(np.delete(y, 17, 0), np.delete(clean, 17, 0))


@pytest.mark.parametrize("threads", [1, 2])
def test_equal_rows_and_columns_give_equal_results(threads: int) -> None:
    rows, columns = np.tile(normal(1, 100), (25, 1)), np.tile(normal(100, 1, seed=1), (1, 33))
    by_rows, by_columns = product(rows, normal(100, 33), threads=threads), product(normal(25, 100), columns)
    np.testing.assert_array_equal(by_rows, np.broadcast_to(by_rows[:1], by_rows.shape))
    np.testing.assert_array_equal(by_columns, np.broadcast_to(by_columns[:, :1], by_columns.shape))


def pixels(x: Array, w: Array, threads: int = 1) -> Array:
    """A pointwise convolution of pictures [batch, channels, height, width] whose channels lie side by side."""
    graph = Graph()
    y = graph.node("Conv", graph.channels_last(graph.input(x), x.shape[1], 4), graph.weight(w[:, :, None, None]))[0]
    graph.output(y, 4)
    session, _ = compiled(graph, threads)
    plan = session.programs[0].plan
    assert plan is not None and any("fw_balance_twins_f32" in text for text in plan.sources.values())
    return np.asarray(session.run(None, graph.feeds)[0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("columns", [1, 8, 24])
@pytest.mark.parametrize("extents", [(7, 11), (5, 8)])
def test_rows_that_share_a_vector_keep_apart(value: float, columns: int, extents: tuple[int, int]) -> None:
    x, w = normal(1, 210, *extents), normal(columns, 210, seed=1)
    clean = pixels(x, w)
    for row, column in ((0, 0), (2, 3), (4, 6)):
        dirty = x.copy()
        dirty[0, 17, row, column] = value
        y = pixels(dirty, w)
        assert not np.isfinite(y[0, :, row, column]).any()
        y[0, :, row, column] = clean[0, :, row, column]
        np.testing.assert_array_equal(y, clean)


@pytest.mark.parametrize("threads", [1, 2])
def test_equal_pixels_and_channels_give_equal_results(threads: int) -> None:
    by_pixels = pixels(np.tile(normal(1, 210, 1, 1), (1, 1, 7, 11)), normal(24, 210, seed=1), threads)
    by_channels = pixels(normal(1, 210, 7, 11), np.tile(normal(1, 210, seed=1), (24, 1)), threads)
    np.testing.assert_array_equal(by_pixels, np.broadcast_to(by_pixels[..., :1, :1], by_pixels.shape))
    np.testing.assert_array_equal(by_channels, np.broadcast_to(by_channels[:, :1], by_channels.shape))


def two_products(k: int) -> Graph:
    graph = Graph()
    graph.output(graph.node("MatMul", graph.input(graph.normal(64, k)), graph.weight(graph.normal(k, 64)))[0], 2)
    x = graph.channels_last(graph.input(graph.normal(1, 2, 14, 14)), 2, 4)
    x = graph.node("Conv", x, graph.weight(graph.normal(k, 2, 1, 1)))[0]
    graph.output(graph.node("Conv", x, graph.weight(graph.normal(64, k, 1, 1)))[0], 4)
    return graph


def test_a_limit_of_errors_counts_for_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled(two_products(64))[1] == compiled(two_products(65))[1] == 2
    monkeypatch.setenv("FUSEWRIGHT_WINOGRAD", repr(relative_error(64)))
    assert (compiled(two_products(64))[1], compiled(two_products(65))[1]) == (2, 0)
    monkeypatch.setenv("FUSEWRIGHT_WINOGRAD", "off")
    assert compiled(two_products(6))[1] == 0


@pytest.mark.parametrize("ci", [59, LONG])
def test_channels_that_are_multiplied(ci: int) -> None:
    graph = Graph()
    x = graph.input(graph.normal(1, 8, 14, 14))
    wide = graph.node("Relu", graph.node("Conv", x, graph.weight(graph.normal(ci, 8, 1, 1)))[0])[0]
    means = graph.node("GlobalAveragePool", wide)[0]
    factors = graph.node("Relu", graph.node("Conv", means, graph.weight(graph.normal(ci, ci, 1, 1)))[0])[0]  # or 0
    gated = graph.node("Mul", wide, factors)[0]
    graph.output(graph.node("Conv", gated, graph.weight(graph.normal(24, ci, 1, 1)))[0], 4)
    session, _ = compiled(graph)
    plan = session.programs[0].plan
    assert plan is not None and any("fw_balance_twins_scaled_f32" in text for text in plan.sources.values())
    check(graph, 1)
