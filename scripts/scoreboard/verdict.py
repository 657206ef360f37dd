"""Does an engine pass a case? One of the outcomes below, with a reason in one line."""

from __future__ import annotations

import copy
import gc
import re
import traceback
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cases import Case
from .engines import Engine

PASS, UNSUPPORTED, WRONG, CRASHED, HUNG = "pass", "unsupported", "wrong", "crashed", "hung"
OUTCOMES = (PASS, UNSUPPORTED, WRONG, CRASHED, HUNG)
LONGEST_REASON = 300
TWO_UNITS = {"bfloat16": 2.0**-6, "float16": 2.0**-9}
TWO_UNITS_OF_ONE = {"float32": 2.0**-22}


@dataclass(frozen=True)
class Verdict:
    outcome: str
    reason: str = ""
    seconds: float = 0.0


def judge(case: Case, engine: Engine) -> Verdict:
    """Compile and run one case; never raises for what the engine does, short of dying."""
    model, data_sets = case.load()
    run = None
    try:
        run = engine.prepare(model)
        for inputs, expected in data_sets:
            before = copy.deepcopy(inputs)
            got = run(inputs)
            problem = difference(expected, got, case.test.rtol, case.test.atol)
            if problem is None and difference(list(before.values()), list(inputs.values()), 0, 0) is not None:
                problem = "the run wrote into the caller's inputs"
            if problem is not None:
                return Verdict(WRONG, one_line(problem))
    except engine.refusals as error:
        if isinstance(error, engine.bugs):
            return Verdict(CRASHED, one_line(f"{type(error).__name__}: {error}"))
        return Verdict(UNSUPPORTED, one_line(f"{type(error).__name__}: {error}"))
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
        return Verdict(CRASHED, one_line(f"{type(error).__name__} at {place}: {error}"))
    finally:
        del run
        gc.collect()  # a session that dies while it is freed must take this case with it, not the next
    return Verdict(PASS)


def one_line(text: str) -> str:
    """White space collapsed, folders cut from absolute paths (they differ by machine), length limited."""
    text = " ".join(text.split())
    text = re.sub(r"(?<![\w.])/(?:[\w.+-]+/)+", "", text)
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 3] + "..."


def difference(expected: list[Any], got: list[Any], rtol: float, atol: float) -> str | None:
    """What is wrong with these outputs, or None."""
    if len(expected) != len(got):
        return f"{len(got)} outputs, expected {len(expected)}"
    for index, (want, have) in enumerate(zip(expected, got, strict=True)):
        problem = value_difference(want, have, rtol, atol)
        if problem is not None:
            return f"output {index}: {problem}"
    return None


def value_difference(want: Any, have: Any, rtol: float, atol: float) -> str | None:
    if want is None or have is None:
        return None if want is have else f"got {type(have).__name__}, expected {type(want).__name__}"
    if isinstance(want, list):
        if not isinstance(have, list | tuple):
            return f"got {type(have).__name__}, expected a sequence"
        return difference(want, list(have), rtol, atol)
    if not isinstance(have, np.ndarray | np.generic):
        return f"got {type(have).__name__}, expected an array"
    if want.shape != have.shape:
        return f"shape {list(have.shape)}, expected {list(want.shape)}"
    if want.dtype.kind in "OUS":
        return None if np.array_equal(want.astype(str), have.astype(str)) else "strings differ"
    if want.dtype != have.dtype:
        return f"dtype {have.dtype}, expected {want.dtype}"
    return number_difference(np.asarray(want), np.asarray(have), rtol, atol)


def number_difference(want: np.ndarray[Any, Any], have: np.ndarray[Any, Any], rtol: float, atol: float) -> str | None:
    """Compare numbers as the suite does: within its tolerances, NaN equal to NaN.

    Half precision is held to two units in the last place at least, float32 to two in the last place of one. The suite
    asks for less in places, of outputs that its own reference rounds more than once: 1.9e-7 where the answer is 0.
    """
    name = want.dtype.name
    if rtol or atol:
        rtol, atol = max(rtol, TWO_UNITS.get(name, 0.0)), max(atol, TWO_UNITS_OF_ONE.get(name, 0.0))
    if want.dtype.kind == "V" or name.startswith(("bfloat", "float4", "float6", "float8", "int2", "int4", "uint")):
        wide = np.float32 if "float" in name else np.int64 if name != "uint64" else want.dtype
        want, have = want.astype(wide), have.astype(wide)
    same = np.isclose(have, want, rtol=rtol, atol=atol, equal_nan=True)
    if same.all():
        return None
    first = np.unravel_index(int(np.argmin(same)), same.shape)
    share = f"{int((~same).sum())} of {same.size} values differ"
    return f"{share}, first at {[int(i) for i in first]}: got {have[first]}, expected {want[first]}"
