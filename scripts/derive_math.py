"""Where do the coefficients in runtime/csrc/fw_math.h come from?

Prints every approximation P(t)/Q(t) as float32 hexadecimal literals, constant first, with the error that it adds in ulp
(2**-23 of the result). Fitted by linearised least squares (Sanathanan and Koerner, 1963) under Lawson's weights (1961),
which tend to the minimax solution; coefficients are rounded to float32 one at a time from the lowest, and the rest
is fitted again around those.

Needs mpmath beside numpy:  python scripts/derive_math.py [NAME...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import mpmath  # type: ignore[import-untyped]  # it ships no types
import numpy as np
from numpy.typing import NDArray

Function = Callable[[mpmath.mpf], mpmath.mpf]
Array = NDArray[np.float64]
Term = tuple[int, str]  # (power, "p" or "q")
mpmath.mp.dps = 40
ULP = 2.0**-23
POINTS = 1000
ROUNDS = 150


@dataclass(frozen=True)
class Fit:
    """P(t)/Q(t) close to `target` on `[low, high]`; an error e of it moves the result by e * weight(t), relative.

    Q's constant is 1; `exact` are P's first coefficients where they are prescribed.
    """

    target: Function
    weight: Function
    low: float
    high: float
    above: int
    below: int = 0
    exact: tuple[float, ...] = ()


class Samples:
    """A fit's target at Chebyshev points, which crowd at the ends of the interval."""

    def __init__(self, fit: Fit) -> None:
        angles = np.pi * (np.arange(POINTS) + 0.5) / POINTS
        points = (fit.low + fit.high) / 2 - (fit.high - fit.low) / 2 * np.cos(angles)
        self.scale = max(abs(fit.low), abs(fit.high))  # powers of t/scale stay near 1
        self.values = np.array([float(fit.target(mpmath.mpf(t))) for t in points])
        self.weights = np.array([abs(float(fit.weight(mpmath.mpf(t)))) for t in points])
        self.powers = [(points / self.scale) ** k for k in range(max(fit.above, fit.below) + 1)]
        self.terms: list[Term] = [(k, "p") for k in range(fit.above + 1)] + [(k, "q") for k in range(1, fit.below + 1)]

    def sums(self, solution: dict[Term, float]) -> tuple[Array, Array]:
        """P and Q at the points."""
        above, below = np.zeros(POINTS), np.ones(POINTS)
        for (power, side), value in solution.items():
            (above if side == "p" else below)[:] += value * self.powers[power]
        return above, below

    def error(self, solution: dict[Term, float]) -> Array:
        above, below = self.sums(solution)
        weighted: Array = np.abs(above / below - self.values) * self.weights
        return weighted

    def solve(self, known: dict[Term, float]) -> dict[Term, float]:
        """All coefficients, those not known chosen so that the largest error is small."""
        free = [t for t in self.terms if t not in known]
        lawson, below = np.ones(POINTS), np.ones(POINTS)
        best, least = dict(known), np.inf
        columns = np.stack([self.powers[k] * (1 if s == "p" else -self.values) for k, s in free], axis=1)
        for _ in range(ROUNDS):
            row = np.sqrt(lawson) * self.weights / below
            known_above, known_below = self.sums(known)
            matrix = columns * row[:, None]
            norms = np.linalg.norm(matrix, axis=0)
            wanted = (self.values * known_below - known_above) * row
            found = np.linalg.lstsq(matrix / norms, wanted, rcond=1e-16)[0] / norms
            solution = {**known, **{t: float(v) for t, v in zip(free, found, strict=True)}}
            below = self.sums(solution)[1]
            error = self.error(solution)
            if error.max() < least:
                best, least = solution, float(error.max())
            lawson = lawson * (error / error.max() + 1e-3)
            lawson /= lawson.mean()
        return best


def fit_rounded(fit: Fit) -> tuple[list[float], list[float], float]:
    """P's and Q's coefficients, all float32 values, and the largest error."""
    samples = Samples(fit)
    known: dict[Term, float] = {(k, "p"): value * samples.scale**k for k, value in enumerate(fit.exact)}
    for term in sorted(samples.terms):
        if term not in known:
            scale = samples.scale ** term[0]
            known[term] = float(np.float32(samples.solve(known)[term] / scale)) * scale
    plain = {(k, side): value / samples.scale**k for (k, side), value in known.items()}
    above = [float(np.float32(plain[k, "p"])) for k in range(fit.above + 1)]
    below = [1.0] + [float(np.float32(plain[k, "q"])) for k in range(1, fit.below + 1)]
    return above, below, float(samples.error(known).max())


