"""Which nodes become one kernel: a graph as text in, groups as text out."""

from __future__ import annotations

from itertools import pairwise

import onnx
import onnx_ir as ir
import pytest

from fusewright.graph.decisions import Log
from fusewright.graph.group import Group
from fusewright.graph.text import parse_model
from fusewright.passes.fuse import MAX_OPERANDS, find_groups
from fusewright.passes.pipeline import specialize

from .random_graphs import BATCH, random_model
from .random_work import MORE


def groups_of(text: str, log: Log | None = None) -> list[Group]:
    model = ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(parse_model(text)), data_prop=True))
    return find_groups(model.graph, log)


def told(group: Group) -> str:
    """`Conv Relu (x, w) -> y`"""
    inputs = ", ".join(str(v.name) for v in group.inputs)
    outputs = ", ".join(str(v.name) for v in group.outputs)
    return f"{' '.join(n.op_type for n in group.nodes)} ({inputs}) -> {outputs}"


def fused(text: str) -> list[str]:
    """The kernels of a graph; views are none."""
    return [told(g) for g in groups_of(text) if g.kind != "view"]


def reasons(text: str) -> set[str]:
    log = Log()
    groups_of(text, log)
    return {d.reason for d in log.decisions if not d.made}


IMAGE = "<float[4,4,3,3] w, float[4,4,1,1] v, float[4,1,1] c, float[1] k>"
PAD = "<pads=[1,1,1,1]>"


def image(body: str, outputs: str = "float[1,4,8,8] y", inputs: str = "float[1,4,8,8] x") -> str:
    return f"g ({inputs}) => ({outputs}) {IMAGE} {{ {body.replace('Conv(', f'Conv{PAD}(')} }}"


# -- chains -----------------------------------------------------------------------------------------------------------


def test_chain_of_any_length_is_one_kernel() -> None:
    names = ["x", *(f"v{i}" for i in range(9)), "y"]
    chain = " ".join(f"{b} = Relu({a})" for a, b in pairwise(names))
    assert fused(f"g (float[3,5] x) => (float[3,5] y) {{ {chain} }}") == [f"{' '.join(['Relu'] * 10)} (x) -> y"]


@pytest.mark.parametrize("operands", ["a, x", "x, a", "a, a", "a, c", "c, a", "a, k", "k, a"])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
def test_operands_come_in_either_order(op: str, operands: str) -> None:
    made = fused(image(f"a = Conv(x, w) b = {op}({operands}) y = Relu(b)"))
    assert len(made) == 1 and made[0].startswith(f"Conv {op} Relu (x, w")


def test_value_used_twice_inside() -> None:
    assert fused(image("a = Conv(x, w) s = Sigmoid(a) y = Mul(a, s)")) == ["Conv Sigmoid Mul (x, w) -> y"]


@pytest.mark.parametrize("product", ["Mul(s, a)", "Mul(a, s)"])
def test_silu_in_either_order(product: str) -> None:
    assert fused(image(f"a = Conv(x, w) s = Sigmoid(a) y = {product}")) == ["Conv Sigmoid Mul (x, w) -> y"]


def test_hard_swish_chain() -> None:
    body = "a = Conv(x, w) b = Add(a, three) r = Clip(b, zero, six) m = Mul(a, r) y = Div(m, six)"
    text = image(body).replace("float[1] k", "float three = {3.0}, float zero = {0.0}, float six = {6.0}")
    assert fused(text) == ["Conv Add Clip Mul Div (x, w, three, zero, six) -> y"]


def test_value_used_outside_too_is_one_more_output() -> None:
    body = "a = Conv(x, w) b = Relu(a) z = Conv(b, v) y = Sigmoid(b)"
    body = body.replace("Conv(b, v)", "MaxPool<kernel_shape=[1,1]>(b)")
    assert fused(image(body, "float[1,4,8,8] y, float[1,4,8,8] z")) == [
        "Conv Relu Sigmoid (x, w) -> b, y",
        "MaxPool (b) -> z",
    ]


def test_graph_output_in_mid_chain() -> None:
    body = "a = Conv(x, w) b = Relu(a) y = Neg(b)"
    assert fused(image(body, "float[1,4,8,8] a, float[1,4,8,8] y")) == ["Conv Relu Neg (x, w) -> a, y"]


def test_one_value_that_is_several_graph_outputs() -> None:
    body = "a = Conv(x, w) y = Relu(a)"
    assert fused(image(body, "float[1,4,8,8] y, float[1,4,8,8] y, float[1,4,8,8] a")) == ["Conv Relu (x, w) -> a, y"]


