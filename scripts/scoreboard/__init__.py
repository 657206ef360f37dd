"""How much of the ONNX backend test-suite does an engine pass? Cases, engines, verdicts, and a pool of workers."""
