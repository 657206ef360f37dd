"""What does the machine have? Vector width, registers, caches, instruction sets: pure data."""

from fusewright.target.host import all_targets, get, host, host_features, missing_features, runs_here
from fusewright.target.target import Target

__all__ = ["Target", "all_targets", "get", "host", "host_features", "missing_features", "runs_here"]
