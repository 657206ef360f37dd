"""How is torchvision imported where its library of compiled operations does not load?

Importing torchvision describes two of those operations to torch, which fails when nobody has declared them.
transformers imports torchvision too when it is installed, so this concerns the text models as well.
"""

from __future__ import annotations

import functools
import importlib
import sys

import torch

DESCRIBED_AT_IMPORT = ("nms", "qnms")
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@functools.cache
def declare_missing_operations() -> None:
    """Leave torchvision importable when it is installed; do nothing when it is not."""
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        return
    except RuntimeError:
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operation in DESCRIBED_AT_IMPORT:
            torch.library.define(f"torchvision::{operation}", SIGNATURE)
