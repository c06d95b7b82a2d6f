"""Limits of the line, through the whole program below the command line."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from strongroom.app.init import init
from strongroom.app.machine import Run
from strongroom.app.restore import RestoreRequest, restore
from strongroom.config.environment import Environment
from strongroom.config.places import Flags
from strongroom.config.settings import Limits, load_settings
from strongroom.errors import UsageError
from tests.faults.app_run import Host, write_files

RATE = 100_000
SIZE = 3_000_000
BURST = 0.5  # seconds that an idle line may save up


def _limited(run: Run, limits: Limits) -> Run:
    return replace(run, settings=replace(run.settings, limits=limits))


@pytest.mark.parametrize("limits", [Limits(), Limits(RATE, None), Limits(None, RATE)])
def test_a_backup_and_a_restore_take_the_time_that_their_bytes_need(
    tmp_path: Path, limits: Limits
) -> None:
    """Each direction by its own limit; without one, nothing waits."""
    write_files(tmp_path / "tree", {b"random": random.Random(1).randbytes(SIZE)})
    host = Host(tmp_path / "host", tmp_path / "tree")
    host.run = _limited(host.run, limits)
    clock = host.run.machine.clock
    init(host.run)
    began = clock.elapsed()
    host.backup()
    backed_up = clock.elapsed() - began
    request = RestoreRequest(snapshot="latest", to=str(tmp_path / "back"))
    assert restore(host.run, request, lambda _plan: True) is not None
    restored = clock.elapsed() - began - backed_up
    least = SIZE / RATE - BURST
    assert (backed_up >= least) == (limits.upload is not None)
    assert (restored >= least) == (limits.download is not None)
    if limits == Limits():
        assert (backed_up, restored) == (0, 0)


@pytest.mark.parametrize(
    ("text", "rate"), [("500", 500), ("500K", 512_000), ("1.5M/s", 1_572_864), ("2GiB", 2 << 30)]
)
def test_a_rate_is_a_size_in_a_second(tmp_path: Path, text: str, rate: int) -> None:
    """With the units of sizes, and /s or not."""
    flags = Flags(limit_upload=text, limit_download=text)
    settings = load_settings(flags, Environment({"HOME": str(tmp_path)}, tmp_path))
    assert settings.limits == Limits(rate, rate)


@pytest.mark.parametrize("text", ["0", "-5", "fast", "10X", ""])
def test_what_is_no_rate_is_told(tmp_path: Path, text: str) -> None:
    """UsageError with the option and what would do."""
    environment = Environment({"HOME": str(tmp_path)}, tmp_path)
    with pytest.raises(UsageError, match="--limit-download"):
        load_settings(Flags(limit_download=text), environment)
