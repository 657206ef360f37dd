"""Do DFT and STFT agree with NumPy's transforms: lengths, axes, both directions, one side, windows, long signals?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

import fusewright as fw
from fusewright.errors import UnsupportedError
from fusewright.rules.fourier import MAX_POINTS

Array = np.ndarray[Any, Any]
OPSET = 20
TOLERANCE = {"float16": 4e-3, "float32": 2e-6, "float64": 1e-13}  # of the largest magnitude


def compiled(
    op: str, inputs: Sequence[Array | int | None], shape: Sequence[int], dtype: str, **attributes: int
) -> Array:
    """The output of one node. Integers are constant inputs, arrays are given at run time."""
    names, weights, feeds = [], [], {}
    for i, value in enumerate(inputs):
        names.append("" if value is None else f"i{i}")
        if isinstance(value, int):
            weights.append(numpy_helper.from_array(np.array(value, np.int64), f"i{i}"))
        elif value is not None:
            feeds[f"i{i}"] = value
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    ports = [helper.make_tensor_value_info(name, kind, array.shape) for name, array in feeds.items()]
    node = helper.make_node(op, names, ["y"], **attributes)
    graph = helper.make_graph([node], "g", ports, [helper.make_tensor_value_info("y", kind, list(shape))], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    result: Array = fw.compile(model, threads=1).run(None, feeds)[0]
    return result


def compare(got: Array, expected: Array, dtype: str) -> None:
    assert got.shape == expected.shape and got.dtype == np.dtype(dtype)
    limit = TOLERANCE[dtype] * float(np.abs(expected).max())
    np.testing.assert_allclose(got.astype(np.float64), expected, rtol=0, atol=limit)


def parts_of(z: Array) -> Array:
    return np.stack([z.real, z.imag], -1)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(
    ("shape", "axis", "length", "parts", "inverse", "onesided"),
    [
        ((3, 8, 5), 1, None, 1, 0, 0),
        ((3, 9, 5), 1, None, 2, 0, 0),
        ((3, 8, 5), -2, 11, 1, 0, 1),  # padded, odd; -2 is the last dimension before the parts
        ((2, 12), 1, 7, 1, 0, 1),  # cut
        ((4, 6), 0, None, 2, 1, 0),
        ((3, 7), 1, 10, 2, 1, 0),
        ((2, 5), 1, None, 2, 1, 1),  # to 8 real points
        ((2, 5), 1, 9, 2, 1, 1),
        ((2, 5), 1, 14, 2, 1, 1),  # frequencies that are not given are 0
        ((1, 1), 1, None, 1, 0, 1),
    ],
)
def test_dft(
    shape: tuple[int, ...], axis: int, length: int | None, parts: int, inverse: int, onesided: int, dtype: str
) -> None:
    rng = np.random.default_rng(0)
    data = rng.standard_normal((*shape, parts)).astype(dtype)
    wide = data.astype(np.float64)
    z = wide[..., 0] + 1j * wide[..., 1] if parts == 2 else wide[..., 0] + 0j
    along = axis if axis >= 0 else axis + 1  # NumPy's array has no dimension for the parts
    if onesided and inverse:
        points = length or 2 * (shape[along] - 1)
        half = np.moveaxis(z, along, -1)[..., : points // 2 + 1]
        half[..., 0] = half[..., 0].real
        if points % 2 == 0 and half.shape[-1] == points // 2 + 1:
            half[..., -1] = half[..., -1].real
        expected = np.moveaxis(np.fft.irfft(half, points), -1, along)[..., None]
    elif onesided:
        expected = parts_of(np.fft.rfft(z.real, length, along))
    else:
        expected = parts_of((np.fft.ifft if inverse else np.fft.fft)(z, length, along))
    got = compiled("DFT", [data, length, axis], expected.shape, dtype, inverse=inverse, onesided=onesided)
    compare(got, expected, dtype)


@pytest.mark.parametrize(
    ("samples", "step", "length", "windowed", "parts", "onesided"),
    [(100, 7, 16, False, 1, 1), (100, 10, None, True, 1, 1), (64, 16, 16, True, 1, 0), (40, 5, 9, True, 2, 0)],
)
def test_stft(samples: int, step: int, length: int | None, windowed: bool, parts: int, onesided: int) -> None:
    rng = np.random.default_rng(1)
    points = length or 12
    data = rng.standard_normal((2, samples, parts)).astype(np.float32)
    window = np.hanning(points).astype(np.float32) + 0.1 if windowed else None
    z = data[..., 0] + 1j * data[..., 1] if parts == 2 else data[..., 0]
    starts = range(0, samples - points + 1, step)
    frames = np.stack([z[:, s : s + points] * (1 if window is None else window) for s in starts], 1)
    expected = parts_of(np.fft.rfft(frames.real) if onesided else np.fft.fft(frames))
    inputs: list[Array | int | None] = [data, step, window, length]
    compare(compiled("STFT", inputs, expected.shape, "float32", onesided=onesided), expected, "float32")


def test_stft_has_one_side_unless_asked_otherwise() -> None:
    data = np.ones((1, 32, 1), np.float32)
    assert compiled("STFT", [data, 8, None, 8], (1, 4, 5, 2), "float32").shape == (1, 4, 5, 2)


def test_a_transform_that_is_too_long_is_refused() -> None:
    data = np.ones((1, MAX_POINTS + 1, 1), np.float32)
    with pytest.raises(UnsupportedError, match="operation DFT"):
        compiled("DFT", [data, None, 1], (1, MAX_POINTS + 1, 2), "float32")
