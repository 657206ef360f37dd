"""What can go wrong, sorted by who can mend it: `UserError` is the user's to mend, all else is our bug."""

from __future__ import annotations


class UserError(Exception):
    """The input is at fault. The message says what, where, expected, got, and what to do (exit code 2)."""


class ModelError(UserError):
    """The model file cannot be read, is not valid ONNX, or refers to files that are missing or outside."""


class UnsupportedError(UserError):
    """The model is valid, but holds something that Fusewright cannot compile; each case is listed."""


class ShapeError(UserError):
    """A shape is unbound, contradictory, or not what the model declares."""


class InputError(UserError):
    """An input of a call has the wrong name, dtype, rank or extent."""


class ArtifactError(UserError):
    """A compiled file is truncated, altered, of another version, or for another processor."""


class BuildError(UserError):
    """The C compiler is missing or failed; the message holds the command that repeats it."""


class InternalError(Exception):
    """A promise of ours does not hold: our bug (exit code 3). The message says which promise."""
