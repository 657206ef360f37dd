"""What do LSTM, GRU and RNN compute for each hidden unit, once the products of the step are there?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fusewright.kernel.expr import Expr, binary, maximum, minimum, op, select
from fusewright.ops.opdef import Site

Activation = Callable[[Expr], Expr]

# name (lower case): its function of x, alpha and beta, and the defaults of these (None: not used)
ACTIVATIONS: Mapping[str, tuple[Callable[[Expr, float, float], Expr], float | None, float | None]] = {
    "tanh": (lambda x, a, b: op("tanh", x), None, None),
    "sigmoid": (lambda x, a, b: op("sigmoid", x), None, None),
    "relu": (lambda x, a, b: maximum(x, 0), None, None),
    "affine": (lambda x, a, b: x * a + b, 1.0, 0.0),
    "leakyrelu": (lambda x, a, b: select(x < 0, x * a, x), 0.01, None),
    "thresholdedrelu": (lambda x, a, b: select(x > a, x, 0), 1.0, None),
    "scaledtanh": (lambda x, a, b: op("tanh", x * b) * a, 1.0, 1.0),
    "hardsigmoid": (lambda x, a, b: minimum(maximum(x * a + b, 0), 1), 0.2, 0.5),
    "elu": (lambda x, a, b: select(x < 0, op("expm1", x) * a, x), 1.0, None),
    "softsign": (lambda x, a, b: binary("div", x, op("abs", x) + 1), None, None),
    "softplus": (lambda x, a, b: op("softplus", x), None, None),
}
DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def directions_of(site: Site) -> int:
    return 2 if site.get("direction", "forward") == "bidirectional" else 1


def activation_keys(site: Site) -> list[tuple[tuple[str, float, float], ...]]:
    """For each direction (name, alpha, beta) of its activations; values are taken in order by those that use them."""
    wanted = DEFAULTS[site.op_type] * directions_of(site)
    names = [str(n).lower() for n in site.attributes.get("activations") or wanted]
    alphas, betas = list(site.get("activation_alpha") or ()), list(site.get("activation_beta") or ())
    made = []
    for name in names:
        _, alpha, beta = ACTIVATIONS[name]
        a = float(alphas.pop(0)) if alpha is not None and alphas else (alpha or 0.0)
        b = float(betas.pop(0)) if beta is not None and betas else (beta or 0.0)
        made.append((name, a, b))
    count = len(DEFAULTS[site.op_type])
    return [tuple(made[d * count : (d + 1) * count]) for d in range(directions_of(site))]


def make_activation(key: tuple[str, float, float], clip: float | None) -> Activation:
    function = ACTIVATIONS[key[0]][0]

    def apply(x: Expr) -> Expr:
        limited = x if clip is None else minimum(maximum(x, -clip), clip)
        return function(limited, key[1], key[2])

    return apply


@dataclass(frozen=True)
class Unit:
    """A vector of hidden units of one row: what its cell may use.

    `x(g)` and `h(g)` are the input's and the state's part of gate g, each with its bias; `peephole(p)` the weights P
    (None: there are none); `name` gives a value a name in the kernel.
    """

    x: Callable[[int], Expr]
    h: Callable[[int], Expr]
    state: Expr
    cell: Expr | None
    peephole: Callable[[int], Expr] | None
    name: Callable[[Expr, str], Expr]


def lstm(u: Unit, activations: Sequence[Activation], outer: Activation, coupled: bool) -> tuple[Expr, Expr]:
    """The new state and cell; gates lie in the order i, o, f, c, peepholes in the order i, o, f."""
    gate, candidate = activations[0], activations[1]
    if u.cell is None:
        raise ValueError("an LSTM has a cell")
    old = u.cell

    def total(g: int, cell: Expr) -> Expr:
        value = u.x(g) + u.h(g)
        return value if u.peephole is None or g == 3 else value + u.peephole(g) * cell

    i = u.name(gate(total(0, old)), "i")
    f = u.name(binary("sub", 1, i) if coupled else gate(total(2, old)), "f")
    new = u.name(f * old + i * candidate(total(3, old)), "cell")
    return u.name(gate(total(1, new)) * outer(new), "h"), new


def gru_gates(u: Unit, activations: Sequence[Activation]) -> tuple[Expr, Expr]:
    """The gates z and r."""
    gate = activations[0]
    return u.name(gate(u.x(0) + u.h(0)), "z"), u.name(gate(u.x(1) + u.h(1)), "r")


def gru_state(u: Unit, activations: Sequence[Activation], z: Expr, reset: Expr | None) -> Expr:
    """The new state; `reset` is r where it scales the state's part after the product (linear_before_reset)."""
    part = u.h(2) if reset is None else reset * u.h(2)
    candidate = u.name(activations[1](u.x(2) + part), "candidate")
    return u.name(candidate + z * (u.state - candidate), "h")


def rnn(u: Unit, activations: Sequence[Activation]) -> Expr:
    return u.name(activations[0](u.x(0) + u.h(0)), "h")
