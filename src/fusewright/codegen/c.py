"""How is a kernel spelled in C? One text for every instruction set; vector types and functions are in fw_kernel.h."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fusewright.codegen.c_ops import scalar_op, vector_op
from fusewright.errors import InternalError
from fusewright.kernel.expr import HALVES, Arg, Buffer, Const, Expr, Load, Op, Var, children, computed
from fusewright.kernel.loops import Assign, CallC, Comment, Define, Either, For, If, Kernel, Part, Stmt, Store

C_TYPES = {
    "bool": "uint8_t", "i8": "int8_t", "u8": "uint8_t", "i16": "int16_t", "u16": "uint16_t", "i32": "int32_t",
    "u32": "uint32_t", "i64": "int64_t", "u64": "uint64_t", "f16": "uint16_t", "bf16": "uint16_t",
    "f32": "float", "f64": "double",
}  # fmt: skip
VALUE_TYPES = {**C_TYPES, **dict.fromkeys(HALVES, "float")}
IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*")
OWN = "FW_OWN"  # stands for the kernel's symbol in the names of its parts
LONG_LINE = 90  # a longer expression gets a name


@dataclass(frozen=True)
class Printed:
    """The C text of one kernel, its symbol, and the run-time integers in the order of `n[]`."""

    symbol: str
    text: str
    args: tuple[int, ...]


def print_kernel(kernel: Kernel, *, aliased: bool = False, lanes: int | None = None) -> Printed:
    """The function of `kernel`; the symbol is its name and a hash of its text, so equal kernels are one.

    `aliased` tells that the result may lie in an operand's memory: then no pointer is `restrict`. `lanes` are those
    that C files are compiled for, where this is known: a kernel with others says so in its first lines.
    """
    pointers = {b.name: _pointer(b, aliased) for b in kernel.buffers}
    pointers |= {b.name: f"{C_TYPES[b.dtype]} *{b.name}" for b in kernel.scratch_buffers}
    printer = _Printer(pointers, [b.name for b in kernel.chosen])
    printer.block(kernel.body, 1)
    head = [f"    {pointers[b.name]} = p[{i}];" for i, b in enumerate(kernel.buffers)]
    head += [f"    {pointers[b.name]} = {_scratch(b)};" for b in kernel.scratch_buffers]
    head += [f"    const int64_t arg{i} = n[{i}];" for i in range(len(printer.args))]
    unused = "    (void)p, (void)n, (void)lo, (void)hi, (void)scratch;"
    body = "\n".join([*head, unused, *printer.lines])
    if lanes not in (None, kernel.lanes):
        body = f"    /* vectors of {kernel.lanes} elements */\n{body}"
    parts = "".join(f"{part}\n\n" for part in printer.parts)
    symbol = f"fw_{kernel.name}_{hashlib.sha256((parts + body).encode()).hexdigest()[:12]}"
    parts, body = (text.replace(OWN, symbol) for text in (parts, body))
    taken = "void *const *p, const int64_t *n, int64_t lo, int64_t hi, char *scratch"
    text = f"{parts}void {symbol}({taken}) {{\n{body}\n}}\n"
    if printer.calls:
        text = f'#include "fw_algorithms.h"\n\n{text}'
    if lanes not in (None, kernel.lanes):
        text = f"#undef FW_LANES\n#define FW_LANES {kernel.lanes}\n{text}"
    return Printed(symbol, text, tuple(a.value for a in printer.args))


def _scratch(b: Buffer) -> str:
    sign = "-" if b.offset < 0 else "+"
    return f"({C_TYPES[b.dtype]} *)(scratch {sign} {abs(b.offset)})"


def _pointer(b: Buffer, aliased: bool) -> str:
    constant = "const " if b.role == "in" else ""
    alone = "" if aliased else "restrict "
    return f"{constant}{C_TYPES[b.dtype]} *{alone}{b.name}"


def c_type(x: Expr) -> str:
    if not x.vec:
        return VALUE_TYPES[x.dtype]
    return "fw_i32v" if x.dtype == "bool" else f"fw_{computed(x.dtype)}v"


class _Printer:
    def __init__(self, pointers: Mapping[str, str], chosen: Sequence[str]) -> None:
        self.lines: list[str] = []
        self.parts: list[str] = []  # functions
        # how each C name is declared, in the order in which they appear
        self.declared = {**pointers, "lo": "int64_t lo", "hi": "int64_t hi"}
        self.outside: frozenset[str] = frozenset()  # what a part may only read
        self.args: list[Arg] = []
        self.arg_names: dict[int, str] = {}
        self.names: dict[int, str] = {}  # id(Var or shared node) -> C name
        self.used: Counter[str] = Counter([*pointers, *chosen, "p", "n"])
        self.keep: list[Expr] = []  # nodes named by id must stay alive
        self.depth = 1
        self.counts: Counter[int] = Counter()
        self.calls = False  # functions of fw_algorithms.h
        self.rolled = False  # loops of the part

    # -- statements -------------------------------------------------------------------------------------------
    def block(self, body: list[Stmt], depth: int) -> None:
        outer, self.depth = self.depth, depth
        for statement in body:
            self.statement(statement)
        self.depth = outer

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def statement(self, s: Stmt) -> None:
        if isinstance(s, For):
            self.prepare(s.start, s.stop, s.step)
            start, stop, step = self.text(s.start), self.text(s.stop), self.text(s.step)
            v = self.fresh(s.var)
            advance = f"{v}++" if step == "1" else f"{v} += {step}"
            rolled = "FW_ROLLED " if self.rolled else ""
            self.line(f"{rolled}for (int64_t {v} = {start}; {v} < {stop}; {advance}) {{")
            self.scope(s.body)
            self.line("}")
        elif isinstance(s, Define):
            self.prepare(s.value)
            value = self.text(s.value)
            constant = "" if s.mutable else "const "
            kind = c_type(s.var)
            self.line(f"{constant}{kind} {self.fresh(s.var)} = {value};")
        elif isinstance(s, Assign):
            self.prepare(s.value)
            name = self.names[id(s.var)]
            if name in self.outside:
                raise InternalError(f"a part of a kernel assigns to {name}, which is outside of it")
            self.line(f"{name} = {self.text(s.value)};")
        elif isinstance(s, Store):
            self.prepare(s.index, s.value, *(() if s.count is None else (s.count,)))
            self.store(s)
        elif isinstance(s, If):
            self.prepare(s.condition)
            self.line(f"if ({_strip(self.text(s.condition))}) {{")
            self.scope(s.then)
            if s.otherwise:
                self.line("} else {")
                self.scope(s.otherwise)
            self.line("}")
        elif isinstance(s, Part):
            self.part(s)
        elif isinstance(s, CallC):
            self.prepare(*(a for a in s.args if isinstance(a, Expr)))
            args = ", ".join(self.text(a) if isinstance(a, Expr) else a.name for a in s.args)
            self.line(f"{s.name}({args});")
            self.calls = True
        elif isinstance(s, Either):
            (one, at), (other, place) = s.one, s.other
            self.prepare(s.condition, at, place)
            texts = (self.text(s.condition), f"{one.name} + {self.text(at)}", f"{other.name} + {self.text(place)}")
            self.declared[s.buffer.name] = f"const {C_TYPES[s.buffer.dtype]} *{s.buffer.name}"
            self.line(f"{self.declared[s.buffer.name]} = {texts[0]} ? {texts[1]} : {texts[2]};")
        elif isinstance(s, Comment):
            self.line(f"/* {s.text.replace('*/', '')} */")
        else:
            raise InternalError(f"no C form of statement {type(s).__name__}")

    def part(self, s: Part) -> None:
        """A function of what its body reads, and the call."""
        known, names, lines, outside = dict(self.declared), dict(self.names), self.lines, self.outside
        rolled, self.rolled = self.rolled, s.rolled
        self.lines, self.outside = [], frozenset(known)
        self.block(s.body, 1)
        text = "\n".join(self.lines)
        self.names, self.lines, self.outside, self.rolled = names, lines, outside, rolled
        known |= {name: f"const int64_t {name}" for name in self.arg_names.values()}
        used = set(IDENTIFIER.findall(text))
        passed = [name for name in known if name in used]
        function = f"{OWN}_{len(self.parts) + 1}_{s.name}"
        parameters = ", ".join(known[name] for name in passed)
        self.parts.append(f"static __attribute__((noinline)) void {function}({parameters}) {{\n{text}\n}}")
        self.line(f"{function}({', '.join(passed)});")

    def scope(self, body: list[Stmt]) -> None:
        """Temporaries made inside a block are unknown after it."""
        names = dict(self.names)
        self.block(body, self.depth + 1)
        self.names = names

    def store(self, s: Store) -> None:
        value, where = self.text(s.value), _strip(self.text(s.index))
        name, dtype = s.buffer.name, s.buffer.dtype
        if not s.value.vec:
            if dtype in HALVES:
                value = f"fws_bits_{dtype}({_strip(value)})"
            self.line(f"{name}[{where}] = {_strip(value)};")
            return
        kind = dtype
        if dtype == "bool":
            kind, value = "u8", f"fw_bool_from_mask({value})"
        if s.index.vec:
            count = "FW_LANES" if s.count is None else self.text(s.count)
            self.line(f"fw_scatter_{kind}({name}, {where}, {_strip(value)}, {count});")
        elif s.count is None:
            self.line(f"fw_store_{kind}({name} + {where}, {_strip(value)});")
        else:
            self.line(f"fw_store_{kind}_n({name} + {where}, {_strip(value)}, {self.text(s.count)});")

    # -- names ------------------------------------------------------------------------------------------------
    def unique(self, wanted: str) -> str:
        self.used[wanted] += 1
        return wanted if self.used[wanted] == 1 else f"{wanted}_{self.used[wanted]}"

    def fresh(self, var: Var) -> str:
        if var.name in ("lo", "hi"):
            return var.name
        name = self.names[id(var)] = self.unique(var.name)
        self.declared[name] = f"const {c_type(var)} {name}"
        self.keep.append(var)
        return name

    def prepare(self, *roots: Expr) -> None:
        """Give a name to what the statement's expressions use more than once."""
        counts: Counter[int] = Counter()

        def count(e: Expr) -> None:
            counts[id(e)] += 1
            if counts[id(e)] == 1 and id(e) not in self.names:
                for c in children(e):
                    count(c)

        for r in roots:
            count(r)
        self.counts = counts

    def text(self, e: Expr) -> str:
        if isinstance(e, Var) and e.name in ("lo", "hi"):
            return e.name
        if id(e) in self.names:
            return self.names[id(e)]
        if isinstance(e, Const):
            return _constant(e)
        if isinstance(e, Arg):
            if id(e) not in self.arg_names:
                self.arg_names[id(e)] = f"arg{len(self.args)}"
                self.args.append(e)
            return self.arg_names[id(e)]
        if isinstance(e, Var):
            raise InternalError(f"variable {e.name} is used outside its scope")
        spelled = self.load(e) if isinstance(e, Load) else self.op(e)
        if self.counts[id(e)] > 1 or len(spelled) > LONG_LINE:
            name = self.unique("t")
            self.declared[name] = f"const {c_type(e)} {name}"
            self.line(f"{self.declared[name]} = {_strip(spelled)};")
            self.names[id(e)] = name
            self.keep.append(e)
            return name
        return spelled

    def load(self, e: Load) -> str:
        where, name, dtype = _strip(self.text(e.index)), e.buffer.name, e.dtype
        if not e.vec:
            return f"fws_value_{dtype}({name}[{where}])" if dtype in HALVES else f"{name}[{where}]"
        kind = "u8" if dtype == "bool" else dtype
        if e.index.vec:
            count = "FW_LANES" if e.count is None else self.text(e.count)
            spelled = f"fw_gather_{kind}({name}, {where}, {count})"
        elif e.repeat:
            spelled = f"fw_load_{'ones' if e.repeat == 1 else 'twos'}_{kind}({name} + {where})"
        elif e.count is None:
            spelled = f"fw_load_{kind}({name} + {where})"
        else:
            spelled = f"fw_load_{kind}_n({name} + {where}, {self.text(e.count)})"
        return f"fw_mask_from_bool({spelled})" if dtype == "bool" else spelled

    def op(self, e: Expr) -> str:
        if not isinstance(e, Op):
            raise InternalError(f"no C form of {type(e).__name__}")
        args = [self.text(a) for a in e.args]
        if not e.vec:
            return scalar_op(e, args)
        return vector_op(e, args)


def _strip(text: str) -> str:
    """Without the outermost pair of brackets."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0 and i < len(text) - 1:
            return text
    return text[1:-1]


def _constant(e: Const) -> str:
    v = e.value
    if e.dtype == "bool":
        return "1" if v else "0"
    if e.dtype in ("f32", "f64", "f16", "bf16"):
        suffix = "" if e.dtype == "f64" else "f"
        if math.isnan(v):
            return f'__builtin_nan{suffix}("")'
        if math.isinf(v):
            return f"({'-' if v < 0 else ''}__builtin_inf{suffix}())"
        text = f"{float(v)!r}{suffix}" if v == int(v) and abs(v) < 1e6 else f"{float(v).hex()}{suffix}"
        return f"({text})" if text.startswith("-") else text
    if e.dtype == "u64":
        return f"{int(v)}u"
    if e.dtype == "i64" and v == -(2**63):
        return "INT64_MIN"
    return f"({int(v)})" if v < 0 else f"{int(v)}"
