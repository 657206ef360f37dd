"""Do accumulators stay in registers? The assembly of every schedule's inner loops, on each instruction set.

A loop that spills runs at half its speed and no other test would notice. Machine code is only looked at, never run, so
each instruction set is tested on every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from chain_cases import SILU_CONSTANTS, Layer, chain_of, silu
from kernel_cases import Case, extents, floats, node
from paired_cases import adding, in_pairs, only_pairs, winograd_in_pairs
from paired_cases import conv as sliding
from schedule_cases import computed, matmul

from fusewright.codegen.c import print_kernel
from fusewright.target.arm import NEON
from fusewright.target.target import Target
from fusewright.target.x86 import AVX2, AVX512

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from spills import ARM, X86, Spelling, inner_loops, loops_of  # scripts of this repository, no package

__all__ = ["only_pairs", "winograd_in_pairs"]


def conv(
    channels: int, filters: int, size: int, filter_size: int, stride: int = 1, group: int = 1,
    planes: Sequence[str] = (),
) -> Case:  # fmt: skip
    made = node("Conv", ["x", "w", "b"], ["t"], pads=[filter_size // 2] * 4, strides=[stride] * 2, group=group)
    constants = {"w": floats(filters, channels // group, filter_size, filter_size), "b": floats(filters)}
    x = {"x": floats(1, channels, size, size)}
    return Case([made, node("Relu", ["t"], ["y"])], x, constants=constants, layout="last", planes=planes)


def transposed() -> Case:
    made = node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    return Case([made], {"x": floats(1, 64, 14, 14)}, constants={"w": floats(64, 48, 2, 2)}, layout="last")


def upscaled() -> Case:
    nodes = [node("ConvTranspose", ["x", "w"], ["t"], strides=[2, 2]), node("Sigmoid", ["t"], ["y"])]
    return Case(nodes, {"x": floats(1, 24, 9, 40)}, constants={"w": floats(24, 1, 2, 2)}, layout="last")


def behind(product: Callable[[], Case], activation: str) -> Case:
    """The product with another function in place of its last node."""
    case = product()
    *before, last = case.nodes
    read = last.input[0]
    if activation != "Silu":
        return replace(case, nodes=[*before, node(activation, [read], ["y"])])
    return replace(case, nodes=[*before, *silu(read, "y")], constants={**case.constants, **SILU_CONSTANTS})


def mean_of_scaled() -> Case:
    """Four numbers for each channel, and its sum."""
    steps = [("Mul", "x", "a"), ("Add", "0", "b"), ("Mul", "1", "c"), ("Add", "2", "d"), ("Relu", "3")]
    nodes = [node(op_type, reads, [str(i)]) for i, (op_type, *reads) in enumerate(steps)]
    nodes.append(node("GlobalAveragePool", ["4"], ["y"]))
    constants = {name: floats(1024, 1, 1, seed=i) for i, name in enumerate("abcd")}
    return Case(nodes, {"x": floats(1, 1024, 7, 7)}, constants=constants, layout="last", anchor=5)


def rows(op_type: str) -> Case:
    extra = {"LayerNormalization": {"g": floats(384), "b": floats(384)}}.get(op_type, {})
    return Case([node(op_type, ["x", *extra], ["y"])], {"x": floats(128, 384)}, constants=extra)


def attention(heads: int, rows: int, keys: int, depth: int, layout: str = "first") -> Case:
    """`layout` "last": keys lie with their depth side by side."""
    feeds = {"q": floats(heads, rows, depth), "k": floats(heads, depth, keys), "v": floats(heads, keys, depth)}
    nodes = [
        node("MatMul", ["q", "k"], ["s"]),
        node("Add", ["s", "m"], ["t"]),
        node("Softmax", ["t"], ["p"], axis=-1),
        node("MatMul", ["p", "v"], ["y"]),
    ]
    return Case(nodes, {**feeds, "m": floats(rows, keys)}, anchor=3, schedule="attention", layout=layout)


def activation(op_type: str) -> Case:
    return Case([node(op_type, ["x"], ["y"])], {"x": floats(64, 96)})


def local_response() -> Case:
    return Case([node("LRN", ["x"], ["y"], size=5)], {"x": floats(1, 192, 9, 9)}, layout="last")


FUNCTIONS = ("Silu", "Gelu", "Sigmoid")

# With fixed and with open extents: what is spelled out and what is a loop differs.
CASES: dict[str, Callable[[], Case]] = {
    **{f"matmul_{n}_columns": partial(matmul, 128, 64, n) for n in (8, 16, 24, 32, 48, 64, 100, 384, 1000)},
    **{f"matmul_{m}_rows": partial(matmul, m, 64, 256) for m in (1, 2, 3, 5, 7, 11, 13, 16, 49, 197)},
    "matmul_of_many_weights": lambda: matmul(128, 768, 768),
    "computed_product": lambda: computed(12, 128, 64, 128),
    "narrow_computed_product": lambda: computed(12, 128, 128, 20),
    "conv_1x1": lambda: conv(64, 64, 56, 1),
    "conv_1x1_small": lambda: conv(512, 2048, 7, 1),
    "conv_1x1_strided": lambda: conv(256, 512, 14, 1, stride=2),
    "conv_3x3": lambda: conv(64, 64, 28, 3),
    "conv_3x3_small": lambda: conv(512, 512, 7, 3),
    "conv_3x3_of_few_channels": lambda: conv(3, 64, 28, 3),
    "conv_5x5": lambda: conv(64, 48, 28, 5),
    "conv_3x3_in_blocks": lambda: conv(256, 256, 56, 3),
    "conv_3x3_strided": lambda: conv(128, 128, 28, 3, stride=2),
    "conv_7x7_of_an_image": lambda: conv(3, 64, 32, 7, stride=2),
    "conv_3x3_of_an_image": lambda: conv(3, 32, 64, 3, stride=2, planes=["x"]),
    "conv_3x3_of_an_odd_image": lambda: conv(3, 40, 61, 3, planes=["x"]),
    "conv_grouped": lambda: conv(64, 128, 14, 3, group=4),
    "conv_narrow": lambda: conv(32, 10, 14, 3),
    **{f"conv_{n}_filters": partial(conv, 32, n, 14, 3) for n in (8, 24, 40, 72)},
    "depthwise_3x3": lambda: conv(96, 96, 28, 3, group=96),
    "depthwise_3x3_strided": lambda: conv(96, 96, 28, 3, stride=2, group=96),
    "depthwise_5x5": lambda: conv(120, 120, 14, 5, group=120),
    "chain": lambda: chain_of((1, 16, 28, 28), [Layer(96), Layer(), Layer(24)], 4),
    "chain_strided": lambda: chain_of((1, 24, 28, 28), [Layer(72), Layer(strides=(2, 2)), Layer(40)], 3),
    "chain_of_limits": lambda: chain_of(
        (1, 24, 56, 56), [Layer(144, activation="Relu6"), Layer(strides=(2, 2), activation="Relu6")], 3
    ),
    "chain_of_numbers": lambda: chain_of(
        (1, 48, 160, 160), [Layer(activation="Spelled"), Layer(48, activation="Spelled")], 16
    ),
    "chain_of_numbers_and_an_expansion": lambda: chain_of(
        (1, 192, 40, 40),
        [Layer(kernel=(5, 5), pads=(2, 2, 2, 2), activation="Spelled"), Layer(192, activation="Spelled")], 8,
    ),
    **{
        f"chain_of_{name}": partial(
            chain_of, (1, 24, 56, 56), [Layer(144, activation=name), Layer(activation=name), Layer(24)], 4
        )
        for name in ("Silu", "Tanh", "HardSwish")
    },
    "chain_of_an_image": lambda: chain_of(
        (1, 3, 64, 64), [Layer(32, strides=(2, 2), image=True), Layer(), Layer(16)], 4
    ),
    "chain_of_an_image_and_functions": lambda: chain_of(
        (1, 3, 64, 64), [Layer(32, strides=(2, 2), image=True, activation="Silu"), Layer(activation="Silu")], 4
    ),
    **{
        f"{name}_and_{function.lower()}": partial(behind, product, function)
        for function in FUNCTIONS
        for name, product in {
            "matmul": partial(matmul, 128, 64, 256),
            "conv_of_a_pixel": partial(conv, 20, 96, 1, 1),
        }.items()
    },
    "conv_3x3_and_silu": lambda: behind(partial(conv, 60, 60, 14, 3), "Silu"),
    "mean_of_scaled": mean_of_scaled,
    "transposed": transposed,
    "upscaled": upscaled,
    "local_response": local_response,
    "softmax": lambda: rows("Softmax"),
    "layer_normalization": lambda: rows("LayerNormalization"),
    **{f"attention_{d}": partial(attention, 12, 128, 128, d) for d in (15, 16, 32, 48, 64, 80, 128)},
    "attention_of_turned_keys": lambda: attention(12, 197, 197, 64, "last"),
    "attention_in_blocks": lambda: attention(2, 300, 2000, 64),
    "sigmoid": lambda: activation("Sigmoid"),
    "silu": lambda: Case([node("Sigmoid", ["x"], ["s"]), node("Mul", ["x", "s"], ["y"])], {"x": floats(64, 96)}),
    "gelu": lambda: activation("Gelu"),
    "tanh": lambda: activation("Tanh"),
}

# For AVX-512 functions stand behind each sum: one or two of 32 registers are in memory then, written once and read once
# beside 312 multiply-adds, and it would cost more to store all sums.
NARROW: dict[str, Callable[[], Case]] = {
    f"conv_of_an_image_and_{function.lower()}": partial(
        behind, partial(conv, 3, 32, 64, 3, stride=2, planes=["x"]), function
    )
    for function in FUNCTIONS
}

# Tiles of 7 to 20 rows, and such as follow whole ones; a rest of k.
PAIRED: dict[str, Callable[[], Case]] = {
    **{
        f"matmul_{m}_rows": partial(matmul, m, k, 256)
        for m, k in ((7, 48), (16, 100), (20, 64), (22, 96), (24, 64), (197, 768))
    },
    "conv_1x1": lambda: conv(64, 64, 56, 1),
    "conv_1x1_small": lambda: conv(512, 2048, 7, 1),
    "conv_1x1_strided": lambda: conv(256, 512, 14, 1, stride=2),
    "conv_3x3": lambda: conv(64, 64, 14, 3),
    "conv_narrow": lambda: conv(100, 10, 14, 1),
    "conv_of_planes": lambda: sliding((1, 3, 64, 64), (64, 3, 7, 7), "first", pads=[3] * 4, strides=[2, 2]),
    "chain": lambda: chain_of((1, 32, 28, 28), [Layer(192), Layer(), Layer(32)], 4),
}


HALVES = replace(AVX512, name="avx512 in halves", half_rate=True)
TARGETS = (AVX512, HALVES, AVX2, NEON)


def check_inner_loops(
    cases: Mapping[str, Callable[[], Case]], target: Target, open_extents: bool, folder: Path
) -> None:
    """Every case has loops with multiply-adds, and none of them spills."""
    names: dict[str, list[str]] = {}  # a kernel may serve several cases
    sources: dict[str, str] = {}
    for name, make in cases.items():
        for lowered in make().lower(target, open_extents=open_extents, threads=2):
            printed = print_kernel(lowered.kernel, lanes=target.lanes)
            names.setdefault(printed.symbol, []).append(name)
            sources[printed.symbol] = printed.text

    seen: set[str] = set()
    spills: list[str] = []
    for loop in loops_of(sources, target, folder):
        owners = names.get(loop.symbol, [loop.symbol])  # what csrc/fw_algorithms.h has is its own
        seen.update(owners)
        if loop.spills:
            spills.append(f"{owners}: {len(loop.spills)} to {loop.multiply_adds} multiply-adds, as {loop.spills[0]}")
    assert not spills, "\n".join(spills)
    assert seen >= set(cases), "every case has a loop with multiply-adds in it"


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@extents
def test_inner_loops_do_not_spill(target: Target, open_extents: bool, tmp_path: Path) -> None:
    narrow = NARROW if target.lanes < 16 else {}
    check_inner_loops({**CASES, **narrow}, target, open_extents, tmp_path)


@extents
def test_pairs_do_not_spill(only_pairs: None, open_extents: bool, tmp_path: Path) -> None:
    target = adding(HALVES)
    assert all(in_pairs(make().lower(target, open_extents=open_extents, threads=2)) for make in PAIRED.values())
    check_inner_loops(PAIRED, target, open_extents, tmp_path)


@extents
def test_winograd_in_pairs_does_not_spill(winograd_in_pairs: None, open_extents: bool, tmp_path: Path) -> None:
    cases = {f"conv_{size}": partial(conv, 64, 96, size, 3) for size in (14, 28, 56)}
    target = adding(HALVES)
    assert all(in_pairs(make().lower(target, open_extents=open_extents, threads=2)) for make in cases.values())
    check_inner_loops(cases, target, open_extents, tmp_path)


X86_LOOP = """.LBB0_1:                                # =>This Inner Loop Header: Depth=1
	vmovups	64(%rsp), %zmm1
	vfmadd231ps	%zmm1, %zmm2, %zmm3
	jne	.LBB0_1"""
ARM_LOOP = """.LBB0_1:                                // =>This Inner Loop Header: Depth=1
	ldr	q1, [sp, #64]
	fmla	v0.4s, v1.4s, v2.4s
	cbnz	x3, .LBB0_1"""


@pytest.mark.parametrize(("text", "spelling"), [(X86_LOOP, X86), (ARM_LOOP, ARM)], ids=["x86", "arm"])
def test_a_spill_would_be_seen(text: str, spelling: Spelling) -> None:
    (found,) = inner_loops(text.splitlines())
    assert sum(bool(spelling.spill.search(line)) for line in found) == 1
    assert sum(bool(spelling.fma.search(line)) for line in found) == 1


def test_only_the_innermost_loops_are_looked_at() -> None:
    """A block of theirs may stand anywhere, and between their blocks one that is none of theirs."""
    text = """\
# %bb.0:
	out
.LBB0_1:                                # =>This Loop Header: Depth=1
                                        #     Child Loop BB0_2 Depth 2
	out
.LBB0_2:                                #   Parent Loop BB0_1 Depth=1
                                        # =>  This Inner Loop Header: Depth=2
	in
.LBB0_3:                                #   in Loop: Header=BB0_1 Depth=1
	out
# %bb.4:                                #   in Loop: Header=BB0_2 Depth=2
	in
# %bb.5:                                #   in Loop: Header=BB0_1 Depth=1
	out"""
    (loop,) = inner_loops(text.splitlines())
    assert [line for line in loop if line.startswith("\t")] == ["\tin", "\tin"]
