"""Does the interpreter refuse what breaks a rule? Else no test with it would mean anything."""

from __future__ import annotations

import numpy as np
import pytest

from fusewright.errors import InternalError
from fusewright.kernel.expr import Buffer, Load, Op, Var, arg, const, index
from fusewright.kernel.interpret import AccessError, StaleValue, interpret
from fusewright.kernel.loops import CallC, Kernel


def kernel_that_copies(extent: int, shift: int) -> tuple[Kernel, Buffer, Buffer]:
    kernel = Kernel("copy", 4)
    x, y = kernel.buffer("f32", "x"), kernel.buffer("f32", "y", "out")
    kernel.vector_loop(arg(extent), lambda at, v: kernel.store_lanes(y, at, Load("f32", False, x, at + shift), v))
    return kernel, x, y


def test_the_interpreter_refuses_what_lies_outside() -> None:
    """Else none of the tests with it would mean anything."""
    for extent, shift, message in ((9, 1, r"load at x\[9\]"), (8, 2, r"load at x\[6 to 9\]"), (9, -1, r"x\[-1 to 2\]")):
        kernel, x, y = kernel_that_copies(extent, shift)
        with pytest.raises(AccessError, match=message + ", which has 9 elements"):
            interpret(kernel, {x: np.zeros(9, np.float32), y: np.zeros(extent, np.float32)}, 1)
    kernel, x, y = kernel_that_copies(9, 0)
    with pytest.raises(AccessError, match=r"store at y\[8\], which has 8 elements"):
        interpret(kernel, {x: np.zeros(9, np.float32), y: np.zeros(8, np.float32)}, 1)


def test_negative_indices_are_outside() -> None:
    """NumPy would count them from the end."""
    kernel = Kernel("test", 4)
    x, y = kernel.buffer("f32", "x"), kernel.buffer("f32", "y", "out")
    kernel.store(y, index(0), Load("f32", False, x, arg(0) - 1))
    with pytest.raises(AccessError, match=r"load at x\[-1\]"):
        interpret(kernel, {x: np.zeros(3, np.float32), y: np.zeros(3, np.float32)}, 1)


def test_inputs_are_only_read() -> None:
    kernel = Kernel("test", 4)
    x = kernel.buffer("f32", "x")
    kernel.store(x, index(0), const(1, "f32"))
    with pytest.raises(AccessError, match="only read"):
        interpret(kernel, {x: np.zeros(1, np.float32)}, 1)


def test_scratch_ends_where_the_next_begins() -> None:
    kernel = Kernel("test", 4)
    first, second = kernel.scratch("f32", 16, "first"), kernel.scratch("f32", 1, "second")
    kernel.store(second, index(15), const(1, "f32"))  # rounded up to a cache line
    kernel.store(first, index(16), const(1, "f32"))
    with pytest.raises(AccessError, match=r"first\[16\], which has 16 elements"):
        interpret(kernel, {}, 1)


def test_scratch_that_nobody_wrote_is_not_a_number() -> None:
    kernel = Kernel("test", 4)
    scratch, y = kernel.scratch("f32", 4, "scratch"), kernel.buffer("f32", "y", "out")
    kernel.store(y, index(0), Load("f32", False, scratch, index(2)))
    result = np.zeros(1, np.float32)
    interpret(kernel, {y: result}, 1)
    assert np.isnan(result[0])


def test_a_node_is_not_used_after_its_operands_changed() -> None:
    """The printer may have given it a name, and would not compute it again."""
    kernel = Kernel("test", 4)
    y = kernel.buffer("f32", "y", "out")
    counter = kernel.mutable(const(1, "f32"))
    double = counter + counter
    kernel.store(y, index(0), double)
    kernel.assign(counter, double)
    with pytest.raises(StaleValue, match="add of f32"):
        kernel.store(y, index(1), double)
        interpret(kernel, {y: np.zeros(2, np.float32)}, 1)


def test_a_block_of_its_own_computes_again() -> None:
    kernel = Kernel("test", 4)
    y = kernel.buffer("f32", "y", "out")
    counter = kernel.mutable(const(1, "f32"))
    double = counter + counter
    with kernel.loop(arg(3), "i") as i:
        kernel.store(y, i, double)
        kernel.assign(counter, counter + 1)
    result = np.zeros(3, np.float32)
    interpret(kernel, {y: result}, 1)
    assert result.tolist() == [2, 4, 6]


def test_only_what_is_mutable_and_in_scope_is_assigned() -> None:
    kernel = Kernel("test", 4)
    kernel.assign(Var("f32", False, "nobody"), const(1, "f32"))
    with pytest.raises(InternalError, match="nobody is not a mutable variable"):
        interpret(kernel, {}, 1)


def test_variables_end_with_their_block() -> None:
    kernel = Kernel("test", 4)
    y = kernel.buffer("i64", "y", "out")
    with kernel.loop(arg(2), "i") as i:
        inside = kernel.let(i + 1, "inside")
    kernel.store(y, index(0), inside)
    with pytest.raises(InternalError, match="inside is used outside its scope"):
        interpret(kernel, {y: np.zeros(1, np.int64)}, 1)


def test_indices_divide_as_c_and_python_agree() -> None:
    kernel = Kernel("test", 4)
    y = kernel.buffer("i64", "y", "out")
    kernel.store(y, index(0), (arg(2) - 3) // arg(2))
    with pytest.raises(InternalError, match="only what is not negative"):
        interpret(kernel, {y: np.zeros(1, np.int64)}, 1)


def test_functions_are_given_by_the_caller() -> None:
    kernel = Kernel("test", 4)
    y = kernel.buffer("f32", "y", "out")
    kernel.emit(CallC("fill", (y, arg(3))))
    with pytest.raises(InternalError, match="no function fill"):
        interpret(kernel, {y: np.zeros(4, np.float32)}, 1)
    result = np.zeros(4, np.float32)
    interpret(kernel, {y: result}, 1, functions={"fill": lambda array, count: array[:count].fill(7)})
    assert result.tolist() == [7, 7, 7, 0]


def test_what_has_no_meaning_is_named() -> None:
    kernel = Kernel("test", 4)
    y = kernel.buffer("f32", "y", "out")
    kernel.store(y, index(0), Op("f32", False, "invent", (const(1, "f32"),)))
    with pytest.raises(InternalError, match="invent of f32 has no meaning"):
        interpret(kernel, {y: np.zeros(1, np.float32)}, 1)


@pytest.mark.parametrize("chosen, seen", [(0, [13, 14]), (1, [2, 3])])
def test_memory_that_is_chosen_begins_where_it_was_told(chosen: int, seen: list[int]) -> None:
    kernel = Kernel("example", 4)
    x, z, y = kernel.buffer("i64", "x"), kernel.buffer("i64", "z"), kernel.buffer("i64", "y", "out")
    memory = kernel.either(kernel.lo > 0, (x, index(2)), (z, index(3)))
    with kernel.loop(2) as i:
        kernel.store(y, i, Load("i64", False, memory, i))
    arrays = {x: np.arange(4), z: np.arange(10, 15), y: np.zeros(2, np.int64)}
    interpret(kernel, arrays, 2, chosen, 2)
    assert arrays[y].tolist() == seen
    kernel.store(y, index(0), Load("i64", False, memory, index(2)))
    with pytest.raises(AccessError, match=r"chosen\[2\], which has 2 elements"):
        interpret(kernel, arrays, 2, chosen, 2)
