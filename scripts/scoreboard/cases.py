"""What does the ONNX backend test-suite ask? Each case as a model, inputs by name, and expected outputs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

# `real` are the zoo models: only those whose files the onnx package holds (`light`) are taken.
KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")
PACKAGE = Path(onnx.__file__).parent

Data = Any  # an array, a list of them (a sequence), or None (an empty optional)


@dataclass(frozen=True)
class Case:
    """One test of the suite; `name` is `kind/test_...`, the way it is filtered and reported."""

    name: str
    test: Any  # onnx.backend.test.case.test_case.TestCase

    def load(self) -> tuple[onnx.ModelProto, list[tuple[dict[str, Data], list[Data]]]]:
        """The model, and pairs of inputs by name and expected outputs by position."""
        if self.test.model is not None:
            model, sets = self.test.model, self.test.data_sets
        elif self.test.model_dir is not None:
            model, sets = load_folder(Path(self.test.model_dir))
        else:
            model, sets = load_light(PACKAGE.parent / self.test.url)
        return model, [(by_name(model, list(ins)), [as_data(o) for o in outs]) for ins, outs in sets]


def load_cases(kinds: Iterable[str], pattern: str) -> list[Case]:
    """The cases of these kinds whose name matches `pattern` (searched, not anchored), sorted by name."""
    from onnx.backend.test.loader import load_model_tests

    wanted = re.compile(pattern)
    cases = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # making the cases overflows and divides by zero on purpose
        tests = [(kind, test) for kind in kinds for test in load_model_tests(kind=kind)]
    for kind, test in tests:
        has_data = test.model is not None or test.model_dir is not None
        if has_data or (test.url and (PACKAGE.parent / test.url).exists()):
            cases.append(Case(f"{kind}/{test.name}", test))
    return sorted((case for case in cases if wanted.search(case.name)), key=lambda case: case.name)


def by_name(model: onnx.ModelProto, inputs: list[Any]) -> dict[str, Data]:
    """Data by position -> data by name; weights that old models list as inputs take no position."""
    names = [value.name for value in model.graph.input]
    if len(names) != len(inputs):
        weights = {tensor.name for tensor in model.graph.initializer}
        names = [name for name in names if name not in weights]
    return {name: as_data(item) for name, item in zip(names, inputs, strict=True)}


def as_data(item: Any) -> Data:
    """The suite's several spellings of a value -> array, list or None."""
    if item is None:
        return None
    if isinstance(item, list | tuple):
        return [as_data(part) for part in item]
    if isinstance(item, onnx.TensorProto):
        return numpy_helper.to_array(item)
    if isinstance(item, onnx.SequenceProto):
        return [as_data(part) for part in numpy_helper.to_list(item)]
    if isinstance(item, onnx.OptionalProto):
        return as_data(numpy_helper.to_optional(item))
    return np.asarray(item)


def load_folder(folder: Path) -> tuple[onnx.ModelProto, list[tuple[list[Any], list[Any]]]]:
    """model.onnx with test_data_set_N/input_I.pb and output_I.pb beside it."""
    model = onnx.load(str(folder / "model.onnx"))
    sets = []
    for data in sorted(folder.glob("test_data_set_*")):
        inputs = load_values(data, "input", model.graph.input)
        sets.append((inputs, load_values(data, "output", model.graph.output)))
    return model, sets


def load_values(folder: Path, stem: str, declared: Any) -> list[Any]:
    values = []
    for index in range(len(list(folder.glob(f"{stem}_*.pb")))):
        kind = declared[index].type.WhichOneof("value")
        protos = {"sequence_type": onnx.SequenceProto, "optional_type": onnx.OptionalProto}
        proto = protos.get(kind, onnx.TensorProto)()
        proto.ParseFromString((folder / f"{stem}_{index}.pb").read_bytes())
        values.append(proto)
    return values


def load_light(path: Path) -> tuple[onnx.ModelProto, list[tuple[list[Any], list[Any]]]]:
    """A zoo model of the onnx package with the ramp of inputs that its stored outputs were made from."""
    model = onnx.load(str(path))
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs: list[Any] = []
    for value in model.graph.input:
        if value.name not in weights:
            shape = [dimension.dim_value or 1 for dimension in value.type.tensor_type.shape.dim]
            count = int(np.prod(shape))
            inputs.append((np.arange(count).reshape(shape) / count).astype(np.float32))
    outputs: list[Any] = []
    for index in range(len(model.graph.output)):
        tensor = onnx.TensorProto()
        tensor.ParseFromString(path.with_name(f"{path.stem}_output_{index}.pb").read_bytes())
        outputs.append(tensor)
    return model, [(inputs, outputs)]
