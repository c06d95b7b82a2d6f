"""The stores and processes that are searched, each as small as what it shows allows.

Names in them: P and O are the packs that are there at first, S and T snapshots, X and Y writers,
G and H collectors, U and V un-forget, K holds, F forgets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from tests.model.collector import Collector
from tests.model.collector_memory import Duty
from tests.model.durability import OnDisk
from tests.model.explore import LIMIT, Found, Search
from tests.model.faults import Lost, SentTwice
from tests.model.orders import Saver, forgetter
from tests.model.process import Process
from tests.model.properties import EVERYTHING, Breach
from tests.model.rules import ALL_RULES, Rules
from tests.model.store_state import (
    Commit,
    Key,
    Order,
    Segment,
    Store,
    commit_key,
    put_commit,
    put_pack,
    put_segment,
)
from tests.model.writers import GivesUp, Writer

Processes = list[Process[Any]]


def _store(packs: str = "", *, live: str = "", dead: str = "") -> Store:
    """Return a store with indexed packs, live snapshots and forgotten ones.

    ``live="Sc Td"`` are the snapshots S and T, which need the chunks c and d.
    """
    commits = frozenset(
        Commit(word[0], "snapshot", chunks=word[1:]) for word in f"{live} {dead}".split()
    )
    return Store(
        packs=frozenset(packs.split()),
        segments=frozenset(Segment(f"i{pack[0]}", frozenset([pack])) for pack in packs.split()),
        sessions=frozenset(),
        commits=commits,
        orders=frozenset(Order("forget", frozenset([commit_key(word[0])]), "F0") for word in dead.split()),
        runs=(),
        acknowledged=commits,
    )


ONE_DEAD = _store("P:c", dead="Sc")
ONE_LIVE = _store("P:c", live="Sc")
EMPTY = _store()


def _pair(rules: Rules, *, last: int = 2, does: Collection[Duty] = ()) -> list[Collector]:
    """Return two collectors."""
    return [Collector(name, rules, last=last, does=does) for name in "GH"]


def _on_disk(name: str, process: Process[Any], rules: Rules) -> OnDisk:
    """Return a process on a local disk, which makes durable what the rules say."""
    collects = isinstance(process, Collector)
    syncs = rules.kills_sync if collects else rules.commit_syncs
    return OnDisk(name, process, syncs_at=("put kills" if collects else "COMMIT") * syncs)


class Configuration(NamedTuple):
    """What is searched; `alike`: its two collectors differ in nothing but their names."""

    text: str
    store: Store
    processes: Callable[[Rules], Processes]
    alike: bool = False

    def search(
        self,
        rules: Rules = ALL_RULES,
        *,
        watch: frozenset[Breach] = EVERYTHING,
        limit: int = LIMIT,
    ) -> Found:
        """Search it; where a trace is expected, each of two alike collectors keeps its name."""
        alike = self.alike and rules == ALL_RULES
        search = Search(self.store, self.processes(rules), rules, alike=alike, watch=watch)
        return search.run(limit)


CONFIGURATIONS: dict[str, Configuration] = {
    "writer": Configuration(
        "a writer beside a collector; the one snapshot there is forgotten",
        ONE_DEAD,
        lambda rules: [Writer("X", "c", rules), Collector("G", rules)],
    ),
    "writer, two collectors": Configuration(
        "the same beside two collectors",
        ONE_DEAD,
        lambda rules: [Writer("X", "c", rules), *_pair(rules)],
        alike=True,
    ),
    "two writers": Configuration(
        "two writers of the same chunk in an empty repository, a collector",
        EMPTY,
        lambda rules: [Writer("X", "c", rules), Writer("Y", "c", rules), Collector("G", rules)],
    ),
    "two writers, two collectors": Configuration(
        "two writers of the same chunk, two collectors; the one snapshot there is forgotten",
        ONE_DEAD,
        lambda rules: [Writer("X", "c", rules), Writer("Y", "c", rules), *_pair(rules)],
        alike=True,
    ),
    "two writers, two chunks": Configuration(
        "two writers of different chunks, a collector, one run",
        ONE_DEAD,
        lambda rules: [
            Writer("X", "c", rules),
            Writer("Y", "d", rules),
            Collector("G", rules, last=1),
        ],
    ),
    "partly known": Configuration(
        "a writer that may rely on one chunk and uploads another, two collectors",
        ONE_DEAD,
        lambda rules: [Writer("X", "cd", rules), *_pair(rules)],
        alike=True,
    ),
    "session gives up": Configuration(
        "a session copies a chunk, indexes it and puts ABORT, beside a writer and two collectors",
        _store("P:cd", live="Sc"),
        lambda rules: [Writer("X", "d", rules), GivesUp("Q", "c"), *_pair(rules)],
        alike=True,
    ),
    "un-forget": Configuration(
        "a writer, an un-forget of the snapshot whose chunk it needs, two collectors",
        ONE_DEAD,
        lambda rules: [
            Writer("X", "c", rules),
            Saver("U", "un-forget", "S", rules),
            *_pair(rules),
        ],
        alike=True,
    ),
    "un-forget, shared pack": Configuration(
        "a writer, an un-forget, two collectors; the pack is also needed by a live snapshot",
        _store("P:c", live="Tc", dead="Sc"),
        lambda rules: [
            Writer("X", "d", rules),
            Saver("U", "un-forget", "S", rules),
            *_pair(rules),
        ],
        alike=True,
    ),
    "un-forget twice": Configuration(
        "a snapshot is un-forgotten, forgotten again and un-forgotten again, two collectors",
        ONE_DEAD,
        lambda rules: [
            Saver("U", "un-forget", "S", rules),
            forgetter("F", "S"),
            Saver("V", "un-forget", "S", rules),
            *_pair(rules),
        ],
        alike=True,
    ),
    "un-forget and hold": Configuration(
        "a snapshot is written, forgotten, un-forgotten and held, two collectors, one run",
        EMPTY,
        lambda rules: [
            Writer("X", "c", rules),
            forgetter("F", "X"),
            Saver("U", "un-forget", "X", rules),
            Saver("K", "hold", "X", rules),
            *_pair(rules, last=1),
        ],
        alike=True,
    ),
    "hold": Configuration(
        "a hold beside a forget of the same snapshot, a writer, two collectors",
        ONE_LIVE,
        lambda rules: [
            Writer("X", "c", rules),
            forgetter("F", "S"),
            Saver("K", "hold", "S", rules),
            *_pair(rules),
        ],
        alike=True,
    ),
    "repack": Configuration(
        "two collectors that repack, a writer that may rely on what the repack leaves behind",
        _store("P:cd", live="Sc"),
        lambda rules: [Writer("X", "d", rules), *_pair(rules, does=["repack"])],
    ),
    "compaction": Configuration(
        "a collector that compacts, one that does not, a writer",
        _store("P:c O:z", live="Sc"),
        lambda rules: [
            Writer("X", "z", rules),
            Collector("G", rules, does=["compact"]),
            Collector("H", rules),
        ],
    ),
    "two compactions": Configuration(
        "two collectors that compact, a writer, one run",
        _store("P:c O:z", live="Sc"),
        lambda rules: [Writer("X", "z", rules), *_pair(rules, last=1, does=["compact"])],
    ),
    "compaction and repack": Configuration(
        "two collectors that compact and repack, an un-forget, one run",
        _store("P:cd", live="Td", dead="Sc"),
        lambda rules: [
            Saver("U", "un-forget", "S", rules),
            *_pair(rules, last=1, does=["compact", "repack"]),
        ],
    ),
    "upload sent twice": Configuration(
        "two writers, the upload of one arrives again after its delete, two collectors",
        EMPTY,
        lambda rules: [
            Writer("X", "c", rules),
            Writer("Y", "c", rules),
            SentTwice(Key("pack", "X:c"), lambda store: put_pack(store, "X:c")),
            *_pair(rules, does=["delete what is not listed"]),
        ],
        alike=True,
    ),
    "index sent twice": Configuration(
        "two writers, the index of one arrives again after its delete, two collectors, one run",
        EMPTY,
        lambda rules: [
            Writer("X", "c", rules),
            Writer("Y", "c", rules),
            SentTwice(
                Key("segment", "iX"),
                lambda store: put_segment(store, Segment("iX", frozenset(["X:c"]))),
            ),
            *_pair(rules, last=1, does=["delete what is not listed"]),
        ],
        alike=True,
    ),
    "COMMIT sent twice": Configuration(
        "a snapshot is forgotten, its COMMIT arrives again, un-forget, two collectors, one run",
        EMPTY,
        lambda rules: [
            Writer("X", "c", rules),
            forgetter("F", "X"),
            Saver("U", "un-forget", "X", rules),
            SentTwice(
                Key("commit", "X"),
                lambda store: put_commit(store, Commit("X", "snapshot", chunks="c"))[0],
            ),
            *_pair(rules, last=1, does=["delete what is not listed"]),
        ],
        alike=True,
    ),
    "lost segment": Configuration(
        "an index segment is lost, a writer, two collectors; the pack is needed by a live snapshot",
        _store("P:c", live="Tc", dead="Sc"),
        lambda rules: [Writer("X", "c", rules), Lost(Key("segment", "iP")), *_pair(rules)],
        alike=True,
    ),
    "power cut": Configuration(
        "two writers of the same chunk in an empty repository on a local disk, a collector",
        EMPTY,
        lambda rules: [
            _on_disk("X", Writer("X", "c", rules), rules),
            _on_disk("Y", Writer("Y", "c", rules), rules),
            _on_disk("G", Collector("G", rules, last=1), rules),
        ],
    ),
    "power cut, compaction": Configuration(
        "two collectors on a local disk, one of which compacts, one run",
        _store("P:c O:z", live="Sc"),
        lambda rules: [
            _on_disk("G", Collector("G", rules, last=1, does=["compact"]), rules),
            _on_disk("H", Collector("H", rules, last=1), rules),
        ],
    ),
}
