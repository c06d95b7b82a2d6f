"""What there is of each cluster's WAL: gaps by name, and what can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.errors import NotFoundError, UsageError
from strongroom.operations.wal.survey import ClusterWal, Window, check, survey
from strongroom.postgres.wal.names import WalName
from strongroom.postgres.wal.pages import Cluster
from strongroom.postgres.wal.ranges import Missing
from strongroom.repository.wal import archive_of
from strongroom.repository.walsources import WalSources
from strongroom.storage.memory import MemoryStore
from tests.support.kit import Kit
from tests.support.wal import (
    CLUSTER,
    OTHER_SYSTEM,
    SIZE,
    SYSTEM,
    history,
    named,
    numbered,
    segment,
)

pytestmark = pytest.mark.spec("C6")


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """A host with a repository in memory."""
    kit = Kit(MemoryStore(), tmp_path / "state")
    kit.init()
    return kit


def _archived(kit: Kit, *names: WalName, source: str = "db") -> None:
    repository = kit.open()
    WalSources(repository).register(source, CLUSTER)
    for name in names:
        archive_of(repository).put(CLUSTER, name, segment(name, filled=100))


def _survey(kit: Kit, name: str | None = None) -> list[ClusterWal]:
    repository = kit.open()
    return survey(repository, name)


def test_ranges_gaps_and_windows(kit: Kit) -> None:
    """A gap is named, and on each side of it is a window."""
    _archived(kit, *(numbered(n) for n in (1, 2, 3, 6, 7)))
    (found,) = _survey(kit)
    assert (found.sources, found.files) == (("db",), 5)
    assert found.gaps == (Missing(1, 4, 5),)
    assert found.windows == (
        Window(1, numbered(1).text, numbered(3).text, 3),
        Window(1, numbered(6).text, numbered(7).text, 2),
    )
    assert found.newest is not None
    assert found.newest.name == numbered(7)


def test_timelines_are_a_tree(kit: Kit) -> None:
    """Each line stands below the one that it left, and a window leads over both; what the old
    line wrote after it was left is a window of its own.
    """
    _archived(kit, *(numbered(n) for n in range(1, 7)), *(numbered(n, 2) for n in (4, 5)))
    _archived(kit, numbered(5, 3))
    archive = archive_of(kit.open())
    archive.put(CLUSTER, named("00000002.history"), history((1, "0/400100")))
    archive.put(CLUSTER, named("00000003.history"), history((1, "0/400100"), (2, "0/500200")))
    (found,) = _survey(kit)
    assert [(depth, one.timeline) for depth, one in found.tree()] == [(0, 1), (1, 2), (2, 3)]
    assert found.gaps == ()
    assert found.windows == (
        Window(1, numbered(1).text, numbered(6).text, 6),
        Window(3, numbered(1).text, numbered(5, 3).text, 5),
    )


def test_a_gap_before_a_switch_is_one(kit: Kit) -> None:
    """What is missing between the end of the old line and the begin of the new one is named."""
    _archived(kit, numbered(1), numbered(2), numbered(5, 2))
    archive_of(kit.open()).put(CLUSTER, named("00000002.history"), history((1, "0/500100")))
    (found,) = _survey(kit)
    assert found.gaps == (Missing(1, 3, 4),)


def test_a_source_is_chosen_by_its_name_or_its_system_id(kit: Kit) -> None:
    """By a name also what the source was before; a name that is none is refused."""
    _archived(kit, numbered(1))
    other = Cluster(OTHER_SYSTEM, SIZE)
    WalSources(kit.open()).replace("db", other)
    assert [one.cluster.system_id for one in _survey(kit, "db")] == [SYSTEM, OTHER_SYSTEM]
    assert [one.cluster.system_id for one in _survey(kit, str(SYSTEM))] == [SYSTEM]
    with pytest.raises(NotFoundError, match=r"known: db"):
        _survey(kit, "bd")


def test_a_check_names_damage_and_gaps_in_its_range(kit: Kit) -> None:
    """Everything is read, or what lies between two names; gaps outside of it do not count."""
    _archived(kit, *(numbered(n) for n in (1, 2, 4, 5)))
    (stored,) = archive_of(kit.open()).find(SYSTEM, numbered(5))
    data = kit.store.get(stored.key)
    kit.store.delete(stored.key)
    kit.store.put(stored.key, data[:500] + bytes([data[500] ^ 1]) + data[501:])
    (found,) = _survey(kit)
    whole = check(kit.open(), found, None, None)
    assert (whole.files, [one.key for one in whole.damage]) == (4, [stored.key])
    assert whole.gaps == (Missing(1, 3, 3),)
    part = check(kit.open(), found, numbered(1).text, numbered(2).text)
    assert (part.files, part.damage, part.gaps) == (2, (), ())
    with pytest.raises(UsageError):
        check(kit.open(), found, "x", None)