def test_result_that_nothing_reads() -> None:
    assert fused(image("a = Relu(x) b = Neg(a) y = Conv(x, w)")) == ["Relu Neg (x) -> b", "Conv (x, w) -> y"]


# -- sums of two branches ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("operands", ["a, b", "b, a"])
def test_sum_of_two_convolutions_belongs_to_one_of_them(order: tuple[str, str], operands: str) -> None:
    first, second = (f"{name} = Conv(x, {'w' if name == 'a' else 'u'})" for name in order)
    text = image(f"{first} {second} s = Add({operands}) y = Relu(s)").replace("float[1] k", "float[4,4,3,3] u")
    made = fused(text)
    taker, other = ("w", "u") if order[0] == "a" else ("u", "w")
    assert made == [f"Conv (x, {other}) -> {order[1]}", f"Conv Add Relu (x, {taker}, {order[1]}) -> y"]


def test_residual_of_a_chain_goes_into_its_last_convolution() -> None:
    body = "a = Conv(x, w) b = Relu(a) c2 = Conv(b, w) s = Add(c2, b) y = Relu(s)"
    assert fused(image(body)) == ["Conv Relu (x, w) -> b", "Conv Add Relu (b, w, b) -> y".replace(", b)", ")")]


def test_squeeze_and_excite_waits_for_its_scale() -> None:
    body = """a = Conv(x, w) s = Sigmoid(a) b = Mul(a, s) p = GlobalAveragePool(b) q = Conv1(p, v) e = Sigmoid(q)
              t = Mul(b, e) y = Conv(t, w)"""
    text = image(body).replace("Conv1(", "Conv(")
    assert fused(text) == [
        "Conv Sigmoid Mul (x, w) -> b",
        "GlobalAveragePool (b) -> p",
        "Conv Sigmoid (p, v) -> e",
        "Mul Conv (b, e, w) -> y",
    ]
    assert any("computed from the group's own result" in r for r in reasons(text))


# -- in front of a convolution ----------------------------------------------------------------------------------------


def test_chain_in_front_is_computed_as_it_is_read() -> None:
    body = """p = MaxPool<kernel_shape=[1,1]>(x) q = Concat<axis=1>(p, p)
              m = Mul(q, s) a = Add(t, m) r = Relu(a) y = Conv(r, u)"""
    text = image(body).replace("float[1] k", "float[8,1,1] s, float[8,1,1] t, float[4,8,3,3] u")
    assert fused(text) == ["MaxPool (x) -> p", "Concat (p) -> q", "Mul Add Relu Conv (q, s, t, u) -> y"]


def test_kernel_that_makes_the_operand_comes_first() -> None:
    body = "p = MaxPool<kernel_shape=[1,1]>(x) r = Relu(p) y = Conv(r, w)"
    assert fused(image(body)) == ["MaxPool Relu (x) -> r", "Conv (r, w) -> y"]


@pytest.mark.parametrize(
    "body, outputs, reason",
    [
        ("m = Relu(x) a = Conv(m, w) y = Add(a, m)", "y", "its result is needed otherwise too"),
        ("m = Relu(x) y = Conv(m, w)", "y m", "its result is needed outside of the kernel too"),
        ("m = Relu(x) y = Conv<group=4>(m, g)", "y", "its filters are grouped"),
        ("m = Exp(x) y = Conv(m, w)", "y", "it costs too much to be computed anew for each share of the work"),
    ],
)
def test_work_in_front_that_stays_by_itself(body: str, outputs: str, reason: str) -> None:
    ports = ", ".join(f"float[1,4,8,8] {name}" for name in outputs.split())
    text = image(body, ports).replace("float[1] k", "float[4,1,3,3] g").replace("group=4", "group=4, pads=[1,1,1,1]")
    assert len(fused(text)) == 2
    assert reason in reasons(text)


@pytest.mark.parametrize(
    "body, outputs, kernels",
    [  # Exp costs too much to be repeated, so it has a kernel, which computes the product as well
        ("t = Neg(x) e = Exp(t) m = Mul(t, e) y = Conv(m, w)", "y", ["Neg Exp Mul (x) -> m", "Conv (m, w) -> y"]),
        ("e = Exp(x) m = Neg(e) y = Conv(m, w)", "y", ["Exp Neg (x) -> m", "Conv (m, w) -> y"]),
        # it has to be stored anyway: then less is stored when the convolution does the rest
        ("e = Exp(x) m = Neg(e) y = Conv(m, w)", "y e", ["Exp (x) -> e", "Neg Conv (e, w) -> y"]),
    ],
)
def test_work_in_front_that_another_kernel_takes_in(body: str, outputs: str, kernels: list[str]) -> None:
    assert fused(image(body, ", ".join(f"float[1,4,8,8] {name}" for name in outputs.split()))) == kernels


