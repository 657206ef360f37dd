"""Words of the command line -> shapes and arrays."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from fusewright.errors import InputError, ShapeError
from fusewright.report.description import PortInfo
from fusewright.words import (
    arrays_from_npz,
    arrays_from_words,
    format_shape,
    require_all,
    shapes_from_words,
)

IMAGE = PortInfo("x", "float32", (1, 3, "h", "w"))
IDS = PortInfo("ids", "int64", ("batch", "tokens"))
MASK = PortInfo("mask", "int64", ("batch", "tokens"))
NAMELESS = PortInfo("n", "float32", (None, 4))
FIXED = PortInfo("f", "float32", (2, 3))


@pytest.mark.parametrize(
    ("words", "ports", "shapes"),
    [
        (["x=1x3x8x9"], [IMAGE], {"x": (1, 3, 8, 9)}),
        (["1x3x8x9"], [IMAGE], {"x": (1, 3, 8, 9)}),
        (["h=8", "w=9"], [IMAGE], {"x": (1, 3, 8, 9)}),
        (["h=8"], [IMAGE], {}),
        (["ids=2x7"], [IDS, MASK], {"ids": (2, 7), "mask": (2, 7)}),  # one input binds the names for all
        (["tokens=0", "batch=1"], [IDS], {"ids": (1, 0)}),
        (["n=5x4"], [NAMELESS, FIXED], {"n": (5, 4), "f": (2, 3)}),
        ([], [FIXED], {"f": (2, 3)}),
        (["a=b=7"], [PortInfo("a=b", "float32", ("k",))], {"a=b": (7,)}),
        # An input and a dimension of the same name: the rank tells which is meant.
        (["s=4"], [PortInfo("s", "float32", ("s", 2))], {"s": (4, 2)}),
        (["s=4x2"], [PortInfo("s", "float32", ("s", 2))], {"s": (4, 2)}),
    ],
)
def test_shapes(words: list[str], ports: list[PortInfo], shapes: dict[str, tuple[int, ...]]) -> None:
    assert shapes_from_words(words, ports) == shapes


@pytest.mark.parametrize(
    ("words", "ports", "said"),
    [
        (["x=1x3xAx9"], [IMAGE], "got '1x3xAx9'"),
        (["x="], [IMAGE], "got ''"),
        (["x=-1x3x8x8"], [IMAGE], "expected NAME="),
        (["x=1x3x8x99999999999"], [IMAGE], "at most"),
        (["1x7"], [IDS, MASK], "to say which input"),
        (["y=1x3x8x9"], [IMAGE], "no input and no open dimension"),
        (["y=4"], [IMAGE], "x: float32 1x3xhxw"),
        (["x=1x3x8"], [IMAGE], "rank 4 against 3"),
        (["x=1x4x8x9"], [IMAGE], "expected shape 1x3xhxw, got 1x4x8x9"),
        (["ids=2x7", "mask=2x8"], [IDS, MASK], "dimension 'tokens' is 7 elsewhere"),
        (["ids=2x7", "tokens=8"], [IDS, MASK], "dimension 'tokens' is 8 elsewhere"),
        (["f=2x4"], [FIXED], "expected shape 2x3, got 2x4"),
    ],
)
def test_bad_shapes(words: list[str], ports: list[PortInfo], said: str) -> None:
    with pytest.raises(ShapeError) as caught:
        shapes_from_words(words, ports)
    assert said in str(caught.value)


def test_open_dimensions_are_named_with_an_example() -> None:
    with pytest.raises(ShapeError) as caught:
        require_all({"f": (2, 3)}, [IMAGE, FIXED])
    assert "x: 1x3xhxw" in str(caught.value)
    assert "--shape x=1x3x1x1" in str(caught.value)


def test_shapes_of_given_arrays_bind_the_rest() -> None:
    shapes = shapes_from_words([], [IDS, MASK], {"ids": np.zeros((1, 5), np.int64)})
    assert shapes == {"ids": (1, 5), "mask": (1, 5)}


def test_arrays(tmp_path: Path) -> None:
    ids = np.arange(6).reshape(2, 3)
    np.save(tmp_path / "ids.npy", ids)
    arrays = arrays_from_words([f"ids={tmp_path / 'ids.npy'}"], [IDS, MASK])
    assert list(arrays) == ["ids"]
    np.testing.assert_array_equal(arrays["ids"], ids)
    np.testing.assert_array_equal(arrays_from_words([str(tmp_path / "ids.npy")], [IDS])["ids"], ids)


def test_a_narrow_float_keeps_its_type_through_a_file(tmp_path: Path) -> None:
    array = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    np.save(tmp_path / "b.npy", array)
    got = arrays_from_words([str(tmp_path / "b.npy")], [PortInfo("b", "bfloat16", (2,))])["b"]
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array)


def test_bad_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "double.npy", np.zeros((2, 3)))
    np.save(tmp_path / "long.npy", np.zeros((2, 4), np.float32))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "some.npz", a=np.zeros(1))
    (tmp_path / "text.npy").write_text("not an array")
    (tmp_path / "empty.npy").write_bytes(b"")
    for file, said in {
        "double.npy": "expected dtype float32, got float64",
        "long.npy": "expected shape 2x3, got 2x4",
        "objects.npy": "cannot be read",
        "some.npz": "expected one array (.npy), got an archive",
        "text.npy": "cannot be read",
        "empty.npy": "cannot be read",
        "none.npy": "cannot be read",
    }.items():
        with pytest.raises(InputError) as caught:
            arrays_from_words([f"f={tmp_path / file}"], [FIXED])
        assert said in str(caught.value), file
        assert "'f'" in str(caught.value) and file in str(caught.value)


def test_inputs_that_the_model_has_not(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.zeros((2, 3), np.float32))
    with pytest.raises(InputError, match="no input of this name"):
        arrays_from_words([f"g={tmp_path / 'f.npy'}"], [FIXED, IMAGE])
    with pytest.raises(InputError, match="given twice"):
        arrays_from_words([f"f={tmp_path / 'f.npy'}"] * 2, [FIXED, IMAGE])


def test_archives(tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    np.savez(path, ids=np.zeros((1, 4), np.int64))
    assert arrays_from_npz(path, [IDS, MASK])["ids"].shape == (1, 4)
    np.savez(path, other=np.zeros(1))
    with pytest.raises(InputError, match="no inputs of the model"):
        arrays_from_npz(path, [IDS])
    np.savez(path, ids=np.zeros((1, 4), np.int32))
    with pytest.raises(InputError, match="expected dtype int64, got int32"):
        arrays_from_npz(path, [IDS])
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(InputError, match="got one array"):
        arrays_from_npz(tmp_path / "one.npy", [IDS])
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="cannot be read"):
        arrays_from_npz(path, [IDS])


def test_shape_text() -> None:
    assert format_shape((1, None, "w")) == "1x?xw"
    assert format_shape(()) == "scalar"
