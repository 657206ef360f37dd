"""Do operations that move data agree with the ONNX reference: shapes, dtypes, negative steps, empty parts?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from branches import Graph, check
from cases import Array, Cases, Constant, ints, random_array

import fusewright as fw
from fusewright.graph.text import parse_model
from fusewright.runtime import build

DTYPES = ("float32", "float64", "float16", "bfloat16", "int8", "uint8", "int16", "int32", "int64", "uint64", "bool")
SHAPE = (2, 3, 5, 19)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return random_array(rng, shape, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_moves(dtype: str, rng: np.random.Generator) -> None:
    x = random_array(rng, SHAPE, dtype)
    cases = Cases()
    cases.add("Transpose", x, perm=[3, 1, 0, 2])
    cases.add("Slice", x, ints(1, -1), ints(5, -30), ints(2, 3), ints(2, -2))
    cases.add("Concat", x, x[:, :, :2], x, axis=2)
    cases.add("Pad", x, ints(0, 1, 2, 3, 1, 0, 2, 4), mode="edge")
    cases.add("Gather", x, np.array([[0, -1], [2, 1]]), axis=1)
    cases.add("Tile", x, ints(2, 1, 3, 2))
    cases.add("Expand", x[:, :1], ints(2, 3, 5, 19))
    cases.add("Reshape", x, ints(6, -1, 5))
    cases.add("Split", x, ints(4, 15), axis=3, outputs=2)
    cases.add("ScatterElements", x, rng.permuted(np.tile(np.arange(5)[:, None], (2, 3, 1, 19)), axis=2), x, axis=2)
    if dtype not in ("bool", "bfloat16"):
        cases.add("Resize", x, None, Constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest")
    cases.check()


def test_slices(rng: np.random.Generator) -> None:
    x = normal(rng, *SHAPE)
    big = np.iinfo(np.int64).max
    cases = Cases()
    cases.add("Slice", x, ints(1), ints(2), ints(0))
    cases.add("Slice", x, ints(0, 2), ints(big, -1))
    cases.add("Slice", x, ints(-1), ints(-big), ints(3), ints(-1))
    cases.add("Slice", x, ints(17), ints(3), ints(3), ints(-5))
    cases.add("Slice", x, ints(4), ints(2), ints(3))  # nothing is left
    cases.add("Slice", x, ints(-7, 1), ints(100, 3), ints(-1, -3), ints(3, 1))
    cases.add("Split", x, axis=-1, num_outputs=3, outputs=3)
    cases.add("Split", x, ints(0, 3), axis=1, outputs=2)
    cases.check()


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
def test_pads(mode: str, rng: np.random.Generator) -> None:
    x = normal(rng, *SHAPE)
    cases = Cases()
    cases.add("Pad", x, ints(0, 1, 2, 3, 1, 0, 2, 4), mode=mode)
    cases.add("Pad", x, ints(0, 0, 0, 0, 0, 0, 0, 17), mode=mode)
    cases.add("Pad", x, ints(2, 3), None, ints(-1), mode=mode)
    cases.add("Pad", x[..., :3], ints(7, 11), None, ints(3), mode=mode)
    if mode == "constant":
        cases.add("Pad", x, ints(1, 2), Constant(np.array(7, np.float32)), ints(2), mode=mode)
        cases.add("Pad", x, ints(1, 2), np.array(-3, np.float32), ints(2), mode=mode)
    cases.check()


def test_negative_pads_crop(rng: np.random.Generator) -> None:
    x = normal(rng, *SHAPE)
    cropped = np.pad(x, [(0, 0), (0, 0), (0, 2), (3, 0)], constant_values=2)[:, :, 1:, :-4]
    cases = Cases()  # the reference cannot
    cases.add("Pad", x, ints(-1, 3, 2, -4), Constant(np.array(2, np.float32)), ints(2, 3), expected=[cropped])
    cases.check()


@pytest.mark.parametrize("axis", range(4))
@pytest.mark.parametrize("threads", [1, 2])
def test_concatenation(axis: int, threads: int, rng: np.random.Generator) -> None:
    cases = Cases()
    for batch in (1, 2):
        x = normal(rng, batch, 3, 5, 19)
        parts = [np.concatenate([x] * n, axis) if n else np.take(x, [], axis) for n in (1, 2, 0, 3)]
        cases.add("Concat", *parts, axis=axis)
        cases.add("Concat", x, axis=axis - 4)
    cases.add("Concat", np.arange(5), np.arange(40), axis=0)
    cases.check(threads)


def test_blocks_and_triangles(rng: np.random.Generator) -> None:
    cases = Cases()
    x = normal(rng, 2, 12, 4, 6)
    for mode in ("DCR", "CRD"):
        cases.add("DepthToSpace", x, blocksize=2, mode=mode)
    cases.add("SpaceToDepth", x, blocksize=2)
    for upper in (0, 1):
        for k in (-2, 0, 3):
            cases.add("Trilu", x, Constant(np.array(k)), upper=upper)
    cases.add("EyeLike", normal(rng, 5, 9), k=-2)
    cases.add("CenterCropPad", x, ints(3, 9), axes=[0, 3])
    cases.add("ReverseSequence", normal(rng, 4, 3, 5), np.array([4, 1, 2]))
    cases.add("ReverseSequence", normal(rng, 3, 4, 5), np.array([4, 1, 2]), batch_axis=0, time_axis=1)
    cases.add("AffineGrid", normal(rng, 2, 2, 3), ints(2, 3, 5, 6))
    cases.add("AffineGrid", normal(rng, 2, 3, 4), ints(2, 3, 5, 6, 7), align_corners=1)
    cases.check()


def test_gathers(rng: np.random.Generator) -> None:
    x = normal(rng, *SHAPE)
    cases = Cases()
    for axis in (0, 1, -1):
        extent = x.shape[axis]
        cases.add("Gather", x, rng.integers(-extent, extent, (2, 7)), axis=axis)
        cases.add("Gather", x, np.array(-1, np.int32), axis=axis)
    cases.add("Gather", x, np.zeros((0, 2), np.int64), axis=1)
    cases.add("GatherElements", x, rng.integers(-5, 5, (2, 3, 7, 19)), axis=2)
    cases.add("GatherND", x, rng.integers(-2, 2, (4, 2)))
    cases.add("GatherND", x, rng.integers(-3, 3, (2, 4, 1)), batch_dims=1)
    cases.add("OneHot", np.array([[1, -2], [3, 9]]), Constant(np.array(4)), np.array([2, 5], np.float32), axis=1)
    cases.check()


def test_scatters(rng: np.random.Generator) -> None:
    x = normal(rng, 4, 5, 6)
    cases = Cases()
    indices = rng.integers(-5, 5, (4, 7, 6))
    for how in ("none", "add", "mul", "min", "max"):
        cases.add("ScatterElements", x, indices, normal(rng, 4, 7, 6), axis=1, reduction=how)
        points = np.array([[[0, 1], [2, -1]], [[3, 3], [0, 1]]])
        cases.add("ScatterND", x, points, normal(rng, 2, 2, 6), reduction=how)
    cases.add("ScatterND", x, np.array([[1], [-1]]), normal(rng, 2, 5, 6))
    cases.add("ScatterElements", x, np.zeros((0, 5, 6), np.int64), np.zeros((0, 5, 6), np.float32))
    cases.check(threads=2)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "int32", "int64", "uint64"])
def test_top_k(dtype: str, rng: np.random.Generator) -> None:
    x = random_array(rng, (3, 40, 4), dtype)  # with equal elements where the dtype is narrow
    cases = Cases()
    for largest in (0, 1):
        for axis, k in ((1, 7), (1, 40), (-1, 1), (0, 2)):
            cases.add("TopK", x, ints(k), outputs=2, axis=axis, largest=largest)
    cases.check()


@pytest.mark.parametrize("wanted", ["values", "places"])
@pytest.mark.parametrize("axis", [0, 1])
def test_top_k_of_which_one_result_is_read(wanted: str, axis: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((20, 30)).astype(np.float32)
    read = {"values": "float[?,?] y) { values, places = TopK<axis=%d>(x, k) y = Neg(values) }",
            "places": "int64[?,?] y) { values, places = TopK<axis=%d>(x, k) y = Neg(places) }"}[wanted]  # fmt: skip
    model = parse_model(f"g (float[20,30] x, int64[1] k) => ({read % axis}")
    order = np.argsort(-x, axis=axis, kind="stable").take(range(5), axis)
    expected = order if wanted == "places" else np.take_along_axis(x, order, axis)
    for threads in (1, 2):
        found = fw.compile(model, threads=threads).run(None, {"x": x, "k": np.array([5])})[0]
        np.testing.assert_array_equal(found, -expected)


def test_top_k_takes_nan_as_the_largest() -> None:
    x = np.array([1, np.nan, 3, -np.inf, np.nan, np.inf], np.float32)
    cases = Cases()
    best = [np.array([np.nan, np.nan, np.inf], np.float32), np.array([1, 4, 5])]
    least = [np.array([-np.inf, 1, 3], np.float32), np.array([3, 0, 2])]
    cases.add("TopK", x, ints(3), outputs=2, expected=best)
    cases.add("TopK", x, ints(3), outputs=2, largest=0, expected=least)
    cases.check()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "int64"])
@pytest.mark.parametrize("largest", [0, 1])
def test_best_of_long_rows(dtype: str, largest: int, rng: np.random.Generator) -> None:
    """Most elements are passed by many at once; of equal ones the first is taken, and NaN is larger than all."""
    x = np.round(rng.standard_normal((3, 1000)) * 30).astype(dtype)
    x[2] = np.sort(x[2])
    if dtype.startswith("float"):
        x[0, [5, 400, 401, 999]] = np.nan, np.inf, -np.inf, np.nan
        x[1, ::2] = np.nan
    cases = Cases()
    for k in (1, 7, 90, 1000):
        for axis, turned in ((1, x), (0, x.T.copy())):
            keys = turned if largest == 0 else np.where(np.isnan(turned), np.inf, turned).astype(np.float64)
            order = np.argsort(-keys if largest else keys, axis=axis, kind="stable")
            if largest and dtype.startswith("float"):  # what is not a number before infinity
                order = np.lexsort((-keys, ~np.isnan(turned)), axis=axis)
            places = np.take(order, np.arange(k), axis=axis)
            best = np.take_along_axis(turned, places, axis=axis), places.astype(np.int64)
            cases.add("TopK", turned, ints(k), outputs=2, axis=axis, largest=largest, expected=best)
    cases.check()


COORDINATES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_resizes(coordinates: str, rng: np.random.Generator) -> None:
    x = normal(rng, 2, 3, 7, 10)
    common: dict[str, Any] = {"coordinate_transformation_mode": coordinates}
    cases = Cases()
    for scale in (2.0, 0.6, 1.7):
        scales = Constant(np.array([1, 1, scale, 1.5], np.float32))
        for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            cases.add("Resize", x, None, scales, mode="nearest", nearest_mode=rounding, **common)
        cases.add("Resize", x, None, scales, mode="linear", **common)
        cases.add("Resize", x, None, scales, mode="cubic", tolerance=5e-5, **common)
        cases.add(
            "Resize", x, None, scales, mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1, tolerance=5e-5, **common
        )
        cases.add("Resize", x, None, scales, mode="linear", antialias=1, **common)
    cases.add("Resize", x, None, None, ints(5, 16), mode="linear", axes=[3, 2], **common)
    cases.add("Resize", x, None, None, ints(20, 17), axes=[2, 3], keep_aspect_ratio_policy="not_larger", **common)
    cases.add("Resize", x, None, None, ints(2, 3, 1, 30), mode="linear", **common)
    cases.check()


def test_integers_are_rounded_when_resized(rng: np.random.Generator) -> None:
    cases = Cases()
    scales = Constant(np.array([1, 1, 4, 2], np.float32))  # weights are exact: so are halves
    for dtype in ("uint8", "int8", "int32"):
        cases.add("Resize", random_array(rng, (1, 2, 5, 9), dtype), None, scales, mode="linear")
    cases.check()


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_samples(padding: str, rng: np.random.Generator) -> None:
    cases = Cases()
    x = normal(rng, 2, 3, 5, 7)
    grid = (rng.random((2, 4, 6, 2)) * 3 - 1.5).astype(np.float32)
    for mode in ("linear", "nearest", "cubic"):
        for corners in (0, 1):
            cases.add("GridSample", x, grid, mode=mode, padding_mode=padding, align_corners=corners, tolerance=1e-4)
    volume = normal(rng, 1, 2, 3, 4, 5)
    points = (rng.random((1, 2, 3, 4, 3)) * 2.5 - 1.25).astype(np.float32)
    cases.add("GridSample", volume, points, padding_mode=padding, tolerance=1e-4)
    cases.check()


def test_patches_and_local_norms(rng: np.random.Generator) -> None:
    cases = Cases()
    cases.add("Col2Im", normal(rng, 2, 3 * 4, 20), ints(5, 6), ints(2, 2))
    columns = normal(rng, 1, 2 * 9, 4)
    cases.add("Col2Im", columns, ints(5, 5), ints(3, 3), strides=[2, 2], pads=[0, 1, 1, 0], dilations=[1, 1])
    x = normal(rng, 5, 5, 3, 4)  # the reference counts channels by the batch's extent
    cases.add("LRN", x, size=3, alpha=0.01, beta=0.6, bias=1.5)
    cases.add("LRN", x, size=4, alpha=0.3, bias=0.5)
    cases.check()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("open_extents", [False, True])
def test_local_norms_of_channels_that_lie_last(threads: int, open_extents: bool) -> None:
    graph = Graph(open=open_extents)
    sizes = [(1, 96, 5, 0.75, (9, 11)), (2, 17, 3, 0.5, (3, 5)), (3, 7, 9, 0.75, (1, 2))]
    for batch, channels, size, beta, space in sizes:
        x = graph.channels_last(graph.input(graph.normal(batch, channels, *space) * 3), channels, 4)
        y = graph.node("LRN", x, size=size, alpha=0.1, beta=beta, bias=1.0)[0]
        graph.output(graph.channels_last(y, channels, 4), 4)
    check(graph, threads)


def test_empty_tensors(rng: np.random.Generator) -> None:
    empty = np.zeros((0, 4), np.float32)
    cases = Cases()
    cases.add("Transpose", empty)
    cases.add("Concat", empty, normal(rng, 2, 4), axis=0)
    cases.add("Pad", empty, ints(1, 0, 1, 0), Constant(np.array(5, np.float32)))
    cases.add("Expand", normal(rng, 1, 4), ints(0, 1, 4))
    cases.add("Tile", normal(rng, 2, 4), ints(0, 2))
    cases.add("Gather", normal(rng, 2, 4), np.zeros((0,), np.int64))
    cases.check()


def sized(rng: np.random.Generator, height: int, width: int) -> Cases:
    cases = Cases()
    x = normal(rng, 1, 3, height, width)
    cases.add("Resize", x, None, Constant(np.array([1, 1, 2, 2], np.float32)), mode="linear", open_dims=True)
    cases.add("Pad", x, ints(0, 0, 1, 2, 0, 0, 3, 1), open_dims=True)
    cases.add("Concat", x, x, axis=3, open_dims=True)
    cases.add("Slice", x, ints(2), ints(-1), ints(3), open_dims=True)
    cases.add("Gather", x, np.array([1, -1]), axis=2, open_dims=True)
    return cases


def test_new_sizes_call_no_compiler(rng: np.random.Generator) -> None:
    session = sized(rng, 8, 20).check()
    started = build.compiler_starts
    for height, width in ((6, 9), (30, 33), (9, 64)):
        sized(rng, height, width).check(session=session)
    assert build.compiler_starts == started


def test_random_chains_of_moves(rng: np.random.Generator) -> None:
    """Index maps compose: what one move leaves is what the next one reads."""
    for _ in range(3):
        cases = Cases()
        for _ in range(8):
            x = normal(rng, *(int(d) for d in rng.integers(1, 9, rng.integers(2, 5))))
            rank = x.ndim
            start = [int(rng.integers(0, d)) for d in x.shape]
            cases.add("Transpose", x, perm=[int(d) for d in rng.permutation(rank)])
            cases.add("Slice", x, ints(*start), ints(*x.shape))
            cases.add("Pad", x, ints(*(int(p) for p in rng.integers(0, 3, 2 * rank))), mode="constant")
            cases.add("Tile", x, ints(*(int(r) for r in rng.integers(1, 3, rank))))
        cases.check()


def test_regions_of_interest(rng: np.random.Generator) -> None:
    cases = Cases()
    x = normal(rng, 2, 3, 9, 11)
    corners = rng.random((5, 2)) * 12 - 2
    rois = np.concatenate([corners, corners + rng.random((5, 2)) * 14], 1).astype(np.float32)
    batches = np.array([0, 1, 1, 0, 1])
    for mode in ("avg", "max"):
        for coordinates in ("half_pixel", "output_half_pixel"):
            for ratio in (0, 2):
                cases.add(
                    "RoiAlign", x, rois, batches, mode=mode, coordinate_transformation_mode=coordinates,
                    sampling_ratio=ratio, output_height=3, output_width=4, spatial_scale=0.7, tolerance=3e-5,
                )  # fmt: skip
    cases.check()
