"""Groups of random graphs, compiled: do they compute what onnxruntime computes with its own optimisations off?"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

import fusewright as fw

from .helpers import run
from .random_graphs import BATCH, random_model
from .random_work import MORE

TOLERANCE = 1e-4


@pytest.mark.parametrize("seed", range(8))
def test_random_graph_matches_onnxruntime(seed: int) -> None:
    model = random_model(seed, steps=40, more=MORE * 2)
    rng = np.random.default_rng(seed)
    feeds = {
        str(v.name): rng.standard_normal([d if isinstance(d, int) else BATCH for d in v.shape or ()]).astype(np.float32)
        for v in model.graph.inputs
    }
    expected = run(model, feeds)
    session = fw.compile(ir.from_proto(ir.to_proto(model)), threads=1 + seed % 2)
    got = session.run(None, feeds)
    for (name, want), have in zip(expected.items(), got, strict=True):
        scale = float(np.abs(want).max()) if want.size else 0.0
        np.testing.assert_allclose(have, want, rtol=TOLERANCE, atol=TOLERANCE * scale, err_msg=name)
