"""A model file that is at fault gives one message that says what and where, and never costs memory first."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusewright.errors import ModelError, UnsupportedError, UserError
from fusewright.frontend.onnx import load
from fusewright.graph.text import parse_model

TEXT = "g (float[2,64] x) => (float[2,64] y) <float[64] w> { y = Add(x, w) }"


def proto_of(text: str = TEXT) -> onnx.ModelProto:
    return ir.to_proto(parse_model(text))


def save_external(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "m.onnx"
    onnx.save(proto_of(), path, save_as_external_data=True, location="m.data", size_threshold=0)
    return path


def relocate(path: Path, **entries: str) -> Path:
    """Change what the model says of its external file."""
    proto = onnx.load(path, load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        entry.value = entries.get(entry.key, entry.value)
    path.write_bytes(proto.SerializeToString())
    return path


def test_file_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: no such file"):
        load(tmp_path / "none.onnx")


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"got a directory"):
        load(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.onnx"
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"empty"):
        load(path)


@pytest.mark.parametrize(
    "content",
    [b"#!/bin/sh\necho hello\n", b"\x89PNG\r\n\x1a\n" + bytes(40), b"PK\x03\x04" + bytes(30), b"\0" * 64, b"{}"],
)
def test_another_kind_of_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"not an ONNX file"):
        load(path)


def test_truncated_at_every_length(tmp_path: Path) -> None:
    data = proto_of().SerializeToString()
    for length in range(len(data)):
        with pytest.raises(ModelError):
            load(data[:length])
    with pytest.raises(ModelError, match=r"truncated"):
        load(data[: len(data) // 2])


def test_name_that_no_file_can_have() -> None:
    with pytest.raises(ModelError):
        load("a\0b.onnx")


def test_wrong_kind_of_object() -> None:
    with pytest.raises(ModelError, match=r"not dict"):
        load({})


def test_directory_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be read|no such file"):
        load(tmp_path / ("n" * 300))


def test_external_file_missing(tmp_path: Path) -> None:
    path = save_external(tmp_path)
    (tmp_path / "m.data").unlink()
    with pytest.raises(ModelError, match=r"weight 'w': external file 'm.data' is missing"):
        load(path)


def test_external_file_too_short(tmp_path: Path) -> None:
    path = save_external(tmp_path)
    os.truncate(tmp_path / "m.data", 100)
    with pytest.raises(ModelError, match=r"weight 'w': needs bytes 0 to 256 of 'm.data', which has 100"):
        load(path)


@pytest.mark.parametrize("where", ["../secret", "sub/../../secret", "/etc/passwd"])
def test_external_file_that_escapes(tmp_path: Path, where: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(256))
    path = relocate(save_external(tmp_path / "model"), location=where)
    with pytest.raises(ModelError, match=r"leads outside|expected a path relative"):
        load(path)


def test_external_file_that_escapes_by_a_link(tmp_path: Path) -> None:
    path = save_external(tmp_path / "model")
    data = tmp_path / "model" / "m.data"
    data.rename(tmp_path / "elsewhere")
    data.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=r"leads outside"):
        load(path)


def test_external_file_by_a_link_that_stays_inside(tmp_path: Path) -> None:
    path = save_external(tmp_path)
    (tmp_path / "m.data").rename(tmp_path / "real")
    (tmp_path / "m.data").symlink_to("real")
    assert load(path).graph.initializers["w"].const_value is not None


def test_external_file_in_a_ring_of_links(tmp_path: Path) -> None:
    path = save_external(tmp_path)
    (tmp_path / "m.data").unlink()
    (tmp_path / "m.data").symlink_to("m.data")
    with pytest.raises(ModelError, match=r"m\.data"):
        load(path)


@pytest.mark.parametrize(("key", "value"), [("length", "255"), ("offset", "8"), ("offset", "-8")])
def test_external_file_with_false_numbers(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(ModelError, match=r"weight 'w'"):
        load(relocate(save_external(tmp_path), **{key: value}))


@pytest.mark.parametrize(("key", "value"), [("length", "many"), ("offset", "")])
def test_external_file_without_numbers(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(ModelError):
        load(relocate(save_external(tmp_path), **{key: value}))


def test_external_weights_of_bytes_need_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not read from a path"):
        load(save_external(tmp_path).read_bytes())


def broken(change: Callable[[onnx.TensorProto], object]) -> onnx.ModelProto:
    proto = proto_of()
    change(proto.graph.initializer[0])
    return proto


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.dims.append(1 << 40), "would take"),
        (lambda t: t.dims.extend([1 << 62, 1 << 62, 1 << 62]), "would take"),
        (lambda t: t.dims.append(2), "needs 512 bytes, the file has 256"),
        (lambda t: t.dims.__setitem__(0, -64), "negative dimension"),
        (lambda t: setattr(t, "data_type", 99), "unknown data type 99"),
        (lambda t: setattr(t, "data_type", 0), "no data type"),
        (lambda t: t.ClearField("raw_data"), "needs 64 numbers, the file has 0"),
    ],
)
def test_weight_that_is_not_what_it_says(change: Callable[[onnx.TensorProto], object], reason: str) -> None:
    with pytest.raises(ModelError, match=f"weight 'w'.*{reason}"):
        load(broken(change))


def test_constant_that_is_not_what_it_says() -> None:
    proto = proto_of("g (float[2] x) => (float[2] y) { c = Constant<value=float[2] {1, 2}>() y = Add(x, c) }")
    proto.graph.node[0].attribute[0].t.dims[0] = 1 << 45
    with pytest.raises(ModelError, match=r"attribute 'value' of node"):
        load(proto)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("g (float[2] x) => (float[2] y) { y = Add(x, nowhere) }", "nowhere"),
        ("g (float[2] x) => (float[2] y) { y = Neg<nonsense=1>(x) }", "nonsense"),
        ("g (float[2] x) => (float[2] y) { y = Neg(x, x) }", "Neg"),
        ("g (float[2] x) => (float[2] y) { a = Neg(y) y = Neg(a) }", "cycle|sorted"),
        ("g (float[2] x) => (float[2] y) { a = Neg(x) }", "y"),
        ("g (float[2] x) => (float[2] y) { y = Neg(x) y = Abs(x) }", "y"),
    ],
)
def test_graph_that_is_not_valid(text: str, reason: str) -> None:
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18]>\n{text}')
    with pytest.raises(ModelError, match=reason):
        load(proto)


def test_sparse_weights() -> None:
    proto = proto_of("g (float[4] x) => (float[4] y) { y = Neg(x) }")
    values = onnx.numpy_helper.from_array(np.array([1], np.float32), "s")
    indices = onnx.numpy_helper.from_array(np.array([2], np.int64))
    proto.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, indices, [4]))
    with pytest.raises(UnsupportedError, match=r"sparse weights.*'s'"):
        load(proto)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_bytes_give_a_model_or_a_user_error(data: st.DataObject) -> None:
    """Any change of any bytes: never another exception."""
    good = bytearray(
        proto_of("g (float[N,3] x) => (float[N,3] y) <float[3] w = {1,2,3}> { y = Add(x, w) }").SerializeToString()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        load(bytes(good))
    except UserError:
        pass
