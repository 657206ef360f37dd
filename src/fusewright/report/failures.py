"""How does an error look? One message for what the user can mend; a plea and a trace for a bug of ours."""

from __future__ import annotations

import platform
import sys
import traceback
from importlib.metadata import PackageNotFoundError, version

import click


def version_text() -> str:
    """The version of the installed package."""
    try:
        return version("fusewright")
    except PackageNotFoundError:
        return "unknown (run from source)"


def show_user_error(error: Exception) -> None:
    """What, where, expected, got, what to do: the message says it all, so nothing is added."""
    click.echo(f"fusewright: error: {str(error).strip()}", err=True)


def show_bug(error: BaseException) -> None:
    """Everything that a report of the bug needs."""
    click.echo("".join(traceback.format_exception(error)).rstrip(), err=True)
    first = (str(error).strip().splitlines() or [""])[0]
    click.echo(
        f"fusewright: this is a bug in Fusewright, not a fault of yours: {type(error).__name__}: {first}\n"
        "Please report it with the lines above, the command, and the model if you can share it.\n"
        f"Fusewright {version_text()}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}; command: {' '.join(sys.argv)}",
        err=True,
    )
