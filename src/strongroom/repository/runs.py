"""What collector runs have taken away: the writer's view of ``gc/`` (``docs/format.md`` 10, 13)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from strongroom.errors import DamageError, ObjectMissingError
from strongroom.model.store import StoreReading
from strongroom.repository import layout
from strongroom.repository.envelope import Kind, unwrap
from strongroom.repository.records import Body, Done, Removals, read_body, split


@dataclass(frozen=True, slots=True)
class Absent:
    """Names that count as absent for a writer: tombed by an unfinished run, or killed by any.

    Only what is killed is gone for a reason. ``unreadable`` lists objects that do not verify; with
    any of them a writer relies on nothing that was there before.
    """

    packs: frozenset[bytes] = frozenset()
    index: frozenset[bytes] = frozenset()
    killed_packs: frozenset[bytes] = frozenset()
    killed_commits: frozenset[str] = frozenset()
    unreadable: tuple[str, ...] = ()


class _Runs:
    """Reads the objects of runs and notes those that do not verify."""

    def __init__(self, store: StoreReading, repository_id: bytes, admin_key: bytes) -> None:
        self._store = store
        self._repository_id = repository_id
        self._admin_key = admin_key
        self.unreadable: list[str] = []

    def listed(self) -> list[tuple[int, frozenset[str]]]:
        """Return the number of each run, and which of its objects there are."""
        parts: dict[int, set[str]] = {}
        for info in self._store.list(layout.GC):
            found = layout.run_part(info.key)
            if found is None:
                self.unreadable.append(info.key)
            else:
                parts.setdefault(found[0], set()).add(found[1])
        return [(number, frozenset(names)) for number, names in sorted(parts.items())]

    def ended(self, number: int) -> bool:
        """Whether the ``done`` of a run is what it claims to be."""
        return self._body(number, Kind.DONE, Done) is not None

    def removals(self, number: int, kind: Kind) -> Removals | None:
        """Return the tombs or kills of a run; None if they do not verify."""
        return self._body(number, kind, Removals)

    def _body(self, number: int, kind: Kind, body: type[Body]) -> Body | None:
        key = layout.run_object(number, kind.name.lower())
        try:
            envelope = unwrap(self._store.get(key), kind, key, self._repository_id)
            envelope.check(self._admin_key)
            record = read_body(key, envelope.body, body)
            if isinstance(record, Removals):
                split(record.packs + record.index, layout.HASH_SIZE, key)
        except (DamageError, ObjectMissingError):
            self.unreadable.append(key)
            return None
        return record


def read_absent(store: StoreReading, repository_id: bytes, admin_key: bytes) -> Absent:
    """Read the tombs of unfinished runs and the kills of all runs."""
    runs = _Runs(store, repository_id, admin_key)
    tombs: list[Removals | None] = []
    kills: list[Removals | None] = []
    for number, parts in runs.listed():
        ended = "done" in parts and runs.ended(number)
        if "tombs" in parts and not ended:
            tombs.append(runs.removals(number, Kind.TOMBS))
        if "kills" in parts:
            kills.append(runs.removals(number, Kind.KILLS))
    killed = [names for names in kills if names is not None]
    absent = [names for names in tombs if names is not None] + killed
    return Absent(
        packs=_ids(names.packs for names in absent),
        index=_ids(names.index for names in absent),
        killed_packs=_ids(names.packs for names in killed),
        killed_commits=frozenset(chain.from_iterable(names.commits for names in killed)),
        unreadable=tuple(runs.unreadable),
    )


def _ids(joined: Iterable[bytes]) -> frozenset[bytes]:
    size = layout.HASH_SIZE
    return frozenset(ids[i : i + size] for ids in joined for i in range(0, len(ids), size))
