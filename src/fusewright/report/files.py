"""How is a file of text written so that it appears whole, or not at all?"""

from __future__ import annotations

import os
from pathlib import Path

from fusewright.errors import UserError


def require_writable(output: Path, source: Path, option: str = "-o") -> None:
    """Raises UserError before any work is done, if `output` cannot be written or would replace `source`."""
    if output.exists() and source.exists() and output.samefile(source):
        raise UserError(f"{option} {output}: this is the model itself, which would be lost; name another file")
    if not output.absolute().parent.is_dir():
        raise UserError(f"{option} {output}: there is no directory {output.absolute().parent}")
    if output.is_dir():
        raise UserError(f"{option} {output}: expected the name of a file, got a directory")


def write_text(output: Path, text: str, option: str = "-o") -> None:
    """Raises UserError, that names the option which asked for the file, when it cannot be written."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, output)
    except OSError as error:
        raise UserError(f"{option} {output}: cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