def test_work_in_front_goes_with_what_reads_it() -> None:
    """Were Neg alone taken into the convolution, this would need Mul, which needs Neg."""
    text = """g (float[1,4,8,8] x, float[1,4,8,8] z) => (float[1,4,8,8] y) <float[4,4,1,1] w>
    { n = Neg(x) e = Exp(z) m = Mul(n, e) y = Conv(m, w) }"""
    assert fused(text) == ["Neg Exp Mul (x, z) -> m", "Conv (m, w) -> y"]
    assert "what reads it is computed elsewhere" in reasons(text)


def test_smaller_operand_in_front_stays_by_itself() -> None:
    text = """g (float[1,4,1,8] x, float[1,4,8,8] r) => (float[1,4,8,8] y) <float[4,4,1,1] w>
    { a = Relu(x) m = Mul(a, r) y = Conv(m, w) }"""
    assert fused(text) == ["Relu (x) -> a", "Mul Conv (a, r, w) -> y"]


# -- reductions -------------------------------------------------------------------------------------------------------

NORM = """g (float[2,7,16] x, float[2,7,16] r) => (float[2,7,16] y)
<int64[1] axis = {-1}, float two = {2.0}, float eps = {0.00001}, float[16] scale, float[16] bias>
{ s = Add(x, r) m = ReduceMean<keepdims=1>(s, axis) d = Sub(s, m) p = Pow(d, two) v = ReduceMean<keepdims=1>(p, axis)
  e = Add(v, eps) q = Sqrt(e) n = Div(d, q) w = Mul(n, scale) y = Add(w, bias) }"""


def test_decomposed_layer_normalization_is_one_kernel() -> None:
    made = fused(NORM)
    assert len(made) == 1 and made[0].endswith("-> y")
    assert made[0].startswith("Add ReduceMean Sub Pow ReduceMean Add Sqrt Div Mul Add (x, r, axis")


def test_decomposed_softmax_is_one_kernel() -> None:
    text = """g (float[2,3,5] x, float[3,5] mask) => (float[2,3,5] y) <int64[1] axis = {2}>
    { s = Add(x, mask) m = ReduceMax<keepdims=1>(s, axis) d = Sub(s, m) e = Exp(d)
      t = ReduceSum<keepdims=1>(e, axis) y = Div(e, t) }"""
    assert fused(text) == ["Add ReduceMax Sub Exp ReduceSum Div (x, mask, axis) -> y"]


def test_mean_and_mean_of_squares_side_by_side() -> None:
    text = """g (float[4,8] x) => (float[4,1] y) <int64[1] axis = {1}>
    { m = ReduceMean<keepdims=1>(x, axis) q = Mul(x, x) s = ReduceMean<keepdims=1>(q, axis)
      p = Mul(m, m) y = Sub(s, p) }"""
    assert fused(text) == ["ReduceMean Mul ReduceMean Mul Sub (x, axis) -> y"]


def test_reductions_over_other_axes_are_two_kernels() -> None:
    text = """g (float[4,8] x) => (float[4,8] y) <int64[1] rows = {0}, int64[1] columns = {1}>
    { e = Exp(x) a = ReduceSum<keepdims=1>(e, rows) b = ReduceSum<keepdims=1>(e, columns)
      c = Div(e, a) y = Div(c, b) }"""
    assert fused(text) == ["Exp (x) -> e", "ReduceSum (e, columns) -> b", "ReduceSum Div Div (e, rows, b) -> y"]
    assert "it reduces other elements, or over other axes" in reasons(text)


def test_row_result_along_another_dimension_of_a_square() -> None:
    """[4] stands for the rows of [4,4], but is broadcast along its columns."""
    text = """g (float[4,4] x) => (float[4,4] y) <int64[1] axis = {1}>
    { m = ReduceMean<keepdims=0>(x, axis) y = Sub(x, m) }"""
    assert fused(text) == ["ReduceMean (x, axis) -> m", "Sub (x, m) -> y"]
    assert "it reads a result of the group along another dimension" in reasons(text)


def test_row_result_kept_as_one_joins() -> None:
    text = """g (float[4,4] x) => (float[4,4] y) <int64[1] axis = {1}>
    { m = ReduceMean<keepdims=1>(x, axis) y = Sub(x, m) }"""
    assert fused(text) == ["ReduceMean Sub (x, axis) -> y"]


