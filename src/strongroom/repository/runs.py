"""What collector runs have taken away: the writer's view of ``gc/`` (``docs/format.md`` 10, 13)."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.errors import DamageError, ObjectMissingError
from strongroom.model.store import StoreReading
from strongroom.repository import layout
from strongroom.repository.envelope import Kind, unwrap
from strongroom.repository.records import Removals, read_body, split


@dataclass(frozen=True, slots=True)
class Absent:
    """Names that count as absent for a writer; ``unreadable`` lists objects that do not verify.

    With anything unreadable a writer relies on nothing that was there before.
    """

    packs: frozenset[bytes]
    index: frozenset[bytes]
    commits: frozenset[str]
    unreadable: tuple[str, ...]


def _removals(
    store: StoreReading, key: str, kind: Kind, repository_id: bytes, admin_key: bytes
) -> Removals:
    envelope = unwrap(store.get(key), kind, key, repository_id)
    envelope.check(admin_key)
    return read_body(key, envelope.body, Removals)


def read_absent(store: StoreReading, repository_id: bytes, admin_key: bytes) -> Absent:
    """Read the tombs of unfinished runs and the kills of all runs."""
    parts: dict[int, set[str]] = {}
    unreadable: list[str] = []
    for info in store.list(layout.GC):
        found = layout.run_part(info.key)
        if found is None:
            unreadable.append(info.key)
        else:
            parts.setdefault(found[0], set()).add(found[1])
    packs: set[bytes] = set()
    index: set[bytes] = set()
    commits: set[str] = set()
    for number, names in sorted(parts.items()):
        wanted = (
            {"kills": Kind.KILLS} if "done" in names else {"kills": Kind.KILLS, "tombs": Kind.TOMBS}
        )
        for name, kind in wanted.items():
            if name not in names:
                continue
            key = f"{layout.GC}{number:08d}/{name}"
            try:
                body = _removals(store, key, kind, repository_id, admin_key)
                packs.update(split(body.packs, layout.HASH_SIZE, key))
                index.update(split(body.index, layout.HASH_SIZE, key))
                commits.update(body.commits)
            except (DamageError, ObjectMissingError):
                unreadable.append(key)
    return Absent(frozenset(packs), frozenset(index), frozenset(commits), tuple(unreadable))


NOTHING_ABSENT = Absent(frozenset(), frozenset(), frozenset(), ())