def odd(function: Function, high: float, degree: int) -> Fit:
    """function(r) = r + r**3 * P(r*r)."""

    def target(t: mpmath.mpf) -> mpmath.mpf:
        r = mpmath.sqrt(t)
        return (function(r) - r) / r**3

    return Fit(target, lambda t: mpmath.sqrt(t) ** 3 / function(mpmath.sqrt(t)), 0.0, high * high, degree)


def odd_quotient(function: Function, high: float, above: int, below: int) -> Fit:
    """function(r) = r * P(r*r) / Q(r*r)."""

    def target(t: mpmath.mpf) -> mpmath.mpf:
        return function(mpmath.sqrt(t)) / mpmath.sqrt(t)

    return Fit(target, lambda t: 1 / target(t), 0.0, high * high, above, below)


def lifted_erf(x: mpmath.mpf) -> mpmath.mpf:
    """erf that passes 1 where it would only approach it, so that the kernel's min(y, 1) saturates exactly."""
    start, end, lift = 3.5, 4.1, 7e-7
    return mpmath.erf(x) + (lift * ((x - start) / (end - start)) ** 2 if x > start else 0)


HALF_LN2 = 0.34658
FITS = {
    # e**r
    "exp": Fit(mpmath.exp, lambda t: 1 / mpmath.exp(t), -HALF_LN2, HALF_LN2, 5, exact=(1.0,)),
    # 2**r from one sixteenth to the next, for silu
    "exp2": Fit(lambda t: 2**t, lambda t: 2**-t, 0, 1 / 16, 2),
    # 2**r for silu without AVX-512
    "exp2_wide": Fit(lambda t: 2**t, lambda t: 2**-t, -0.50001, 0.50001, 5, exact=(1.0,)),
    # e**x - 1 = x * P(x), |x| <= 1/2
    "expm1": Fit(lambda t: mpmath.expm1(t) / t, lambda t: t / mpmath.expm1(t), -0.5, 0.5, 6, exact=(1.0,)),
    # log(1 + f) = f - f**2/2 + f**3 * P(f), sqrt(1/2) - 1 <= f <= sqrt(2) - 1
    "log": Fit(
        lambda t: (mpmath.log1p(t) - t + t**2 / 2) / t**3, lambda t: t**3 / mpmath.log1p(t), -0.29290, 0.41422, 7
    ),
    # log(1 + z) = z * P(z), 0 <= z <= 1, for softplus
    "log1p": Fit(lambda t: mpmath.log1p(t) / t, lambda t: t / mpmath.log1p(t), 0.0, 1.0, 8, exact=(1.0,)),
    "tanh": odd_quotient(mpmath.tanh, 9.02, 4, 4),
    "erf": odd_quotient(lifted_erf, 4.1, 5, 5),
    "sin": odd(mpmath.sin, 0.7854, 2),
    # cos(r) = 1 - r**2/2 + r**4 * P(r**2)
    "cos": Fit(
        lambda t: (mpmath.cos(mpmath.sqrt(t)) - 1 + t / 2) / t**2,
        lambda t: t * t / mpmath.cos(mpmath.sqrt(t)),
        0.0,
        0.7854**2,
        2,
    ),
    "asin": odd(mpmath.asin, 0.5, 4),
    "atan": odd(mpmath.atan, 1.0, 7),
    "sinh": odd(mpmath.sinh, 1.0, 2),
}


def literal(value: float) -> str:
    """C's hexadecimal spelling without trailing zeros."""
    mantissa, exponent = value.hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}f"


def main(names: list[str]) -> None:
    for name in names or list(FITS):
        above, below, error = fit_rounded(FITS[name])
        print(f"{name}: {error / ULP:.3f} ulp\n    " + ", ".join(map(literal, above)))
        if len(below) > 1:
            print("  / " + ", ".join(map(literal, below)))


if __name__ == "__main__":
    main(sys.argv[1:])