def test_operation_with_several_outputs() -> None:
    text = """g (float[2,8] x) => (float[2,8] y, float[2,1] m) <float[8] s, float[8] b>
    { n, m, i = LayerNormalization(x, s, b) y = Relu(n) }"""
    assert fused(text) == ["LayerNormalization Relu (x, s, b) -> m, y"]


# -- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operand", ["c", "k"])
def test_smaller_operand_is_broadcast(operand: str) -> None:
    assert fused(image(f"a = Conv(x, w) y = Mul({operand}, a)")) == [f"Conv Mul (x, w, {operand}) -> y"]


def test_result_larger_than_the_loops_is_refused() -> None:
    text = image("a = Conv(x, w) y = Add(a, r)", "float[2,4,8,8] y", "float[1,4,8,8] x, float[2,4,8,8] r")
    assert fused(text) == ["Conv (x, w) -> a", "Add (a, r) -> y"]
    assert "its result has shape [2, 4, 8, 8], the loops have [1, 4, 8, 8]" in reasons(text)


def test_same_elements_under_more_dimensions_are_refused() -> None:
    text = "g (float[4,3] x, float[3,5] w, float[1,4,5] r) => (float[1,4,5] y) { a = MatMul(x, w) y = Add(a, r) }"
    assert fused(text) == ["MatMul (x, w) -> a", "Add (a, r) -> y"]


def test_no_elements() -> None:
    text = "g (float[0,3] x, float[3,4] w) => (float[0,4] y) { a = MatMul(x, w) y = Relu(a) }"
    assert fused(text) == ["MatMul (x, w) -> a", "Relu (a) -> y"]
    assert "it has no elements" in reasons(text)


def test_cheap_smaller_operand_is_repeated() -> None:
    text = "g (float[4,1] x, float[1,4] r) => (float[4,4] y) { a = Neg(x) b = Neg(r) y = Add(a, b) }"
    assert fused(text) == ["Neg Neg Add (x, r) -> y"]


def test_expensive_smaller_operand_is_computed_once() -> None:
    text = "g (float[4,1] x, float[4,4] r) => (float[4,4] y) { a = Exp(x) y = Add(a, r) }"
    assert fused(text) == ["Exp (x) -> a", "Add (a, r) -> y"]
    assert "it is cheaper to compute once than again in each element that it is broadcast to" in reasons(text)


def test_views_have_no_kernel_and_stand_between() -> None:
    text = """g (float[4,6] x, float[6,8] w) => (float[2,2,8] y) <int64[3] s = {2, 2, 8}>
    { a = MatMul(x, w) b = Reshape(a, s) y = Exp(b) }"""
    assert [g.kind for g in groups_of(text)] == ["contraction", "view", "elementwise"]
    assert "it is no elementwise operation but view" in reasons(text)


# -- movement ---------------------------------------------------------------------------------------------------------


def test_chain_behind_a_movement() -> None:
    text = """g (float[1,6] x) => (float[8,6] y) <int64[2] t = {8, 6}>
    { a = Expand(x, t) b = Exp(a) y = Neg(b) }"""
    assert fused(text) == ["Expand Exp Neg (x, t) -> y"]


def test_chain_before_a_movement_that_puts_each_element_elsewhere() -> None:
    text = """g (float[1,8,3,3] x) => (float[1,2,6,6] y)
    { b = Exp(x) c = DepthToSpace<blocksize=2>(b) y = Neg(c) }"""
    assert fused(text) == ["Exp DepthToSpace Neg (x) -> y"]


def test_parts_are_seen_where_they_lie() -> None:
    """A slice and a split have kernels of their own only where something is left out between, or as graph outputs."""
    text = """g (float[4,6] x) => (float[2,3] y, float[2,6] z)
    <int64[1] one = {1}, int64[1] three = {3}, int64[1] a = {0}>
    { b = Exp(x) c = Slice(b, one, three, a) p, q = Split<axis=1, num_outputs=2>(c) y = Mul(p, q)
      n = Neg(x) z = Slice(n, one, three, a) }"""
    assert fused(text) == [
        "Exp (x) -> b",
        "Slice (b, one, three, a) -> c",
        "Split (c) -> p, q",
        "Mul (p, q) -> y",
        "Neg Slice (x, one, three, a) -> z",
    ]


def test_chain_before_a_movement_that_repeats_elements() -> None:
    text = "g (float[1,6] x) => (float[8,6] y) <int64[2] t = {8, 6}> { a = Exp(x) y = Expand(a, t) }"
    assert fused(text) == ["Exp (x) -> a", "Expand (a, t) -> y"]
    assert "it would be computed more than once for each element" in reasons(text)


