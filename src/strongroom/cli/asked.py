"""What was asked of a store that may charge for it."""

from __future__ import annotations

from strongroom.app.stores import is_far
from strongroom.cli.job import Job
from strongroom.cli.quantities import counted, duration


def took(one: Job, seconds: float, requests: int) -> str:
    """Return how long it took, and, of a store that is no folder, how many requests."""
    asked = f", {counted(requests, 'request')}" if is_far(one.run) else ""
    return f"{duration(seconds)}{asked}"
