"""Is the C of a kernel what a reader expects, the same for every size, and free of what a model says?

`pytest tests/unit/codegen --update-golden` writes the golden files anew; read the difference before you commit it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from kernel_cases import Case, floats, layouts, node, targets

from fusewright.codegen.c import Printed, print_kernel
from fusewright.errors import InternalError
from fusewright.kernel.expr import Load, arg, const, index, op
from fusewright.kernel.loops import Kernel
from fusewright.target.target import Target
from fusewright.target.x86 import AVX2, AVX512, SSE2

GOLDEN = Path(__file__).parent / "golden"


def texts(case: Case, target: Target, *, open_extents: bool = False, threads: int = 1) -> list[Printed]:
    return [print_kernel(low.kernel) for low in case.lower(target, open_extents=open_extents, threads=threads)]


# -- golden texts ---------------------------------------------------------------------------------------------


def chain() -> Case:
    nodes = [node("Mul", ["x", "scale"], ["s"]), node("Add", ["s", "x"], ["t"]), node("Sigmoid", ["t"], ["y"])]
    return Case(nodes, {"x": floats(2, 5, 8)}, constants={"scale": floats(5, 1)})


def half_precision() -> Case:
    return Case([node("Add", ["x", "x"], ["y"])], {"x": floats(40).astype(np.float16)})


def dense() -> Case:
    nodes = [node("MatMul", ["x", "w"], ["t"]), node("Add", ["t", "b"], ["u"]), node("Relu", ["u"], ["y"])]
    return Case(nodes, {"x": floats(6, 8)}, constants={"w": floats(8, 12), "b": floats(12)})


def computed_product() -> Case:
    return Case([node("MatMul", ["a", "b"], ["y"])], {"a": floats(2, 6, 8), "b": floats(2, 8, 12)})


def pointwise_convolution() -> Case:
    constants = {"w": floats(8, 4, 1, 1), "b": floats(8)}
    return Case([node("Conv", ["x", "w", "b"], ["y"])], {"x": floats(1, 4, 3, 5)}, constants=constants, layout="last")


def padded_convolution() -> Case:
    conv = node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2])
    return Case([conv], {"x": floats(1, 4, 6, 6)}, constants={"w": floats(8, 4, 3, 3)}, layout="last")


def softmax() -> Case:
    return Case([node("Softmax", ["x"], ["y"])], {"x": floats(6, 40)})


def pooling() -> Case:
    pool = node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    return Case([pool], {"x": floats(1, 8, 4, 4)}, layout="last")


GOLDEN_KERNELS: dict[str, tuple[Callable[[], Case], Target, bool]] = {
    "chain": (chain, AVX512, False),
    "half_precision": (half_precision, AVX2, False),
    "dense": (dense, SSE2, False),
    "computed_product_open": (computed_product, SSE2, True),
    "pointwise_convolution": (pointwise_convolution, SSE2, False),
    "padded_convolution": (padded_convolution, SSE2, False),
    "softmax": (softmax, AVX2, False),
    "pooling": (pooling, AVX2, False),
}


@pytest.mark.parametrize("name", GOLDEN_KERNELS)
def test_golden_text(name: str, update_golden: bool) -> None:
    make, target, open_extents = GOLDEN_KERNELS[name]
    text = "\n".join(printed.text for printed in texts(make(), target, open_extents=open_extents))
    file = GOLDEN / f"{name}.c"
    if update_golden:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    wanted = file.read_text(encoding="utf-8")
    assert text == wanted, f"{file.name} differs: if this is meant, run pytest tests/unit/codegen --update-golden"


# -- one text for every size ----------------------------------------------------------------------------------


def conv(batch: int, height: int, width: int, channels: int, layout: str, filter_size: int, pad: int) -> Case:
    made = node("Conv", ["x", "w", "b"], ["y"], pads=[pad] * 4, name="conv")
    constants = {"w": floats(20, channels, filter_size, filter_size), "b": floats(20)}
    return Case([made], {"x": floats(batch, channels, height, width)}, constants=constants, layout=layout)


def same_text(small: Case, large: Case, target: Target, threads: int = 2, always: bool = False) -> None:
    """Kernels of both are the same text; what differs is passed when they are called."""
    for open_extents in (False, True) if always else (True,):
        a, b = (texts(case, target, open_extents=open_extents, threads=threads) for case in (small, large))
        assert [p.text for p in a] == [p.text for p in b]
        assert [p.symbol for p in a] == [p.symbol for p in b]
        assert [p.args for p in a] != [p.args for p in b]


@targets
def test_pointwise_text_never_depends_on_extents(target: Target) -> None:
    def case(*shape: int) -> Case:
        nodes = [node("Add", ["x", "bias"], ["t"]), node("Relu", ["t"], ["y"])]
        return Case(nodes, {"x": floats(*shape)}, constants={"bias": floats(shape[1], 1, 1)})

    same_text(case(2, 3, 4, 9), case(7, 12, 300, 70), target, always=True)
    flat = [Case([node("Tanh", ["x"], ["y"])], {"x": floats(*shape)}) for shape in ((2, 3), (400, 70))]
    same_text(flat[0], flat[1], target, always=True)


@targets
def test_pack_text_never_depends_on_extents(target: Target) -> None:
    def pack(k: int, n: int) -> Printed:
        case = Case([node("MatMul", ["a", "b"], ["y"])], {"a": floats(40, k), "b": floats(k, n)})
        return texts(case, target, open_extents=True)[0]

    small, large = pack(5, 90), pack(300, 400)
    assert small.text == large.text and small.symbol.startswith("fw_pack_")
    assert small.args != large.args


@targets
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_matmul_text_does_not_depend_on_open_extents(target: Target, threads: int) -> None:
    def weighted(rows: int) -> Case:
        return Case([node("MatMul", ["x", "w"], ["y"])], {"x": floats(2, rows, 12)}, constants={"w": floats(12, 40)})

    def computed(batch: int, m: int, k: int, n: int) -> Case:
        return Case([node("MatMul", ["a", "b"], ["y"])], {"a": floats(batch, m, k), "b": floats(batch, k, n)})

    same_text(weighted(3), weighted(500), target, threads)
    same_text(computed(2, 5, 64, 7), computed(12, 128, 64, 128), target, threads)
    same_text(computed(2, 5, 7, 64), computed(12, 128, 128, 64), target, threads)


@targets
@layouts
@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize(("filter_size", "pad"), [(1, 0), (3, 0), (3, 1)])
def test_convolution_text_does_not_depend_on_open_extents(
    target: Target, layout: str, threads: int, filter_size: int, pad: int
) -> None:
    small, large = (conv(n, h, w, 12, layout, filter_size, pad) for n, h, w in ((2, 6, 9), (3, 96, 160)))
    same_text(small, large, target, threads)


@targets
def test_pooling_and_row_text_does_not_depend_on_open_extents(target: Target) -> None:
    def pool(size: int) -> Case:
        made = node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
        return Case([made], {"x": floats(2, 20, size, size + 2)}, layout="last")

    def rows(op_type: str, *shape: int) -> Case:
        return Case([node(op_type, ["x"], ["y"])], {"x": floats(*shape)})

    same_text(pool(9), pool(64), target)
    same_text(rows("Softmax", 2, 3, 5), rows("Softmax", 12, 128, 128), target)
    same_text(rows("GlobalAveragePool", 2, 3, 5, 6), rows("GlobalAveragePool", 3, 64, 50, 7), target)


@targets
@layouts
def test_other_windows_and_moves_do_not_depend_on_open_extents(target: Target, layout: str) -> None:
    def window(op_type: str, batch: int, height: int, width: int) -> Case:
        filters = {"w": floats(20, 1 if op_type == "Conv" else 6, 3, 3)}
        extra = {"group": 20, "pads": [1] * 4} if op_type == "Conv" else {"strides": [2, 2]}
        made = node(op_type, ["x", "w"], ["y"], **extra)
        return Case([made], {"x": floats(batch, 20, height, width)}, constants=filters, layout=layout)

    def concat(batch: int, size: int) -> Case:
        feeds = {"a": floats(batch, 20, size), "b": floats(batch, 12, size)}
        return Case([node("Concat", ["a", "b"], ["y"], axis=1)], feeds, layout=layout)

    for op_type in ("Conv", "ConvTranspose"):
        same_text(window(op_type, 2, 7, 9), window(op_type, 3, 50, 77), target)
    same_text(concat(2, 9), concat(7, 100), target)


# -- nothing of a model reaches the text ----------------------------------------------------------------------

HOSTILE = ('"); system("echo', "*/ evil /*", "int evil;\n#include <evil.h>", "evil%n", "日本 evil")


def test_names_of_a_model_never_reach_the_text() -> None:
    def hostile(i: int) -> str:
        return f"{HOSTILE[i % len(HOSTILE)]}{i}"

    x, w, b, t, y = (hostile(i) for i in range(5))
    groups = [
        ([node("Conv", [x, w, b], [t], pads=[1, 1, 1, 1], name=hostile(5)), node("Relu", [t], [y], name=hostile(6))],
         floats(1, 3, 5, 5), {w: floats(8, 3, 3, 3), b: floats(8)}),
        ([node("MatMul", [x, w], [t], name=hostile(5)), node("Add", [t, b], [y], name=hostile(6))],
         floats(4, 6), {w: floats(6, 8), b: floats(8)}),
        ([node("Softmax", [x], [t], name=hostile(5)), node("Mul", [t, b], [y], name=hostile(6))],
         floats(4, 8), {b: floats(8)}),
        ([node("Mul", [x, b], [t], name=hostile(5)), node("Exp", [t], [y], name=hostile(6))],
         floats(4, 8), {b: floats(8)}),
    ]  # fmt: skip
    plain_names = {x: "x", w: "w", b: "b", t: "t", y: "y"}
    for nodes, feed, constants in groups:
        plain = [
            node(n.op_type, [plain_names[i] for i in n.input], [plain_names[o] for o in n.output], **_attributes(n))
            for n in nodes
        ]
        known = {plain_names[n]: a for n, a in constants.items()}
        for open_extents in (False, True):
            got = texts(Case(nodes, {x: feed}, (y,), constants), AVX2, open_extents=open_extents)
            assert not any("evil" in p.text or "system" in p.text for p in got)
            assert got == texts(Case(plain, {"x": feed}, ("y",), known), AVX2, open_extents=open_extents)


def _attributes(n: object) -> dict[str, object]:
    return {a.name: list(a.ints) for a in n.attribute}  # type: ignore[attr-defined]


# -- the printer's own rules ----------------------------------------------------------------------------------


def test_a_node_used_twice_is_computed_once() -> None:
    kernel = Kernel("test", 4)
    x, y = kernel.buffer("f32", "x"), kernel.buffer("f32", "y", "out")
    root = op("exp", Load("f32", False, x, index(3)))
    kernel.store(y, index(0), root * root + root)
    text = print_kernel(kernel).text
    assert text.count("fws_exp_f32") == 1


def test_a_kernel_says_how_wide_its_vectors_are_where_others_are_wider() -> None:
    kernel = Kernel("test", 8)
    kernel.store(kernel.buffer("f32", "y", "out"), index(0), const(1.0, "f32"))
    usual, narrow = print_kernel(kernel, lanes=8), print_kernel(kernel, lanes=16)
    assert narrow.text.startswith("#undef FW_LANES\n#define FW_LANES 8\nvoid ")
    assert "FW_LANES" not in usual.text
    assert usual.symbol != narrow.symbol


def test_a_name_made_in_a_block_is_not_used_after_it() -> None:
    kernel = Kernel("test", 4)
    x, y = kernel.buffer("f32", "x"), kernel.buffer("f32", "y", "out")
    root = op("exp", Load("f32", False, x, index(3)))
    with kernel.loop(arg(2), "i") as i:
        kernel.store(y, i, root * root)
    kernel.store(y, index(2), root * root)
    assert print_kernel(kernel).text.count("fws_exp_f32") == 2


def test_a_part_is_a_function_of_what_it_reads() -> None:
    kernel = Kernel("example", 8)
    x, y = kernel.buffer("f32", "x"), kernel.buffer("f32", "y", "out")
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as u:
        start = kernel.let(u * 4, "start")
        kernel.let(u * 5, "x1")  # not what 0x1.8p+0f has in it
        with kernel.part("scale"), kernel.loop(arg(3), "i") as i:
            kernel.store(y, start + i, Load("f32", False, x, start + i) * 1.5 + 0.1)
        with kernel.part("shift"):
            kernel.store(y, start + kernel.hi, const(7, "f32"))
    printed = print_kernel(kernel)
    own = printed.symbol
    scale, shift, main = printed.text.split("\n\n")
    noinline = f"static __attribute__((noinline)) void {own}"
    reads = "const float *restrict x, float *restrict y, const int64_t start, const int64_t arg0"
    assert scale.startswith(f"{noinline}_1_scale({reads}) {{\n")
    reads = "float *restrict y, int64_t hi, const int64_t start"
    assert shift == f"{noinline}_2_shift({reads}) {{\n    y[start + hi] = 7.0f;\n}}"
    assert f"        {own}_1_scale(x, y, start, arg0);\n        {own}_2_shift(y, hi, start);\n" in main
    assert printed.args == (3,)


def test_a_part_assigns_to_nothing_outside() -> None:
    kernel = Kernel("example", 8)
    outer = kernel.mutable(index(0), "outer")
    with kernel.part("first"):
        inner = kernel.mutable(index(1), "inner")
        kernel.assign(inner, outer + 1)
    assert "inner = (outer + 1);" in print_kernel(kernel).text
    with kernel.part("second"):
        kernel.assign(outer, index(1))
    with pytest.raises(InternalError, match="assigns to outer"):
        print_kernel(kernel)


def test_variables_of_one_name_are_told_apart() -> None:
    kernel = Kernel("test", 4)
    y = kernel.buffer("i64", "y", "out")
    with kernel.loop(arg(2), "i") as outer, kernel.loop(arg(3), "i") as inner:
        kernel.store(y, outer * arg(3) + inner, inner)
    text = print_kernel(kernel).text
    assert "int64_t i = 0" in text and "int64_t i_2 = 0" in text


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (1.0, "f32", "1.0f"),
        (-0.0, "f32", "-0.0f"),
        (-0.5, "f64", "-0x1.0000000000000p-1"),
        (0.1, "f32", "0x1.999999999999ap-4f"),
        (1e30, "f64", "0x1.93e5939a08ceap+99"),
        (float("inf"), "f32", "__builtin_inff()"),
        (float("-inf"), "f64", "-__builtin_inf()"),
        (float("nan"), "f32", '__builtin_nanf("")'),
        (2.5, "f16", "fws_bits_f16(0x1.4000000000000p+1f)"),
        (-1.0, "bf16", "fws_bits_bf16(-1.0f)"),
        (-3, "i32", "-3"),
        (-(2**63), "i64", "INT64_MIN"),
        (2**64 - 1, "u64", "18446744073709551615u"),
        (True, "bool", "1"),
    ],
)
def test_constants(value: float, dtype: str, text: str) -> None:
    kernel = Kernel("test", 4)
    kernel.store(kernel.buffer(dtype, "y", "out"), index(0), const(value, dtype))
    assert f"    y[0] = {text};\n" in print_kernel(kernel).text


def test_memory_that_is_chosen_is_a_pointer_with_a_name_of_its_own() -> None:
    kernel = Kernel("example", 8)
    x, y = kernel.buffer("f32", "x"), kernel.buffer("f32", "y", "out")
    copy = kernel.scratch("f32", 64, "copy")
    with kernel.loop(kernel.hi, "rows", start=kernel.lo) as u:
        first = kernel.either(u > 3, (copy, index(0)), (x, u * 5), "rows")
        second = kernel.either(u > 4, (first, index(1)), (x, index(2)), "rows")
        kernel.store(y, u, Load("f32", False, first, u) + Load("f32", False, second, index(0)))
    text = print_kernel(kernel).text
    assert "const float *rows = (rows_2 > 3) ? copy + 0 : x + (rows_2 * 5);" in text
    assert "const float *rows2 = (rows_2 > 4) ? rows + 1 : x + 2;" in text
    assert "y[rows_2] = rows[rows_2] + rows2[0];" in text
