"""Collector runs as they stand below ``gc/``, and what they make absent for a writer.

``docs/format.md`` 10 and 13. A run with a readable ``kills`` needs neither ``tombs`` nor ``waits``
any more; one that lacks it, and of which these cannot be read, can only be ended by an empty one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal

from strongroom.errors import DamageError, ObjectMissingError
from strongroom.model.store import StoreReading
from strongroom.repository import layout
from strongroom.repository.cache import ObjectCache
from strongroom.repository.envelope import Kind, unwrap
from strongroom.repository.heads import check_heads
from strongroom.repository.records import (
    Body,
    Done,
    Head,
    Removals,
    Voided,
    Waits,
    read_body,
    split,
)
from strongroom.repository.voids import is_void

RunPart = Literal["tombs", "waits", "kills", "done"]
_BODIES: Final[Mapping[RunPart, tuple[Kind, type[Removals | Waits | Done]]]] = {
    "tombs": (Kind.TOMBS, Removals),
    "waits": (Kind.WAITS, Waits),
    "kills": (Kind.KILLS, Removals),
    "done": (Kind.DONE, Done),
}
NOTHING: Final = Removals(b"", (), b"", (), (), ())


@dataclass(frozen=True, slots=True)
class Doubtful:
    """What a run tombed whose ``kills`` was declared void: it may go at any time, or never."""

    packs: frozenset[bytes] = frozenset()
    index: frozenset[bytes] = frozenset()
    commits: frozenset[str] = frozenset()
    wal: frozenset[str] = frozenset()


NO_DOUBT: Final = Doubtful()


@dataclass(frozen=True, slots=True)
class Absent:
    """Names that count as absent for a writer: tombed by an unfinished run, or killed by any.

    Only what is killed is gone for a reason. ``doubtful`` packs are those that somebody may still
    delete after a ``kills`` that cannot be read any more; they are among ``packs`` as well.
    ``unreadable`` lists objects that do not verify; with any of them a writer relies on nothing
    that was there before.
    """

    packs: frozenset[bytes] = frozenset()
    index: frozenset[bytes] = frozenset()
    commits: frozenset[str] = frozenset()
    killed_packs: frozenset[bytes] = frozenset()
    killed_index: frozenset[bytes] = frozenset()
    killed_commits: frozenset[str] = frozenset()
    wal: frozenset[str] = frozenset()
    killed_wal: frozenset[str] = frozenset()
    doubtful: Doubtful = NO_DOUBT
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One run; a part is None if it is not there, or if nobody needs it any more.

    ``blind``: its tombs or waits cannot be read, and it has no kills yet. ``void``: its kills was
    declared void, so it is over, and its tombs are doubtful.
    """

    number: int
    tombs: Removals | None
    waits: Waits | None
    kills: Removals | None
    done: bool
    blind: bool = False
    void: bool = False


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs in ascending order, and the keys below ``gc/`` that cannot be read."""

    runs: tuple[Run, ...]
    unreadable: tuple[str, ...]

    @property
    def unfinished(self) -> Run | None:
        """The run that has to be finished before another begins."""
        return next((run for run in self.runs if not run.done), None)

    @property
    def next_number(self) -> int:
        """The number of a run that begins now."""
        return self.runs[-1].number + 1 if self.runs else 1

    @property
    def heads(self) -> list[Head]:
        """The commits and orders that stayed when something was removed."""
        return [head for run in self.runs if run.kills is not None for head in run.kills.heads]

    def absent(self) -> Absent:
        """Return what no writer relies on."""
        killed = [run.kills for run in self.runs if run.kills is not None]
        tombed = [run.tombs for run in self.runs if run.tombs is not None]
        doubtful = [run.tombs for run in self.runs if run.tombs is not None and run.void]
        every = [*killed, *tombed]
        return Absent(
            packs=_ids(names.packs for names in every),
            index=_ids(names.index for names in every),
            commits=frozenset(chain.from_iterable(names.commits for names in every)),
            killed_packs=_ids(names.packs for names in killed),
            killed_index=_ids(names.index for names in killed),
            killed_commits=frozenset(chain.from_iterable(names.commits for names in killed)),
            wal=frozenset(chain.from_iterable(names.wal for names in every)),
            killed_wal=frozenset(chain.from_iterable(names.wal for names in killed)),
            doubtful=Doubtful(
                _ids(names.packs for names in doubtful),
                _ids(names.index for names in doubtful),
                frozenset(chain.from_iterable(names.commits for names in doubtful)),
                frozenset(chain.from_iterable(names.wal for names in doubtful)),
            ),
            unreadable=self.unreadable,
        )


class RunReader:
    """Reads runs, through a cache: their objects never change."""

    def __init__(
        self, store: StoreReading, repository_id: bytes, admin_key: bytes, cache: ObjectCache
    ) -> None:
        self._store = store
        self._repository_id = repository_id
        self._admin_key = admin_key
        self._cache = cache

    def read(self, voids: Collection[Voided] = ()) -> Runs:
        """Read what is listed now; objects that are ``voids`` count as absent."""
        void = {one.key: one.sha256 for one in voids}
        parts: dict[int, set[str]] = {}
        unreadable: list[str] = []
        for info in self._store.list(layout.GC):
            found = layout.run_part(info.key)
            if found is not None:
                parts.setdefault(found[0], set()).add(found[1])
            elif info.key not in void:
                unreadable.append(info.key)
        runs = [self._run(n, names, void, unreadable) for n, names in sorted(parts.items())]
        return Runs(tuple(runs), tuple(unreadable))

    def part(self, number: int, part: RunPart) -> Removals | Waits | Done:
        """Return one object of a run; ``DamageError``, ``ObjectMissingError``."""
        key = layout.run_object(number, part)
        data = self._cache.get(key)
        if data is not None:
            try:
                return self._decode(key, part, data)
            except DamageError:
                self._cache.forget(key)
        data = self._store.get(key)
        found = self._decode(key, part, data)
        self._cache.put(key, data)
        return found

    def _run(
        self, number: int, names: set[str], void: Mapping[str, bytes], unreadable: list[str]
    ) -> Run:
        parts = _Parts(self, number, names)
        done, done_bad = parts.take("done", Done)
        kills, kills_bad = parts.take("kills", Removals)
        over = done is not None or (done_bad and self._is_void(parts.key("done"), void))
        if done_bad and not over:
            unreadable.append(parts.key("done"))
        if kills is not None or (over and not kills_bad):
            return Run(number, None, None, kills, over)
        tombs, tombs_bad = parts.take("tombs", Removals)
        if kills_bad:
            is_void = tombs is not None and self._is_void(parts.key("kills"), void)
            if not is_void:
                unreadable.append(parts.key("kills"))
            return Run(number, tombs, None, None, done=over or is_void, void=is_void)
        waits, waits_bad = parts.take("waits", Waits)
        if tombs_bad:
            unreadable.append(parts.key("tombs"))
        return Run(number, tombs, waits, None, done=False, blind=tombs_bad or waits_bad)

    def _is_void(self, key: str, void: Mapping[str, bytes]) -> bool:
        return key in void and is_void(self._store, Voided(key, void[key]))

    def _decode(self, key: str, part: RunPart, data: bytes) -> Removals | Waits | Done:
        kind, body = _BODIES[part]
        envelope = unwrap(data, kind, key, self._repository_id)
        envelope.check(self._admin_key)
        record = read_body(key, envelope.body, body)
        if isinstance(record, Removals):
            split(record.packs + record.index, layout.HASH_SIZE, key)
            check_heads(key, record.heads)
        return record


class _Parts:
    """The objects of one run, each read when it is asked for."""

    def __init__(self, reader: RunReader, number: int, names: set[str]) -> None:
        self._reader = reader
        self._number = number
        self._names = names

    def key(self, part: RunPart) -> str:
        """Where a part is."""
        return layout.run_object(self._number, part)

    def take(self, part: RunPart, kind: type[Body]) -> tuple[Body | None, bool]:
        """Return a part, None if it is not there or not readable; and whether it is the latter."""
        if part not in self._names:
            return None, False
        try:
            found = self._reader.part(self._number, part)
        except ObjectMissingError:
            return None, False
        except DamageError:
            return None, True
        return (found if isinstance(found, kind) else None), False


def _ids(joined: Iterable[bytes]) -> frozenset[bytes]:
    size = layout.HASH_SIZE
    return frozenset(ids[i : i + size] for ids in joined for i in range(0, len(ids), size))
