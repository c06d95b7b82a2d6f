"""Cleanup: what is old goes, and never the last thing that could be restored."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.app.archives.cleanup import clean_up
from strongroom.archive.metadata import Metadata
from strongroom.archive.naming import ArchiveId
from strongroom.archive.shelf import Shelved, State
from strongroom.clock import rfc3339
from strongroom.errors import StrongroomError
from strongroom.operations.archives.ages import freshness
from strongroom.operations.archives.cleanup import DAY_NS, Ages, choose
from tests.archives.project import DAY, Project, QuickFs, foreign, within
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import NAMING, FsFault, faulty_fs

NOW: Final = 1_800_000_000 * 10**9
AGES: Final = Ages(7, 30)


def shelved(
    number: int,
    days: float,
    state: State = State.GOOD,
    *,
    before_restore: bool = False,
    chain: tuple[str, ...] = (),
) -> Shelved:
    """Return what lies on a shelf since so many days."""
    stamp = f"20200101_{number:06}"
    made_ns = NOW - round(days * DAY_NS)
    metadata = Metadata(backup_timestamp=stamp, created=rfc3339(made_ns), chain=chain)
    has = None if state in {State.FAILED, State.UNFINISHED} else metadata
    return Shelved(ArchiveId(stamp, before_restore), state, stamp, metadata=has, why=state.value)


def _kept(*listed: Shelved, ages: Ages = AGES) -> list[int]:
    return [int(v.one.id.stamp[-6:]) for v in choose(listed, NOW, ages) if not v.goes]


@pytest.mark.spec("A6")
def test_by_age() -> None:
    """Older than the days go, those of exactly that age stay."""
    assert _kept(shelved(1, 8), shelved(2, 7.001), shelved(3, 7), shelved(4, 1)) == [3, 4]
    assert _kept(shelved(1, 8), shelved(2, 0.5), shelved(3, 0.1), ages=Ages(0, 0)) == [3]


@pytest.mark.spec("A6")
def test_the_newest_good_one_stays_however_old() -> None:
    """When backups have failed for a year, the last good one is all there is."""
    assert _kept(shelved(1, 400), shelved(2, 390)) == [2]
    assert _kept(
        shelved(1, 400), shelved(2, 390, State.INCOMPLETE), shelved(3, 380, State.DAMAGED)
    ) == [1, 2, 3]
    assert _kept(shelved(1, 400, State.UNPROVEN), shelved(2, 399, State.UNPROVEN)) == [1, 2]
    assert _kept(shelved(1, 400, State.UNPROVEN), shelved(2, 9)) == [2]


@pytest.mark.spec("A6")
def test_what_a_restore_kept_has_its_own_rule() -> None:
    """It goes after its own days, and is never the good one that others may go for."""
    before = shelved(3, 20, before_restore=True)
    assert _kept(shelved(1, 400), shelved(2, 300), before) == [2, 3]
    assert _kept(shelved(1, 400), shelved(3, 1, before_restore=True)) == [1, 3]
    assert _kept(shelved(1, 9), shelved(3, 31, before_restore=True), shelved(4, 1)) == [4]


@pytest.mark.spec("A6")
def test_bases_stay_as_long_as_they_are_needed() -> None:
    """All of the chain of an incremental archive that stays."""
    ids = [f"20200101_{number:06}" for number in (1, 2, 3)]
    chain = (shelved(1, 30), shelved(2, 20, chain=tuple(ids[:2])), shelved(3, 1, chain=tuple(ids)))
    assert _kept(*chain) == [1, 2, 3]
    assert _kept(*chain, shelved(4, 0.5)) == [1, 2, 3, 4]
    later = [shelved(1, 30), shelved(2, 20, chain=tuple(ids[:2])), shelved(4, 10)]
    assert _kept(*later) == [4]


@pytest.mark.spec("A6")
def test_failed_and_unfinished_runs() -> None:
    """The log of a failed run goes with its age, and never counts; one at work stays."""
    assert _kept(shelved(1, 9, State.FAILED), shelved(2, 9, State.UNFINISHED), shelved(3, 1)) == [
        2,
        3,
    ]
    assert _kept(shelved(1, 9), shelved(2, 1, State.FAILED)) == [1]


_LISTED = st.lists(
    st.builds(
        shelved,
        number=st.integers(0, 999),
        days=st.floats(-3, 60),
        state=st.sampled_from(State),
        before_restore=st.booleans(),
        chain=st.lists(st.integers(0, 9).map(lambda n: f"20200101_{n:06}"), max_size=3).map(tuple),
    ),
    max_size=8,
    unique_by=lambda one: one.id.stamp,
)


@pytest.mark.spec("A6")
@given(_LISTED, st.integers(0, 40), st.integers(0, 40))
def test_never_the_last(listed: list[Shelved], days: int, other: int) -> None:
    """Whatever lies there: the newest good one stays, each that goes is old, follows the rules, and
    what stays has its bases; a second run finds nothing more.
    """
    ages = Ages(days, other)
    verdicts = choose(listed, NOW, ages)
    kept = [one.one for one in verdicts if not one.goes]
    gone = [one.one for one in verdicts if one.goes]
    assert [one.one for one in verdicts] == listed
    good = [one for one in listed if one.state is State.GOOD and not one.id.before_restore]
    if good:
        newest = max(one.created_ns for one in good)
        assert any(one.created_ns == newest for one in kept if one in good)
    names = {str(one.id) for one in gone if one.is_archive}
    for one in kept:
        if one.metadata is not None:
            assert not names & set(one.metadata.chain[:-1])
    for one in gone:
        assert NOW - one.created_ns > (other if one.id.before_restore else days) * DAY_NS
        assert one.state is not State.UNFINISHED
        if not one.id.before_restore and one.state is not State.FAILED:
            assert any(each.created_ns > one.created_ns for each in good)
    assert all(not verdict.goes for verdict in choose(kept, NOW, ages)) or any(
        one.metadata and one.metadata.chain for one in listed
    )
    assert all(one.why for one in verdicts)


# -- by the command line and on a disk


def _aged(project: Project, *days: float, **more: bool) -> list[str]:
    """Make archives that are so old by the clock of the project, which is now afterwards."""
    made = []
    for age in days:
        project.clock.sleep(-age * DAY)
        made.append(project.made(**more))
        project.clock.sleep(age * DAY)
    return made


@pytest.mark.spec("A6")
def test_by_the_command_line(project: Project) -> None:
    """Seven days if none are said; a dry run says the same and removes nothing."""
    old, middle, new = _aged(project, 40, 10, 1)
    result = project.cli("archive", "cleanup", "--dry-run")
    assert f"would remove {old}" in result.out
    assert project.names() == {old, middle, new}
    result = project.cli("archive", "cleanup", "30")
    assert f"removed {old}" in result.out
    assert project.names() == {middle, new}
    project.cli("archive", "cleanup")
    assert project.names() == {new}
    project.cli("archive", "cleanup", "0")
    assert project.names() == {new}
    project.cli("archive", "cleanup", "-1", code=2)
    project.cli("archive", "cleanup", "soon", code=2)


@pytest.mark.spec("A6")
def test_a_newer_one_that_cannot_be_restored_is_no_reason(project: Project) -> None:
    """Neither a cut one, nor an incremental one whose base is gone."""
    old, base = _aged(project, 40, 20)
    (last,) = _aged(project, 1, incremental=True)
    shutil.rmtree(project.backup / base)
    project.cli("archive", "cleanup", "0")
    assert project.names() == {old, last}


@pytest.mark.spec("A6")
def test_archives_of_scripts_go_only_for_good_ones(project: Project) -> None:
    """Nobody read them back, so none of them is a reason for another to go."""
    foreign(project, "20200101_000000")
    foreign(project, "20210101_000000")
    project.cli("archive", "cleanup")
    assert project.names() == {"20200101_000000", "20210101_000000"}
    new = project.create().name
    project.cli("archive", "cleanup")
    assert project.names() == {new}


@pytest.mark.spec("A6")
def test_killed_while_it_removes(project: Project) -> None:
    """Half of an archive is never on the list; the next run removes the rest."""
    for nth in range(1, 9):
        old, new = _aged(project, 40, 1)
        inside, _ = faulty_fs(QuickFs(), FsFault("crash", nth, NAMING, "before"))
        run = project.run(within(project.backup, inside))
        with suppress(SimulatedCrash):
            clean_up(run, project.place, AGES, dry_run=False)
        assert {one.state for one in project.shelf().listed()} == {State.GOOD}
        clean_up(project.run(), project.place, AGES, dry_run=False)
        assert not [name for name in project.names() if name.startswith(".")]
        assert new in project.names()
        assert old not in project.names()


@pytest.mark.spec("A6")
def test_what_somebody_put_beside_it_stays(project: Project) -> None:
    """A folder of somebody else in an archive keeps it there, and the others go all the same."""
    first, second, new = _aged(project, 40, 39, 1)
    (project.backup / first / "notes").mkdir()
    with pytest.raises(StrongroomError, match="notes"):
        clean_up(project.run(), project.place, AGES, dry_run=False)
    assert project.names() == {first, new}
    assert project.listed()[first].state is State.GOOD
    assert second not in project.names()


# -- freshness


def _judge(*listed: Shelved, hours: float = 24) -> str:
    return freshness(listed, NOW, int(hours * 3600 * 10**9), "1 d").alert


@pytest.mark.spec("A8")
def test_how_fresh_the_last_good_one_is() -> None:
    """Only a good one that no restore made counts; the alert says what is there instead."""
    assert not _judge(shelved(1, 0.9))
    assert "older than 1 d" in _judge(shelved(1, 1.1))
    assert "No backups found" in _judge()
    assert "No backups found" in _judge(shelved(1, 0.1, State.FAILED))
    assert "not verified" in _judge(shelved(1, 0.1, State.UNPROVEN))
    assert "incomplete" in _judge(shelved(1, 0.1, State.INCOMPLETE))
    assert "No backups found" in _judge(shelved(1, 0.1, before_restore=True))
    text = _judge(shelved(1, 3), shelved(2, 0.1, State.INCOMPLETE))
    assert "20200101_000001" in text
    assert "20200101_000002" in text
    assert not _judge(shelved(1, 0.5), shelved(2, 0.1, State.DAMAGED))
    assert "clock" in _judge(shelved(1, -1))
    assert not _judge(shelved(1, -0.001))


@pytest.mark.spec("A8")
def test_one_from_the_future_hides_nothing() -> None:
    """A clock that was wrong once: the alert says so, whatever else is there."""
    assert "clock" in _judge(shelved(1, 3), shelved(2, -400))


def test_times_that_cannot_be_read() -> None:
    """An id that is no time is as old as can be."""
    one = shelved(1, 1)
    assert one.metadata is not None
    broken = msgspec.structs.replace(one.metadata, created="yesterday")
    assert one._replace(metadata=broken).created_ns > 0
    assert Shelved(ArchiveId("99999999_999999"), State.DAMAGED, "x").created_ns == 0


@pytest.mark.spec("A8")
def test_freshness_by_the_command_line(project: Project) -> None:
    """0 if there is a recent good one, 5 with a line that begins with ALERT if not."""
    assert project.cli("freshness", code=5).out == "ALERT: No backups found\n"
    (old,) = _aged(project, 3)
    result = project.cli("freshness", code=5)
    assert result.out.startswith("ALERT: ")
    assert old in result.out
    assert project.cli("freshness", "--max-age", "4d").out.startswith("good: ")
    record = project.cli("freshness", "--json", code=5).record("freshness")
    assert record["alert"]
    new = project.create().name
    assert new in project.cli("freshness").out
    project.cli("freshness", "--max-age", "soon", code=2)


@pytest.mark.spec("A8")
def test_freshness_of_a_repository(project: Project) -> None:
    """Where a repository is named, its sources are judged, each of them."""
    env = {
        "STRONGROOM_REPOSITORY": str(project.base / "repository"),
        "STRONGROOM_KEY_FILE": str(project.base / "key"),
    }
    project.cli("init", env=env)
    assert "ALERT: No backups found" in project.cli("freshness", env=env, code=5).out
    project.cli("backup", "./lib", env=env)
    assert "good: " in project.cli("freshness", env=env).out
    assert "ALERT" in project.cli("freshness", "--archives", env=env, code=5).out
    result = project.cli("freshness", "--max-age", "0s", env=env, code=5)
    assert "ALERT: the last complete snapshot" in result.out
