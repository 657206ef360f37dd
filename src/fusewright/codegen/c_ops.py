"""The C spelling of each expression node, for one element and for one vector."""

from __future__ import annotations

from fusewright.errors import InternalError
from fusewright.kernel.expr import FLOATS, UNSIGNED, Op

INFIX = {
    "add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
    "bitand": "&", "bitor": "|", "bitxor": "^",
}  # fmt: skip
BOOLEAN = {"and": "&", "or": "|", "xor": "^"}
ARITHMETIC = frozenset({"add", "sub", "mul", "div"})
WRAPPING = {
    "i8": "int8_t",
    "u8": "uint8_t",
    "i16": "int16_t",
    "u16": "uint16_t",
    "i32": "int32_t",
    "i64": "int64_t",
}


def scalar_op(e: Op, args: list[str]) -> str:
    """One element. Functions are `fws_NAME_DTYPE`."""
    spelled = _scalar(e, args)
    if e.dtype == "bf16" and e.name not in ("select", "max", "min", "neg", "abs"):
        return f"fws_bf16_round({spelled})"
    return spelled


def _scalar(e: Op, args: list[str]) -> str:
    name, dtype = e.name, e.args[0].dtype if e.args else e.dtype
    if name in INFIX:
        if name in ARITHMETIC and dtype in WRAPPING:
            return _wrapped(name, dtype, args)
        return f"({args[0]} {INFIX[name]} {args[1]})"
    if name in BOOLEAN:
        return f"({args[0]} {BOOLEAN[name]} {args[1]})"
    match name:
        case "not":
            return f"(!{args[0]})"
        case "bitnot":
            return f"((WRAP)~{args[0]})".replace("WRAP", WRAPPING.get(dtype, f"uint{dtype[1:]}_t"))
        case "select":
            return f"({args[0]} ? {args[1]} : {args[2]})"
        case "cast":
            return _scalar_cast(dtype, e.dtype, args[0])
        case "fma":
            return f"({args[0]} * {args[1]} + {args[2]})"
        case "floordiv":
            return f"({args[0]} / {args[1]})"
        case "floormod":
            return f"({args[0]} % {args[1]})"
        case "div" if dtype in FLOATS:
            return f"({args[0]} / {args[1]})"
        case "neg" if dtype in FLOATS:
            return f"(-{args[0]})"
        case "lane":
            return f"{args[0]}[{args[1]}]"
    if name.startswith("h") and e.args and e.args[0].vec:  # across the lanes
        return f"fw_{name}_{dtype}({args[0]})"
    if dtype in ("f16", "bf16"):  # functions are computed in float32 and rounded once
        inner = f"fws_{name}_f32({', '.join(args)})"
        return f"((_Float16){inner})" if e.dtype == "f16" else inner
    return f"fws_{name}_{dtype}({', '.join(args)})"


def _wrapped(name: str, dtype: str, args: list[str]) -> str:
    """Integer arithmetic that wraps around, as every runtime computes it; signed overflow is undefined in C."""
    if dtype == "i64":  # index arithmetic is kept readable; the build passes -fwrapv
        return f"({args[0]} {INFIX[name]} {args[1]})"
    return f"(({WRAPPING[dtype]})({args[0]} {INFIX[name]} {args[1]}))"


def _scalar_cast(source: str, target: str, x: str) -> str:
    if target == "bool":
        return f"({x} != 0)"
    if target == "f16":
        return f"((_Float16){x})"
    if target == "bf16":
        return f"((float){x})"
    if target in FLOATS:
        return f"(({'double' if target == 'f64' else 'float'}){x})"
    c = f"{'u' if target in UNSIGNED else ''}int{target[1:]}_t"
    if source in FLOATS:  # out of range gives what the processor gives, never undefined behaviour
        return (
            f"(({c})fws_to_i64_{'f64' if source == 'f64' else 'f32'}({x}))"
            if target != "u64"
            else f"fws_to_u64({x})"
        )
    return f"(({c}){x})"


def vector_op(e: Op, args: list[str]) -> str:
    """One value a lane. Functions are `fw_NAME_DTYPE`; scalars are spread over the lanes where C does not do it."""
    name = e.name
    if name == "iota":
        return "fw_iota_i64()"
    if name == "splat":
        return _splat(e.dtype, args[0])
    dtype = e.args[0].dtype
    vectors = [a.vec for a in e.args]
    if (name in ARITHMETIC and dtype in FLOATS) or name in ("add", "sub", "mul"):
        return f"({args[0]} {'/' if name == 'div' else INFIX[name]} {args[1]})"
    full = [t if v else _splat(a.dtype, t) for t, v, a in zip(args, vectors, e.args, strict=True)]
    if name in ("lt", "le", "gt", "ge", "eq", "ne"):
        return _mask(dtype, f"({full[0]} {INFIX[name]} {full[1]})")
    if name in BOOLEAN:
        return f"({full[0]} {BOOLEAN[name]} {full[1]})"
    match name:
        case "bitand" | "bitor" | "bitxor":
            return f"({full[0]} {INFIX[name]} {full[1]})"
        case "not" | "bitnot":
            return f"(~{full[0]})"
        case "select":
            return _select(e.dtype, full)
        case "cast":
            return _vector_cast(dtype, e.dtype, full[0])
        case "fma":
            return f"({full[0]} * {full[1]} + {full[2]})"
        case "floordiv":
            return f"({full[0]} / {full[1]})"
        case "floormod":
            return f"({full[0]} % {full[1]})"
        case "neg":
            return f"(-{full[0]})"
        case "isnan" | "isinf":
            return _mask(dtype, f"fw_{name}_{dtype}({full[0]})")
    return f"fw_{name}_{dtype}({', '.join(full)})"


def _splat(dtype: str, x: str) -> str:
    if dtype == "bool":
        return f"fw_splat_i32(-(int32_t){x})"
    return f"fw_splat_{dtype}({x})"


def _mask(dtype: str, comparison: str) -> str:
    """A comparison has lanes as wide as its operands; masks have 32 bits."""
    return comparison if dtype in ("f32", "i32", "bool") else f"fw_to_i32({comparison})"


def _select(dtype: str, args: list[str]) -> str:
    mask, a, b = args
    if dtype == "bool":
        return f"fw_sel_i32({mask}, {a}, {b})"
    width = {
        "f32": "",
        "i32": "",
        "f64": "fw_to_i64",
        "i64": "fw_to_i64",
        "i8": "fw_to_i8",
        "u8": "fw_to_i8",
        "i16": "fw_to_i16",
    }
    if dtype not in width:
        raise InternalError(f"no vector select of {dtype}")
    return (
        f"fw_sel_{dtype}({width[dtype]}({mask}), {a}, {b})"
        if width[dtype]
        else f"fw_sel_{dtype}({mask}, {a}, {b})"
    )


def _vector_cast(source: str, target: str, x: str) -> str:
    if target == "bool":
        return _mask(source, f"({x} != 0)")
    if source == "bool":
        return f"fw_to_{target}({x} & 1)" if target != "i32" else f"({x} & 1)"
    return f"fw_to_{target}({x})"
