"""Random inputs are valid for the model, and the same each time."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from fusewright.errors import ShapeError, UnsupportedError
from fusewright.report.description import PortInfo
from fusewright.samples import random_inputs, table_rows

MODEL = """
<ir_version: 10, opset_import: ["": 21]>
agraph (int64[N, T] ids, int64[N, T] kinds, int64[N, T] mask, int32[N] row, float[3] free) =>
       (float[N, T, 4] y, float[N, T, 4] z, int64[N, T] m, float[N, M] g)
{
    flat = Identity(ids)
    y = Gather(words, flat)
    z = Gather(types, kinds)
    m = Add(mask, mask)
    wide = Cast<to = 7>(row)
    g = Gather<axis = 1>(table, wide)
}
"""


def ports(*dtypes: str) -> list[PortInfo]:
    return [PortInfo(f"p{i}", dtype, (40, 50)) for i, dtype in enumerate(dtypes)]


def draw(*dtypes: str, seed: int = 0) -> list[np.ndarray]:
    made = ports(*dtypes)
    return list(random_inputs(made, {p.name: (40, 50) for p in made}, seed).values())


def test_tables_bound_the_inputs_that_index_them() -> None:
    shapes = {"words": (50, 4), "types": (2, 4), "table": (9, 30)}
    proto = onnx.parser.parse_model(MODEL)
    for name, shape in shapes.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name))
    assert table_rows(ir.from_proto(proto)) == {"ids": 50, "kinds": 2, "row": 30}


def test_values_suit_their_type() -> None:
    f32, f64, i64, i8, u8, flags, half = draw("float32", "float64", "int64", "int8", "uint8", "bool", "bfloat16")
    assert f32.dtype == np.float32 and abs(float(f32.mean())) < 0.1 and abs(float(f32.std()) - 1) < 0.1
    assert f64.dtype == np.float64
    assert set(np.unique(i64)) == {0, 1}
    assert i8.min() < -100 and i8.max() > 100
    assert u8.min() < 10 and u8.max() > 245
    assert set(np.unique(flags)) == {False, True}
    assert half.dtype.name == "bfloat16"


def test_rows_of_a_table() -> None:
    made = ports("int64")
    (ids,) = random_inputs(made, {"p0": (40, 50)}, 0, {"p0": 30}).values()
    assert ids.min() == 0 and ids.max() == 29


def test_the_same_seed_gives_the_same_arrays() -> None:
    first, again, other = draw("float32"), draw("float32"), draw("float32", seed=1)
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])
    a, b = draw("float32", "float32")
    assert not np.array_equal(a, b)


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(UnsupportedError, match="strings"):
        draw("string")
    with pytest.raises(ShapeError, match="p0"):
        random_inputs(ports("float32"), {})
