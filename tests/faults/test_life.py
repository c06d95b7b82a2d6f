"""Lives of repositories beside a model; see ``machine``."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.faults.machine import Life

TestLife = pytest.mark.spec("B1", "B2")(Life.TestCase)
TestLife.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
