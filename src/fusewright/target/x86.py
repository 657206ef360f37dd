"""x86-64: AVX-512, AVX2 and the baseline (SSE2) that every 64-bit x86 processor has."""

from __future__ import annotations

from fusewright.target.target import Target

TRIPLE = "x86_64-linux-gnu"

# Flags for the compiler are single features, not the names of processors or levels: gcc, clang and ziglang
# spell the latter differently, the former alike.
_AVX2_FLAGS = ("-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2", "-mlzcnt", "-mmovbe")
_AVX2_FEATURES = frozenset({"avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "abm", "movbe"})

# Without -mprefer-vector-width, clang splits 512-bit vectors in two halves for this feature set.
_AVX512_FLAGS = (
    *_AVX2_FLAGS,
    *("-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl"),
    "-mprefer-vector-width=512",
)
_AVX512_FEATURES = _AVX2_FEATURES | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}

AVX512 = Target(
    name="avx512",
    arch="x86_64",
    triple=TRIPLE,
    lanes=16,
    vector_registers=32,
    fma=True,
    features=_AVX512_FEATURES,
    cflags=_AVX512_FLAGS,
    gcc_flags=_AVX512_FLAGS,
    l2_bytes=1024 * 1024,
)

AVX2 = Target(
    name="avx2",
    arch="x86_64",
    triple=TRIPLE,
    lanes=8,
    vector_registers=16,
    fma=True,
    features=_AVX2_FEATURES,
    cflags=_AVX2_FLAGS,
    gcc_flags=_AVX2_FLAGS,
)

SSE2 = Target(
    name="sse2",
    arch="x86_64",
    triple=TRIPLE,
    lanes=4,
    vector_registers=16,
    fma=False,
    fma_rate=1.0,  # a multiplication and an addition
    features=frozenset({"sse2"}),
)

# Widest first: the host takes the first that it can run.
TARGETS = (AVX512, AVX2, SSE2)
