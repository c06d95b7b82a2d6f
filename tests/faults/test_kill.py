"""The process is really killed, with SIGKILL, at every step that it takes on a real disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import closing, suppress
from pathlib import Path

import pytest

from strongroom.errors import RefusedError
from strongroom.storage.arguments import TEMPORARY_PREFIX
from tests.faults import driver
from tests.faults.driver import Outcome
from tests.faults.workloads import LARGE, Files
from tests.storage.local_stores import local_store
from tests.support.invariants import check_invariants
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B1")

ROOT = Path(__file__).parents[2]
TREE: Files = {
    b"config/app.toml": b"name = 'app'\n",
    b"config/empty": b"",
    b"data/large": LARGE,
    b"data/small": b"0123456789" * 100,
}
CHANGES: Files = {b"data/new": b"new\n", b"data/large": LARGE[:700_000] + b"!" + LARGE[700_000:]}
# Steps; fewer would mean that we do not look.
MUCH = {("init", "after"), ("first", "after")}
AT_LEAST = {"init": 35, "first": 40, "second": 40, driver.THREADED: 40}


def _write(tree: Path, files: Mapping[bytes, bytes]) -> None:
    for name, data in files.items():
        path = tree / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _files(tree: Path) -> Files:
    """Return what a snapshot of the tree must hold: files by path without the first slash."""
    return {
        os.fsencode(path)[1:]: path.read_bytes()
        for path in sorted(tree.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _base(folder: Path, work: str) -> dict[str, Files]:
    """Make ``base`` and ``tree`` for a work, and return what is acknowledged before it."""
    tree, base = folder / "tree", folder / "base"
    base.mkdir()
    _write(tree, TREE)
    (tree / "data" / "link").symlink_to("small")
    acknowledged: dict[str, Files] = {}
    if work == "init":
        return acknowledged
    with closing(local_store(base / "repository")) as store:
        kit = Kit(store, base / "state")
        kit.init()
        if work != "first":
            with driver.tree_source(tree) as source:
                acknowledged[kit.backup_source(source).snapshot.id] = _files(tree)
            _write(tree, CHANGES)
    return acknowledged


def _outcomes(folder: Path, work: str, series: str, rung: str) -> Generator[Outcome, None, None]:
    command = [sys.executable, "-m", "tests.faults.driver", str(folder), work, series, rung]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        for line in running.stdout:
            yield Outcome(*json.loads(line))
    assert running.returncode == 0


# After a step is before the next one, so that not every work needs both.
SERIES_OF_WORK = [
    pytest.param(work, series, marks=[pytest.mark.slow] if (work, series) in MUCH else [])
    for work in ("init", "first", "second")
    for series in driver.SERIES
]


@pytest.mark.parametrize(("work", "series"), SERIES_OF_WORK)
def test_sigkill_at_any_step_loses_nothing(work: str, series: str, tmp_path: Path) -> None:
    """Killed before, after or in the middle of any step on the disk, or at any request to the
    store: what was acknowledged is there, nothing is damaged, and the next backup works.
    """
    _kill_at_every_step(work, series, "unnamed", tmp_path)


def test_sigkill_while_threads_work(tmp_path: Path) -> None:
    """The same with worker threads, some of which are in the middle of something else."""
    _kill_at_every_step(driver.THREADED, "before", "unnamed", tmp_path)


@pytest.mark.parametrize("rung", ["linked", pytest.param("renamed", marks=pytest.mark.slow)])
def test_sigkill_where_files_need_a_temporary_name(rung: str, tmp_path: Path) -> None:
    """The same where the file system has no unnamed files: what is left behind is never listed."""
    _kill_at_every_step("second", "before", rung, tmp_path)


def _kill_at_every_step(work: str, series: str, rung: str, folder: Path) -> None:
    acknowledged = _base(folder, work)
    files = _files(folder / "tree")
    killed = 0
    with closing(_outcomes(folder, work, series, rung)) as outcomes:
        for outcome in outcomes:
            killed += outcome.killed
            try:
                _check(outcome, acknowledged, files, again=work == "init")
            except BaseException as error:
                error.add_note(f"REPRO: {work}, {series}, {rung}, {outcome}")
                raise
            shutil.rmtree(outcome.folder)
    if series in {"before", "after"}:
        assert killed >= AT_LEAST[work]


def _check(outcome: Outcome, before: Mapping[str, Files], files: Files, *, again: bool) -> None:
    here = Path(outcome.folder)
    with closing(local_store(here / "repository")) as store:
        kit = Kit(store, here / "state")
        if again:
            with suppress(RefusedError):  # its config was there
                kit.init()
        acknowledged = {**before, **dict.fromkeys(outcome.acknowledged, files)}
        if outcome.deciding:  # whether it did, nobody was told
            listed = {snapshot.id for snapshot in kit.snapshots()}
            acknowledged |= dict.fromkeys(listed - set(acknowledged), files)
        assert len(acknowledged) <= len(before) + 1
        assert not [info for info in store.list("") if TEMPORARY_PREFIX in info.key]
        check_invariants(kit, acknowledged)
