"""The C spelling of each expression node, for one element and for one vector."""

from __future__ import annotations

from fusewright.kernel.expr import COMPARISONS, FLOATS, HALVES, INTS, UNSIGNED, Op, computed

INFIX = {
    "add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
    "bitand": "&", "bitor": "|", "bitxor": "^", "and": "&", "or": "|", "xor": "^", "floordiv": "/", "floormod": "%",
}  # fmt: skip
WRAPPING = frozenset({"add", "sub", "mul"})
FORMS = {**{name: f"({{0}} {sign} {{1}})" for name, sign in INFIX.items()}, "fma": "({0} * {1} + {2})"}
SCALAR_FORMS = {
    **FORMS,
    "not": "(!{0})", "select": "({0} ? {1} : {2})", "lane": "{0}[{1}]",
    "isnan": "(__builtin_isnan({0}) != 0)", "isinf": "(__builtin_isinf({0}) != 0)",
}  # fmt: skip
SCALAR_FLOAT_FORMS = {"div": "({0} / {1})", "neg": "(-{0})"}
VECTOR_FORMS = {**FORMS, "not": "(~{0})", "bitnot": "(~{0})", "neg": "(-{0})"}
# the vector extensions spread a scalar operand of these themselves; a scalar int they would not narrow to the lanes
SPREADING = {**{name: FORMS[name] for name in WRAPPING}, "div": "({0} / {1})"}
MASKS = {  # how a mask of 32-bit lanes becomes one as wide as the values that it selects
    "f32": "", "i32": "", "u32": "", "f64": "fw_to_i64", "i64": "fw_to_i64", "u64": "fw_to_i64",
    "i8": "fw_to_i8", "u8": "fw_to_i8", "i16": "fw_to_i16", "u16": "fw_to_i16",
}  # fmt: skip
EXACT = frozenset({"select", "max", "min", "neg", "abs", "splat", "lane"})
"""What makes a half of halves without rounding."""


def scalar_op(e: Op, args: list[str]) -> str:
    """One element. Functions are `fws_NAME_DTYPE`."""
    return rounded(e, _scalar(e, args))


def rounded(e: Op, spelled: str) -> str:
    """The value of `e`: a half is float32 in C, of no more bits than it has in memory."""
    if e.dtype not in HALVES or e.name in EXACT:
        return spelled
    return f"fw{'' if e.vec else 's'}_round_{e.dtype}({spelled})"


def _scalar(e: Op, args: list[str]) -> str:
    name, dtype = e.name, e.args[0].dtype if e.args else e.dtype
    if name in WRAPPING and dtype in INTS:
        return _wrapped(name, dtype, args)
    if name in SCALAR_FORMS:
        return SCALAR_FORMS[name].format(*args)
    if name in SCALAR_FLOAT_FORMS and dtype in FLOATS:
        return SCALAR_FLOAT_FORMS[name].format(*args)
    if name == "cast":
        return _scalar_cast(dtype, e.dtype, args[0])
    if name == "bitcast":
        return _bitcast(dtype, e.dtype, args[0])
    if name == "bitnot":
        return f"(({integer(dtype)})~{args[0]})"
    if name.startswith("h") and e.args and e.args[0].vec:  # across the lanes
        return f"fw_{name}_{dtype}({args[0]})"
    return f"fws_{name}_{computed(dtype)}({', '.join(args)})"


def integer(dtype: str) -> str:
    """The C type of an integer dtype."""
    return f"{'u' if dtype in UNSIGNED else ''}int{dtype[1:]}_t"


def _wrapped(name: str, dtype: str, args: list[str]) -> str:
    """Integer arithmetic that wraps around, as every runtime computes it; signed overflow is undefined in C."""
    if dtype in ("i64", "u64"):  # index arithmetic is kept readable: nothing overflows 64 bits by counting elements
        return f"({args[0]} {INFIX[name]} {args[1]})"
    return f"(({integer(dtype)})((uint32_t){args[0]} {INFIX[name]} (uint32_t){args[1]}))"


def _bitcast(source: str, target: str, x: str) -> str:
    """The same bits as another type of that width."""
    if source in HALVES:
        source, x = "u16", f"fws_bits_{source}({x})"
    if target in HALVES:
        return f"fws_value_{target}({_bitcast(source, 'u16', x)})"
    return f"(((union {{ {_stored(source)} from; {_stored(target)} to; }}){{.from = {x}}}).to)"


def _stored(dtype: str) -> str:
    known = {"f32": "float", "f64": "double", "bool": "uint8_t"}
    return known[dtype] if dtype in known else integer(dtype)


def _scalar_cast(source: str, target: str, x: str) -> str:
    if target == "bool":
        return f"({x} != 0)"
    if target == "f16" and source == "f64":
        return f"fws_to_odd({x})"
    if target in FLOATS:
        return f"(({'double' if target == 'f64' else 'float'}){x})"
    c = integer(target)
    if source in FLOATS:  # out of range gives what the processor gives, never undefined behaviour
        return (
            f"(({c})fws_to_i64_{'f64' if source == 'f64' else 'f32'}({x}))" if target != "u64" else f"fws_to_u64({x})"
        )
    return f"(({c}){x})"


def vector_op(e: Op, args: list[str]) -> str:
    """One value a lane. Functions are `fw_NAME_DTYPE`; scalars are spread over the lanes where C does not do it."""
    return rounded(e, _vector(e, args))


def _vector(e: Op, args: list[str]) -> str:
    name = e.name
    if name == "iota":
        return "fw_iota_i64()"
    if name == "splat":
        return _splat(e.dtype, args[0])
    dtype = computed(e.args[0].dtype)
    if name in SPREADING and dtype in FLOATS:
        return SPREADING[name].format(*args)
    full = [text if a.vec else _splat(a.dtype, text) for text, a in zip(args, e.args, strict=True)]
    if name == "select":
        return _select(e.dtype, full)
    if name == "cast":
        return _vector_cast(dtype, computed(e.dtype), full[0])
    if name == "bitcast":
        return f"((fw_{e.dtype}v){full[0]})"
    form = VECTOR_FORMS.get(name)
    spelled = form.format(*full) if form is not None else f"fw_{name}_{dtype}({', '.join(full)})"
    return _mask(dtype, spelled) if name in COMPARISONS else spelled


def _splat(dtype: str, x: str) -> str:
    if dtype == "bool":
        return f"fw_splat_i32(-(int32_t){x})"
    return f"fw_splat_{computed(dtype)}({x})"


def _mask(dtype: str, comparison: str) -> str:
    """A comparison has lanes as wide as its operands; masks have 32 bits."""
    return comparison if dtype in ("f32", "i32", "bool") else f"fw_to_i32({comparison})"


def _select(dtype: str, args: list[str]) -> str:
    mask, a, b = args
    if dtype == "bool":
        return f"fw_sel_i32({mask}, {a}, {b})"
    narrow = MASKS[computed(dtype)]
    return f"fw_sel_{computed(dtype)}({f'{narrow}({mask})' if narrow else mask}, {a}, {b})"


def _vector_cast(source: str, target: str, x: str) -> str:
    if target == "bool":
        return _mask(source, f"({x} != 0)")
    if source == "bool":
        return f"fw_to_{target}({x} & 1)" if target != "i32" else f"({x} & 1)"
    if source in FLOATS and target in ("i8", "u8", "i16", "u16"):  # by int32, as C does it: small negatives wrap
        return f"fw_to_{target}(fw_to_i32({x}))"
    if source in FLOATS and target == "u32":
        return f"fw_to_u32(fw_to_i64({x}))"
    return x if source == target else f"fw_to_{target}({x})"
