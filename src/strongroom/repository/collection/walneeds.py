"""What of WAL is there, and what the base backups among the roots need of it: read from a store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from strongroom.errors import DamageError, ObjectMissingError
from strongroom.model.snapshot import ListedSnapshot, SourceRecord, Status
from strongroom.postgres.cluster import KIND, read_position
from strongroom.postgres.wal.history import Histories
from strongroom.postgres.wal.names import WalKind, is_segment_size
from strongroom.repository import layout
from strongroom.repository.collection.walexpiry import Base, Judged, WalNeeds, WalObject, wal_object
from strongroom.repository.repository import Repository
from strongroom.repository.wal import StoredWal, archive_of, stored_wal

_KIND: Final = KIND.encode()


class Counting(NamedTuple):
    """How base backups count. ``agents``: keys of the COMMITs that agents signed.

    ``forgotten``: keys of those that nobody wants any more, and no hold keeps.
    ``seen_ns``: when the store first showed each COMMIT, by key. ``since_ns``: what was seen before
    is older than the window; None: nothing is.
    """

    agents: Collection[str]
    forgotten: Collection[str]
    seen_ns: Mapping[str, int]
    since_ns: int | None

    def is_old(self, key: str) -> bool:
        """Whether a base backup is older; nobody's own word counts for that."""
        seen = self.seen_ns.get(key)
        return self.since_ns is not None and seen is not None and seen < self.since_ns


class WalSurvey(NamedTuple):
    """What is listed of WAL that may go one day, and what is needed."""

    listed: Sequence[WalObject]
    needs: WalNeeds

    def expired(self, killed: Collection[str]) -> set[str]:
        """Return what may go; what was ``killed`` and came back goes again."""
        return self.needs.expired(self.listed) | {
            one.key for one in self.listed if one.key in killed
        }

    def judge(self, expired: Collection[str]) -> list[Judged]:
        """Say what becomes of the WAL of each cluster."""
        return self.needs.judge(self.listed, expired)


def survey_wal(
    repository: Repository, roots: Iterable[ListedSnapshot], counting: Counting
) -> WalSurvey:
    """List WAL, and find out what base backups among ``roots`` need of it."""
    listed: list[WalObject] = []
    histories: dict[int, list[StoredWal]] = {}
    timelines: dict[int, set[int]] = {}
    for info in repository.store.list(layout.WAL):
        one = wal_object(info.key, info.size)
        if one is not None:
            listed.append(one)
            timelines.setdefault(one.system, set()).add(one.first.timeline)
            continue
        stored = stored_wal(info.key, info.size, info.stored_ns)
        if stored is not None and stored.name.kind is WalKind.HISTORY:
            histories.setdefault(stored.system_id, []).append(stored)
            timelines.setdefault(stored.system_id, set()).add(stored.name.timeline)
    bases: list[Base] = []
    is_blind = False
    for root in roots:
        for source in root.snapshot.sources:
            if source.kind != _KIND or source.status == Status.FAILED:
                continue
            base = _base(root, source, counting)
            is_blind |= base is None
            bases += [base] if base is not None else []
    needed = {base.system for base in bases}
    read = {
        system: _read(repository, stored)
        for system, stored in histories.items()
        if system in needed
    }
    return WalSurvey(listed, WalNeeds(bases, read, timelines, is_blind))


def _base(root: ListedSnapshot, source: SourceRecord, counting: Counting) -> Base | None:
    """Return a base backup; None if it is one, and cannot be read."""
    position = read_position(source.position)
    if position is None or not is_segment_size(position.segment_size):
        return None
    return Base(
        id=root.id,
        domain=root.domain,
        by_admin=root.key not in counting.agents,
        complete=source.status == Status.COMPLETE,
        wanted=root.key not in counting.forgotten,
        old=counting.is_old(root.key),
        system=position.system,
        timeline=position.timeline,
        numbers=(position.first_segment, position.last_segment),
        stop=position.stop,
        segment_size=position.segment_size,
    )


def _read(repository: Repository, stored: Sequence[StoredWal]) -> Histories:
    """Read histories; one that is damaged, or that two domains have differently, is not known."""
    try:
        return archive_of(repository).histories(stored, {})
    except (DamageError, ObjectMissingError):
        return {}
