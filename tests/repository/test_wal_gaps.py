"""Gaps on record: signed, moot where the segments came, named, and no end of an archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.errors import DamageError
from strongroom.operations.wal.fetch import Fetcher, HoleError, Wanted
from strongroom.operations.wal.gapwatch import GapWatch
from strongroom.operations.wal.push import Pusher
from strongroom.operations.wal.survey import survey
from strongroom.postgres.wal.names import WalName
from strongroom.postgres.wal.ranges import Missing
from strongroom.repository import layout
from strongroom.repository.wal import archive_of
from strongroom.repository.walgaps import GapReason, WalGaps
from strongroom.repository.walsources import WalSources
from strongroom.system.posix import PosixFs
from tests.support.agents import agent_host
from tests.support.base_backups import archive, base_backup, position_of
from tests.support.kit import Kit, timed_kit
from tests.support.wal import CLUSTER, SYSTEM, numbered, segment

pytestmark = pytest.mark.spec("C6")


@pytest.fixture
def host(tmp_path: Path) -> Kit:
    """A repository whose store has the clock of its host."""
    return timed_kit(tmp_path / "state")


def _gaps(kit: Kit) -> list[Missing]:
    (found,) = survey(kit.open(), None)
    return list(found.gaps)


def test_a_gap_is_on_record_once_and_moot_when_the_segment_came(host: Kit) -> None:
    """The same word again changes nothing; segments of it that came are no gap, and when all came
    there is none.
    """
    archive(host, [1, 2])
    gaps = WalGaps(host.open())
    missing = Missing(1, 3, 5)
    assert gaps.record(CLUSTER, missing, GapReason.NOT_KEPT)
    first = gaps.of(SYSTEM)
    host.clock.sleep(60)
    assert not gaps.record(CLUSTER, missing, GapReason.NOT_KEPT)
    assert WalGaps(host.open()).of(SYSTEM) == first
    assert _gaps(host) == [missing]
    archive(host, [4])
    assert _gaps(host) == [Missing(1, 3, 3), Missing(1, 5, 5)]
    (cluster,) = survey(host.open(), None)
    assert all(cluster.record_of(gap) == first[0] for gap in cluster.gaps)
    archive(host, [3, 5])
    assert _gaps(host) == []
    assert host.verify().damage == []


def test_a_gap_is_no_end_of_the_archive(host: Kit, tmp_path: Path) -> None:
    """A recovery that asks for a segment that never comes must not take it for the end, though
    nothing follows; what lies behind the gap is the end.
    """
    archive(host, [1, 2])
    WalGaps(host.open()).record(CLUSTER, Missing(1, 3, 4), GapReason.NOT_KEPT)
    repository = host.open()
    fetcher = Fetcher(archive_of(repository), WalGaps(repository), PosixFs(), lambda _event: None)

    def wanted(number: int) -> Wanted:
        to = str(tmp_path / "to").encode()
        return Wanted(numbered(number).text, to, SYSTEM, None)

    for number in (3, 4):
        with pytest.raises(HoleError, match="on record as a gap"):
            fetcher.fetch(wanted(number))
    assert not fetcher.fetch(wanted(5)).delivered
    assert not fetcher.fetch(wanted(3)._replace(past_holes=True)).delivered


def test_every_changed_byte_of_a_gap_is_noticed(host: Kit) -> None:
    """Whoever changes a record, or moves it to another place, is found out, by verify as well."""
    archive(host, [1])
    WalGaps(host.open()).record(CLUSTER, Missing(1, 3, 4), GapReason.GIVEN_UP)
    (key,) = [i.key for i in host.store.list(layout.WAL) if layout.wal_gap_ids(i.key)]
    data = host.store.get(key)
    for place in range(0, len(data), 7):
        host.store.delete(key)
        host.store.put(key, data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(DamageError):
            WalGaps(host.open()).of(SYSTEM)
    assert [one.subject for one in host.verify().damage] == [key]
    host.store.delete(key)
    moved = key.replace(numbered(4).text.lower(), numbered(5).text.lower())
    host.store.put(moved, data)
    with pytest.raises(DamageError):
        WalGaps(host.open()).of(SYSTEM)


def test_an_agent_records_in_its_domain(host: Kit, tmp_path: Path) -> None:
    """Everybody reads it as of the one archive that all domains are."""
    agent = agent_host(host, tmp_path / "agent", "db1")
    archive(agent, [1])
    WalGaps(agent.open()).record(CLUSTER, Missing(1, 2, 2), GapReason.NOT_ARCHIVED)
    assert [one.missing for one in WalGaps(agent.open()).of(SYSTEM)] == [Missing(1, 2, 2)]
    assert [one.missing for one in WalGaps(host.open()).of(SYSTEM)] == [Missing(1, 2, 2)]
    archive(host, [2])
    assert _gaps(host) == []


def test_a_gap_goes_with_the_wal_before_it(host: Kit) -> None:
    """As long as a base backup before it is there it is told of, and after that it goes."""
    archive(host, [1, 2, 3, 6, 7])
    WalGaps(host.open()).record(CLUSTER, Missing(1, 4, 5), GapReason.NOT_ARCHIVED)
    old = base_backup(host, position_of(2, 2)).snapshot
    base_backup(host, position_of(7, 7))
    host.prune()
    assert _gaps(host) == [Missing(1, 4, 5)]
    host.forget(old.id)
    host.prune()
    assert (WalGaps(host.open()).of(SYSTEM), _gaps(host)) == ([], [])


class _Server:
    """The ``pg_wal`` of a server, and the agent that archives from it."""

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.told: list[str] = []
        repository = kit.open()
        wal = archive_of(repository)
        self._pusher = Pusher(wal, WalSources(repository), PosixFs(), "db")
        self._watch = GapWatch(wal, WalGaps(repository), PosixFs(), self.told.append)

    def write(self, *numbers: int) -> None:
        """End segments."""
        for number in numbers:
            (self.folder / numbered(number).text).write_bytes(segment(numbered(number), filled=50))

    def recycle(self, *numbers: int) -> None:
        """Remove segments, as a checkpoint does."""
        for number in numbers:
            (self.folder / numbered(number).text).unlink()

    def archive(self, *names: WalName) -> None:
        """Ask for segments to be archived."""
        for name in names:
            path = str(self.folder / name.text).encode()
            self._watch.archived(path, self._pusher.push(path))


def test_archiving_that_was_off_leaves_a_gap_on_record(host: Kit, tmp_path: Path) -> None:
    """What the server removed without archiving is told of and on record; what it has yet, or is
    archived out of order, is none.
    """
    server = _Server(host, tmp_path / "pg_wal")
    server.write(1, 2, 3, 4, 5, 6)
    server.archive(numbered(1), numbered(3), numbered(2))
    assert server.told == []
    server.recycle(1, 2, 3, 4, 5)  # archive_mode = off meanwhile
    server.write(7, 8)
    server.archive(numbered(8))
    named = f"{numbered(4).text} to {numbered(5).text}"
    (told,) = server.told
    assert told.startswith(
        f"warning: {named} were never archived, and are gone: a gap is on record"
    )
    server.archive(numbered(7), numbered(6))
    assert len(server.told) == 1
    assert [one.missing for one in WalGaps(host.open()).of(SYSTEM)] == [Missing(1, 4, 5)]
    again = _Server(host, tmp_path / "again")
    again.write(9)
    again.archive(numbered(9))
    assert again.told == []
