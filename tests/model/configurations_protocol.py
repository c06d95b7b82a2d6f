"""The protocol of writers, collectors, un-forgets and holds, on a store that loses nothing.

Names: P and O are the packs that are there at first, S and T snapshots, X and Y writers, G and H
collectors, U and V un-forget, K holds, F forgets.
"""

from __future__ import annotations

from typing import Any

from tests.model.collector import Collector
from tests.model.durability import OnDisk
from tests.model.faults import Lost, SentTwice
from tests.model.orders import Saver, forgetter
from tests.model.process import Process
from tests.model.rules import Rules
from tests.model.setups import (
    EMPTY,
    ONE_DEAD,
    ONE_LIVE,
    Configuration,
    pair,
    store_with,
    with_commits,
)
from tests.model.store_state import (
    Commit,
    Key,
    Kind,
    Segment,
    commit_key,
    put_commit,
    put_pack,
    put_segment,
)
from tests.model.writers import GivesUp, Writer


def _on_disk(name: str, process: Process[Any], rules: Rules) -> OnDisk:
    """Return a process on a local disk, which makes durable what the rules say."""
    stored: list[Kind] = ["pack", "segment"] * rules.kills_sync
    decided: list[Kind] = ["commit", "order"] * rules.kills_sync_decisions
    kills: list[Kind] = ["gc"] * rules.adopter_syncs
    if isinstance(process, Collector):
        return OnDisk(name, process, {"put kills": [*stored, *decided], "delete": kills})
    relied: list[Kind] = ["pack", "segment", "commit", "order"] * rules.commit_syncs
    return OnDisk(name, process, {"COMMIT": relied})


PROTOCOL: dict[str, Configuration] = {
    "writer": Configuration(
        "a writer beside a collector; the one snapshot there is forgotten",
        ONE_DEAD,
        lambda rules: [Writer("X", "c", rules), Collector("G", rules)],
    ),
    "writer, two collectors": Configuration(
        "the same beside two collectors",
        ONE_DEAD,
        lambda rules: [Writer("X", "c", rules), *pair(rules)],
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
        lambda rules: [Writer("X", "c", rules), Writer("Y", "c", rules), *pair(rules)],
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
        lambda rules: [Writer("X", "cd", rules), *pair(rules)],
        alike=True,
    ),
    "session gives up": Configuration(
        "a session copies a chunk, indexes it and puts ABORT, beside a writer and two collectors",
        store_with("P:cd", live="Sc"),
        lambda rules: [Writer("X", "d", rules), GivesUp("Q", "c"), *pair(rules)],
        alike=True,
    ),
    "un-forget": Configuration(
        "a writer, an un-forget of the snapshot whose chunk it needs, two collectors",
        ONE_DEAD,
        lambda rules: [
            Writer("X", "c", rules),
            Saver("U", "un-forget", "S", rules),
            *pair(rules),
        ],
        alike=True,
    ),
    "un-forget, shared pack": Configuration(
        "a writer, an un-forget, two collectors; the pack is also needed by a live snapshot",
        store_with("P:c", live="Tc", dead="Sc"),
        lambda rules: [
            Writer("X", "d", rules),
            Saver("U", "un-forget", "S", rules),
            *pair(rules),
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
            *pair(rules),
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
            *pair(rules, last=1),
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
            *pair(rules),
        ],
        alike=True,
    ),
    "repack": Configuration(
        "two collectors that repack, a writer that may rely on what the repack leaves behind",
        store_with("P:cd", live="Sc"),
        lambda rules: [Writer("X", "d", rules), *pair(rules, does=["repack"])],
    ),
    "compaction": Configuration(
        "a collector that compacts, one that does not, a writer",
        store_with("P:c O:z", live="Sc"),
        lambda rules: [
            Writer("X", "z", rules),
            Collector("G", rules, does=["compact"]),
            Collector("H", rules),
        ],
    ),
    "two compactions": Configuration(
        "two collectors that compact, a writer, one run",
        store_with("P:c O:z", live="Sc"),
        lambda rules: [Writer("X", "z", rules), *pair(rules, last=1, does=["compact"])],
    ),
    "compaction and repack": Configuration(
        "two collectors that compact and repack, an un-forget, one run",
        store_with("P:cd", live="Td", dead="Sc"),
        lambda rules: [
            Saver("U", "un-forget", "S", rules),
            *pair(rules, last=1, does=["compact", "repack"]),
        ],
    ),
    "upload sent twice": Configuration(
        "two writers, the upload of one arrives again after its delete, two collectors",
        EMPTY,
        lambda rules: [
            Writer("X", "c", rules),
            Writer("Y", "c", rules),
            SentTwice(Key("pack", "X:c"), lambda store: put_pack(store, "X:c")),
            *pair(rules, does=["delete what is not listed"]),
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
            *pair(rules, last=1, does=["delete what is not listed"]),
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
            *pair(rules, last=1, does=["delete what is not listed"]),
        ],
        alike=True,
    ),
    "lost segment": Configuration(
        "an index segment is lost, a writer, two collectors; the pack is needed by a live snapshot",
        store_with("P:c", live="Tc", dead="Sc"),
        lambda rules: [Writer("X", "c", rules), Lost(Key("segment", "iP")), *pair(rules)],
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
    "power cut, forget": Configuration(
        "a forget of a snapshot on a local disk, a collector",
        ONE_LIVE,
        lambda rules: [
            _on_disk("F", forgetter("F", "S"), rules),
            _on_disk("G", Collector("G", rules, last=1), rules),
        ],
    ),
    "power cut, last good": Configuration(
        "the second snapshot of a source, whose first is forgotten, on a local disk, a collector",
        with_commits(ONE_DEAD, Commit("S", "snapshot", chunks="c", source="s")),
        lambda rules: [
            _on_disk("X", Writer("X", "d", rules, source="s"), rules),
            _on_disk("G", Collector("G", rules, last=1), rules),
        ],
    ),
    "power cut, adoption": Configuration(
        "a snapshot that another one names is forgotten, two collectors on a local disk, one run",
        with_commits(
            store_with("P:c O:d", live="Td", dead="Sc"),
            Commit("T", "snapshot", chunks="d", heads=frozenset([commit_key("S")])),
        ),
        lambda rules: [
            _on_disk("G", Collector("G", rules, last=1), rules),
            _on_disk("H", Collector("H", rules, last=1), rules),
        ],
        alike=True,
    ),
    "power cut, compaction": Configuration(
        "two collectors on a local disk, one of which compacts, one run",
        store_with("P:c O:z", live="Sc"),
        lambda rules: [
            _on_disk("G", Collector("G", rules, last=1, does=["compact"]), rules),
            _on_disk("H", Collector("H", rules, last=1), rules),
        ],
    ),
}
