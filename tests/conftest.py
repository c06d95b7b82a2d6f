"""Set up every test run."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests.support.skips import SkipsFail
from tests.support.spec_rows import SpecRows
from tests.support.trials import TrialRuns

pytest_plugins = ["tests.support.s3_fixtures"]

CI = os.environ.get("STRONGROOM_CI") == "1"

# A loaded machine is slow, which is no fault of a property; CI tries the same examples each time.
settings.register_profile("house", deadline=None, derandomize=CI)
settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """Add the house rules that are plugins."""
    config.pluginmanager.register(SpecRows(config), "strongroom-spec-rows")
    config.pluginmanager.register(TrialRuns(config), "strongroom-trials")
    if CI:
        config.pluginmanager.register(SkipsFail(), "strongroom-skips-fail")
