"""How is a program spelled in an artifact's JSON manifest? Program -> plain lists -> the same Program."""

from __future__ import annotations

from typing import Any

from fusewright.errors import ArtifactError
from fusewright.plan.program import Call, Port, Program, Ref, Space

_DTYPES = frozenset(("float32 float64 float16 bfloat16 bool int8 int16 int32 int64 uint8 uint16 uint32 uint64").split())


def program_to_json(program: Program) -> dict[str, Any]:
    """Names are for what a person may look up; calls are bare lists, as there are hundreds."""
    return {
        "inputs": [_port_to_json(port) for port in program.inputs],
        "outputs": [_port_to_json(port) for port in program.outputs],
        "kernels": list(program.kernels),
        "calls": [
            [
                call.kernel, [[int(ref.space), ref.offset, ref.index] for ref in call.refs], list(call.args),
                call.units, call.shares, call.scratch, call.turns,
            ]
            for call in program.calls
        ],
        "arena_bytes": program.arena_bytes,
        "scratch_bytes": program.scratch_bytes,
        "threads": program.threads,
    }  # fmt: skip


def program_from_json(data: Any) -> Program:
    """The program. Raises ArtifactError when the data is not what `program_to_json` makes."""
    try:
        return Program(
            inputs=tuple(_port_from_json(port) for port in data["inputs"]),
            outputs=tuple(_port_from_json(port) for port in data["outputs"]),
            kernels=tuple(_text(name) for name in data["kernels"]),
            calls=tuple(_call_from_json(call) for call in data["calls"]),
            arena_bytes=_number(data["arena_bytes"]),
            scratch_bytes=_number(data["scratch_bytes"]),
            threads=_number(data["threads"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"the artifact's manifest holds no whole program ({error}); compile the model again"
        ) from None


def _port_to_json(port: Port) -> dict[str, Any]:
    return {"name": port.name, "dtype": port.dtype, "shape": list(port.shape)}


def _port_from_json(data: Any) -> Port:
    dtype = _text(data["dtype"])
    if dtype not in _DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}")
    return Port(_text(data["name"]), dtype, tuple(_number(extent) for extent in data["shape"]))


def _call_from_json(data: Any) -> Call:
    kernel, refs, args, units, shares, scratch, turns = data
    return Call(
        kernel=_number(kernel),
        refs=tuple(Ref(Space(space), _number(offset), _number(index)) for space, offset, index in refs),
        args=tuple(_integer(arg) for arg in args),
        units=_number(units),
        shares=_number(shares),
        scratch=_number(scratch),
        turns=_number(turns),
    )


def _integer(value: Any) -> int:
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise TypeError(f"expected a 64-bit integer, got {value!r}")
    return value


def _number(value: Any) -> int:
    if _integer(value) < 0:
        raise ValueError(f"expected a size or a count, got {value!r}")
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value
