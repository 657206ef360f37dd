"""The models that packages ship as ONNX files: PP-OCRv4, and the synthetic `light` zoo of onnx."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from . import pictures
from .entry import Arrays
from .wheels import fetch

OCR_FILES = {
    "ppocr_det": "ch_PP-OCRv4_det_infer.onnx",
    "ppocr_rec": "ch_PP-OCRv4_rec_infer.onnx",
    "ppocr_cls": "ch_ppocr_mobile_v2.0_cls_infer.onnx",
}


def ppocr(name: str, height: int, width: int, wheels: Path) -> tuple[bytes, Arrays]:
    """One of the three networks of PP-OCRv4 as its package ships it; input `x`."""
    wheel = fetch("rapidocr-onnxruntime", "1.4.4", wheels)
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(f"rapidocr_onnxruntime/models/{OCR_FILES[name]}")
    if name == "ppocr_det":
        x = pictures.normalised(pictures.page(height, width))
    else:
        x = pictures.centred(pictures.text_line(height, width))
    return data, {"x": x}


def light_folder() -> Path:
    import onnx

    return Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def light(file: str, wheels: Path) -> tuple[bytes, Arrays]:
    """One zoo model of the onnx package: real structure, weights made of constants."""
    import onnx

    path = light_folder() / file
    graph = onnx.load(str(path)).graph
    weights = {initializer.name for initializer in graph.initializer}
    arrays: Arrays = {}
    for value in graph.input:
        if value.name in weights:
            continue
        shape = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        arrays[value.name] = pictures.normalised(pictures.photograph(shape[2], shape[3])).astype(np.float32)
    return path.read_bytes(), arrays
