"""Lives of repositories beside a model; see ``machine``."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.faults.machine import Life

_SETTINGS = settings(
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


class MoreLife(Life):
    """The same, with examples of its own."""


TestLife = pytest.mark.spec("B1", "B2")(Life.TestCase)
TestLife.settings = settings(_SETTINGS, max_examples=15)
TestManyLives = pytest.mark.slow(pytest.mark.spec("B1", "B2")(MoreLife.TestCase))
TestManyLives.settings = settings(_SETTINGS, max_examples=150)
