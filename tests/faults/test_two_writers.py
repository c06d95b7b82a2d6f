"""Several real processes write into one folder at once, and one of them is frozen for a while."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from strongroom.repository.heads import heads_of
from strongroom.repository.remembered import Memory
from tests.faults import writers
from tests.faults.workloads import FIRST, Files, undecided
from tests.faults.writers import Meeting
from tests.storage.local_stores import local_store
from tests.support.invariants import check_invariants
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B1", "B4")

ROOT = Path(__file__).parents[2]
LEAST_POINTS = 10  # fewer would mean that we do not look


def _base(folder: Path) -> dict[str, Files]:
    with closing(local_store(folder / "base" / "repository")) as store:
        kit = Kit(store, folder / "base" / "state")
        kit.init()
        return {kit.backup(FIRST, "same").snapshot.id: FIRST}


def _meetings(folder: Path, how: str, who: str) -> Generator[Meeting, None, None]:
    command = [sys.executable, "-m", "tests.faults.writers", str(folder), how, who]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        for line in running.stdout:
            folder_name, snapshots, froze = json.loads(line)
            yield Meeting(folder_name, [(key, number) for key, number in snapshots], froze)
    assert running.returncode == 0


def _check(meeting: Meeting, before: dict[str, Files], who: str) -> None:
    here = Path(meeting.folder)
    told = {key: writers.files_of(number, who) for key, number in meeting.snapshots}
    assert len(told) == len(meeting.snapshots)
    with closing(local_store(here / "repository")) as store:
        kit = Kit(store, here / "state")
        assert undecided(store) == set()
        if who == "same" and meeting.froze:
            known = Memory(kit.state).load(store.url)
            heads = heads_of(kit.open().read_history().decisions)
            assert known is not None
            assert {head.key for head in heads} <= set(known.heads), "a host forgot a commit"
        check_invariants(kit, {**before, **told})


@pytest.mark.parametrize("how", ["frozen", "together"])
@pytest.mark.parametrize("who", ["same", "different"])
def test_writers_that_meet_both_commit(how: str, who: str, tmp_path: Path) -> None:
    """One is frozen at any of its requests while another begins and ends, or four run at the same
    time with threads: all commit, nothing is lost, and the host they share remembers all of it.
    """
    before, points = _base(tmp_path), 0
    with closing(_meetings(tmp_path, how, who)) as meetings:
        for meeting in meetings:
            points += 1
            try:
                _check(meeting, before, who)
            except BaseException as error:
                error.add_note(f"REPRO: {how}, {who}: meeting {points}, {meeting}")
                raise
            shutil.rmtree(meeting.folder)
    assert points >= (LEAST_POINTS if how == "frozen" else writers.ROUNDS)
