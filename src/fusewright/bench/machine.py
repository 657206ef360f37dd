"""What was measured on, and when? A time without this means nothing."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from typing import Any

from fusewright.settings import usable_cpus
from fusewright.target import host
from fusewright.target.host import processor


def machine_facts() -> dict[str, Any]:
    """Processor, processors usable, instruction set, system, date, and how busy the machine was before."""
    facts: dict[str, Any] = {
        "processor": processor(),
        "cpus": usable_cpus(),
        "target": host().name,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    if hasattr(os, "getloadavg"):
        facts["load_before"] = round(os.getloadavg()[0], 2)
    return facts
