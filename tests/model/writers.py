"""Processes that put packs: a writer that commits, and one that gives up.

Each process is a function from the store and its own memory to the steps that it may take next.
A step is one request.  A process that dies is one that never steps again, so dying is no step.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

from tests.model.gc_reading import absent
from tests.model.rules import Rules
from tests.model.store_reading import (
    View,
    heads,
    indexed_packs,
    quarantined,
    read_commits,
    read_index,
    read_orders,
    voided,
)
from tests.model.store_state import (
    Commit,
    Key,
    Keys,
    Segment,
    Store,
    chunks_of,
    commit_of,
    delete,
    put_commit,
    put_pack,
    put_segment,
    put_session,
)


class WriterMemory(NamedTuple):
    """Where a writer stands, and what it remembers of its listings."""

    at: str
    absent: Keys | None = frozenset()  # None if it relies on nothing that was there before
    packs: frozenset[str] = frozenset()
    segments: frozenset[Segment] = frozenset()
    uploads: str = ""  # the chunks for which it relies on no pack
    void: Keys = frozenset()
    quarantined: Keys = frozenset()
    heads: Keys = frozenset()


WriterStep = tuple[str, Store, WriterMemory]
END = WriterMemory("end")


class Writer:
    """A session that commits a snapshot: it relies on packs where it may, and uploads the rest."""

    def __init__(
        self,
        name: str,
        chunks: str,
        rules: Rules,
        *,
        reads_orders: bool = False,
        source: str = "",
    ) -> None:
        self._name = name
        self._chunks = chunks
        self._rules = rules
        self._source = source
        self._looks = ["list orders and commits"] * reads_orders + _looks(rules)
        self._puts = ["upload", "put index", "COMMIT"]
        if not rules.upload_before_index:
            self._puts = ["put index", "upload", "COMMIT"]
        if not rules.index_before_commit:
            self._puts = ["upload", "COMMIT", "put index"]
        self._steps: dict[str, Callable[[Store, WriterMemory], list[WriterStep]]] = {
            "list orders and commits": self._list_orders,
            "put session": self._put_session,
            "list gc": self._list_gc,
            "list packs": self._list_packs,
            "list index": self._list_index,
            "upload": self._upload,
            "put index": self._put_index,
            "COMMIT": self._commit,
            "delete its upload": self._delete_upload,
            "end": lambda _store, _memory: [],
        }

    def start(self) -> WriterMemory:
        """Return the memory of a writer that has done nothing."""
        return WriterMemory(self._looks[0])

    def steps(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        """Return the steps that this writer may take."""
        return self._steps[memory.at](store, memory)

    # Look: what may be relied on

    def _looked(self, label: str, store: Store, memory: WriterMemory) -> list[WriterStep]:
        """Go on looking, or choose what to rely on: after that nothing that was read matters."""
        label = f"{self._name}: {label}"
        place = self._looks.index(memory.at) + 1
        if place < len(self._looks):
            return [(label, store, memory._replace(at=self._looks[place]))]
        return [
            self._chosen(label, store, [pack for pack in choice if pack], memory)
            for choice in product(*(self._may_rely_on(chunk, memory) for chunk in self._chunks))
        ]

    def _may_rely_on(self, chunk: str, memory: WriterMemory) -> list[str]:
        """Return the packs that may be relied on for a chunk; an empty name if there is none."""
        if memory.absent is None:
            return [""]
        gone = memory.absent if self._rules.killed_is_absent else frozenset()
        away = memory.absent
        if self._rules.quarantined_is_absent:
            away |= memory.quarantined
        packs = [
            pack
            for pack in sorted(indexed_packs(memory.segments, gone))
            if self._is_in(chunk, pack)
            and Key("pack", pack) not in away
            and (pack in memory.packs or not self._rules.listed_packs_only)
        ]
        return packs or [""]

    def _is_in(self, chunk: str, pack: str) -> bool:
        """Tell whether a pack holds a chunk: ids of chunks differ from domain to domain."""
        if self._rules.chunks_of_own_domain:
            return chunk in chunks_of(pack)
        return chunk.lower() in chunks_of(pack).lower()

    def _chosen(
        self, label: str, store: Store, packs: list[str], memory: WriterMemory
    ) -> WriterStep:
        uploads = "".join(
            chunk for chunk in self._chunks if not any(self._is_in(chunk, pack) for pack in packs)
        )
        if packs:
            label += f", relies on {' '.join(packs)}"
        return label, store, self._then(self._puts[0] if uploads else "COMMIT", uploads, memory)

    def _then(self, at: str, uploads: str, memory: WriterMemory) -> WriterMemory:
        """Forget everything but what the puts need."""
        return WriterMemory(at, uploads=uploads, quarantined=memory.quarantined, heads=memory.heads)

    def _list_orders(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        view = read_commits(store, read_orders(store, View()))
        memory = memory._replace(
            void=voided(view.orders),
            quarantined=quarantined(view.orders),
            heads=heads(view.commits, view.orders),
        )
        return self._looked("list orders and commits", store, memory)

    def _put_session(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        return self._looked("put session", put_session(store, self._name), memory)

    def _list_gc(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        away = absent(
            store, memory.void, self._rules, tombed_is_absent=self._rules.tombed_is_absent
        )
        return self._looked("list gc", store, memory._replace(absent=away))

    def _list_packs(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        listed = store.packs if self._rules.listed_packs_only else frozenset()
        return self._looked("list packs", store, memory._replace(packs=listed))

    def _list_index(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        segments = read_index(store, View()).segments
        return self._looked("list index", store, memory._replace(segments=segments))

    # Put: upload, index, COMMIT

    def _done(self, label: str, store: Store, memory: WriterMemory) -> list[WriterStep]:
        """Go on to the next put; one that uploads nothing has only its COMMIT to put."""
        place = self._puts.index(memory.at) + 1
        last = place == len(self._puts) or not memory.uploads
        after = END if last else memory._replace(at=self._puts[place])
        return [(f"{self._name}: {label}", store, after)]

    def _pack(self, memory: WriterMemory) -> str:
        return f"{self._name if self._rules.keys_used_once else 'P'}:{memory.uploads}"

    def _upload(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        pack = self._pack(memory)
        return self._done(f"upload {pack}", put_pack(store, pack), memory)

    def _put_index(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        segment = Segment(f"i{self._name}", frozenset([self._pack(memory)]))
        return self._done(f"put index {segment.name}", put_segment(store, segment), memory)

    def _commit(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        commit = Commit(
            self._name,
            "snapshot",
            chunks=self._chunks,
            heads=memory.heads,
            source=self._source,
        )
        if memory.quarantined:
            commit = commit._replace(sound=self._chunks)
        put, accepted = put_commit(store, commit, overwrite=not self._rules.one_decision)
        if accepted:
            return self._done("COMMIT", put, memory)
        found = commit_of(store.commits, self._name)
        fenced = found is not None and found.verb == "ABORT"
        tidies = fenced and memory.uploads and not self._rules.writers_delete_nothing
        after = memory._replace(at="delete its upload") if tidies else END
        return [(f"{self._name}: COMMIT refused", store, after)]

    def _delete_upload(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        """Tidy up after a refused COMMIT: what a rule forbids."""
        pack = self._pack(memory)
        return [(f"{self._name}: delete {pack}", delete(store, Key("pack", pack)), END)]


def _looks(rules: Rules) -> list[str]:
    """Return the order in which a writer looks, its session included."""
    looks = ["list gc", "list packs", "list index"]
    if not rules.packs_before_index:
        looks = ["list gc", "list index", "list packs"]
    if not rules.gc_before_packs:
        looks = ["list packs", "list gc", "list index"]
    return ["put session", *looks] if rules.session_before_gc else [*looks, "put session"]


class GivesUp:
    """A session that copies a chunk into a new pack, indexes it and puts its own ABORT.

    So does a writer that fails cleanly, and so does a repack that is not part of a run.
    """

    def __init__(self, name: str, chunk: str) -> None:
        self._name = name
        self._pack = f"{name}:{chunk}"

    def start(self) -> int:
        """Return the number of steps taken."""
        return 0

    def steps(self, store: Store, taken: int) -> list[tuple[str, Store, int]]:
        """Return the next step of the five."""
        segment = Segment(f"i{self._name}", frozenset([self._pack]))
        puts: list[tuple[str, Callable[[], Store]]] = [
            ("put session", lambda: put_session(store, self._name)),
            ("list gc", lambda: store),
            (f"upload {self._pack}", lambda: put_pack(store, self._pack)),
            (f"put index {segment.name}", lambda: put_segment(store, segment)),
            ("ABORT", lambda: put_commit(store, Commit(self._name, "ABORT"))[0]),
        ]
        return [(f"{self._name}: {label}", put(), taken + 1) for label, put in puts[taken:][:1]]
