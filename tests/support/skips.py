"""In CI every test runs: a skip there is a failure."""

from __future__ import annotations

from collections.abc import Generator

import pytest


class SkipsFail:
    """Turns skipped tests and modules into failures; expected failures stay what they are."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self,
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Fail a test that skips itself or is marked so."""
        report = yield
        if report.skipped and not hasattr(report, "wasxfail"):
            report.outcome = "failed"
            report.longrepr = _reason(report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self,
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Fail a module that skips itself while it is imported."""
        report = yield
        if report.skipped:
            report.outcome = "failed"
            report.longrepr = _reason(report)
        return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    skip = report.longrepr
    why = skip[2] if isinstance(skip, tuple) else skip
    return f"skipped, but CI runs every test: {why}"
