"""How does a PyTorch module become one ONNX file, with random weights that behave as trained ones do?"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import Any

import onnxscript.optimizer
import torch
from torch import nn


def perturb_constants(module: nn.Module, seed: int) -> None:
    """Give every parameter that its class initialises to a constant a value that a compiler cannot ignore.

    Scales of normalisations go to [0.5, 1.5], biases, layer scales and class tokens get small random values:
    with ones and zeros, a wrong fold of a normalisation or a lost bias would pass unseen.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if float(parameter.max() - parameter.min()) > 0.0:
                continue
            is_scale = parameter.ndim == 1 and float(parameter.flatten()[0]) == 1.0
            if is_scale:
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
            elif name.endswith("layer_scale"):
                parameter.copy_(torch.rand(parameter.shape, generator=generator) * 0.5)
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)


def calibrate_batch_norm(module: nn.Module, batch: torch.Tensor) -> None:
    """Set running means and variances to those that `batch` has, so that activations keep their scale."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches seen
    module.eval()
    for norm in norms:
        norm.train()
    with torch.no_grad():
        module(batch)
    module.eval()


def to_onnx(
    module: nn.Module,
    inputs: dict[str, torch.Tensor],
    outputs: list[str],
    dynamic: dict[str, dict[int, Any]] | None = None,
    keep_batch_norm: bool = False,
) -> bytes:
    """The module as one serialised ONNX file with its weights inside; inputs are passed by position.

    The exporter's own optimiser folds batch normalisation into convolutions. With `keep_batch_norm` it stays
    off, so that Fusewright meets the normalisations; only constants are folded, as peers need for folding.
    """
    module.eval()
    dynamic_shapes = None if dynamic is None else tuple(dynamic.get(name, {}) for name in inputs)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=dynamic_shapes,
            optimize=not keep_batch_norm,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    if keep_batch_norm:
        onnxscript.optimizer.fold_constants(program.model)
        onnxscript.optimizer.remove_unused_nodes(program.model)
    return bytes(program.model_proto.SerializeToString())
