"""Text and graph: there and back."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from fusewright.errors import ModelError
from fusewright.graph.opset import OPSET
from fusewright.graph.text import format_model, parse_model

TEXT = """g (float[N,3] x) => (float[N,64] y) <float[3] w = {1, 2, 3}, float[3,64] big, float[N,64] z> {
    "a/b:0" = Add (x, w)
    z = MatMul ("a/b:0", big)
    y = Relu (z)
}"""


def test_there_and_back() -> None:
    text = format_model(parse_model(TEXT))
    assert format_model(parse_model(text)) == text
    assert f'opset_import: ["" : {OPSET}]' in text
    assert "float[N,64] z" in text and "float[3] w =  {1,2,3}" in text


def test_large_weights_are_shown_by_type_and_read_as_the_same_noise() -> None:
    model = parse_model(TEXT)
    assert "float[3,64] big" in format_model(model) and "big =" not in format_model(model)
    first, second = (m.graph.initializers["big"].const_value for m in (model, parse_model(format_model(model))))
    assert first is not None and second is not None
    np.testing.assert_array_equal(first.numpy(), second.numpy())
    assert first.numpy().std() > 0.1


def test_types_of_noise() -> None:
    model = parse_model(
        "g (int64[40] x) => (int64[40] y, bool[40] z) <int64[40] w, bool[40] b> { y=Add(x,w) z=Not(b) }"
    )
    weights = {name: value.const_value for name, value in model.graph.initializers.items()}
    assert {name: tensor.dtype for name, tensor in weights.items() if tensor is not None} == {
        "w": ir.DataType.INT64,
        "b": ir.DataType.BOOL,
    }


def test_formatting_reads_no_weight_and_changes_nothing() -> None:
    def never() -> ir.TensorProtocol:
        raise RuntimeError("a large weight was read")

    model = parse_model(TEXT)
    big = model.graph.initializers["big"]
    big.const_value = ir.LazyTensor(never, dtype=ir.DataType.FLOAT, shape=ir.Shape([3, 64]), name="big")
    format_model(model)
    assert list(model.graph.initializers) == ["w", "big"]


def test_text_at_fault() -> None:
    with pytest.raises(ModelError, match=r"ONNX text syntax"):
        parse_model("g (float[2] x) => { nonsense")
    with pytest.raises(ModelError, match=r"'w'.*open dimension"):
        parse_model("g (float[2] x) => (float[2] y) <float[N] w> { y = Add(x, w) }")