# -- limits -----------------------------------------------------------------------------------------------------------


def test_kernels_read_a_limited_number_of_tensors() -> None:
    count = 2 * MAX_OPERANDS
    inputs = ", ".join(f"float[3] x{i}" for i in range(count))
    chain = "a0 = Neg(x0) " + " ".join(f"a{i} = Add(a{i - 1}, x{i})" for i in range(1, count))
    text = f"g ({inputs}) => (float[3] a{count - 1}) {{ {chain} }}"
    groups = groups_of(text)
    assert [len(g.inputs) for g in groups] == [MAX_OPERANDS, MAX_OPERANDS, 2]
    assert f"the kernel would read more than {MAX_OPERANDS} tensors" in reasons(text)


def test_reduction_between_two_elementwise_nodes_joins_both() -> None:
    text = image("a = Relu(x) p = GlobalMaxPool(a) s = Sigmoid(p) y = Mul(a, s)")
    assert fused(text) == ["Relu GlobalMaxPool Sigmoid Mul (x) -> y"]


def test_no_circle_through_a_node_between() -> None:
    """The sum would need the pooling, which needs the group."""
    body = "a = Conv(x, w) p = MaxPool<kernel_shape=[1,1]>(a) y = Add(a, p)"
    assert fused(image(body)) == ["Conv (x, w) -> a", "MaxPool Add (a) -> y"]
    assert "its operand p is computed from the group's own result" in reasons(image(body))


def test_no_circle_of_two_kernels() -> None:
    """The first kernel reads n of the second; u would bring the first one's result into the second."""
    body = """a = Conv(x, w) p = Relu(a) b = Conv(z, w) n = Neg(b) t = Add(p, n)
              m = MaxPool<kernel_shape=[1,1]>(p) u = Add(b, m)"""
    ports = [f"float[1,4,8,8] {name}" for name in "tunxz"]
    groups = groups_of(image(body, ", ".join(ports[:3]), ", ".join(ports[3:])))
    assert_whole(groups)
    assert [told(g) for g in groups] == [
        "Conv Neg (z, w) -> b, n",
        "Conv Relu Add (x, w, n) -> p, t",
        "MaxPool Add (p, b) -> u",
    ]


def test_what_has_no_vector_form_stays_out_of_products() -> None:
    text = """g (double[4,6] x, double[6,8] w) => (float16[4,8] y)
    { a = MatMul(x, w) y = Cast<to=10>(a) }"""
    assert fused(text) == ["MatMul (x, w) -> a", "Cast (a) -> y"]
    assert "it has no vector form" in reasons(text)


# -- any graph --------------------------------------------------------------------------------------------------------


def assert_whole(groups: list[Group]) -> None:
    """Each node once, in topological order, with exactly the inputs and outputs that it has."""
    nodes = [n for g in groups for n in g.nodes]
    assert len(nodes) == len(set(nodes))
    graph = nodes[0].graph
    assert graph is not None and set(nodes) == set(graph)
    done: set[ir.Value | None] = {None, *graph.inputs, *graph.initializers.values()}
    for number, group in enumerate(groups):
        assert group.index == number and group.anchor in group.nodes
        assert all(v in done for v in group.inputs)
        inside: set[ir.Value] = set()
        for node in group.nodes:
            assert all(v is None or v in inside or v in group.inputs for v in node.inputs)
            inside.update(node.outputs)
        outside = {u for v in inside for u in v.uses() if u.node not in group.nodes}
        needed = {v for v in inside if v.is_graph_output() or any(u in outside for u in v.uses())}
        assert set(group.outputs) == needed or (not needed and len(group.outputs) == 1)
        assert not inside & set(group.inputs)
        done.update(inside)


@pytest.mark.parametrize("seed", range(80))
def test_groups_of_random_graphs_are_whole(seed: int) -> None:
    model = random_model(seed, steps=16 + seed % 3 * 12, more=MORE)
    shapes = {str(v.name): [d if isinstance(d, int) else BATCH for d in v.shape or ()] for v in model.graph.inputs}
    log = Log()
    groups = find_groups(specialize(model, shapes).graph, log)
    assert_whole(groups)
    assert all(d.reason for d in log.decisions)


def test_every_edge_that_is_not_fused_has_a_reason() -> None:
    log = Log()
    text = image("a = Conv(x, w) b = Relu(a) d = Conv(b, w) y = Neg(d)")
    groups_of(text, log)
    assert [(d.what, d.made) for d in log.decisions] == [
        ("fuse Relu into Conv", True),
        ("fuse Conv into Conv", False),
        ("fuse Neg into Conv", True),
    ]
