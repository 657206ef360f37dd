"""What was measured on, and when? A time without this means nothing."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from typing import Any

from fusewright.settings import usable_cpus
from fusewright.target import host


def machine_facts() -> dict[str, Any]:
    """Processor, processors usable, instruction set, system, date, and how busy the machine was before."""
    facts: dict[str, Any] = {
        "processor": _processor(),
        "cpus": usable_cpus(),
        "target": host().name,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    if hasattr(os, "getloadavg"):
        facts["load_before"] = round(os.getloadavg()[0], 2)
    return facts


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
