"""What a test calls to start Python in a process of its own (the fixture `start`)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Start = Callable[..., "subprocess.Popen[str]"]
