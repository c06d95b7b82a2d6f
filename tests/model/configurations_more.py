"""Orders about several objects, domains, WAL, and a store without conditional puts.

R releases, E allows that a source goes empty, B is a base backup, A pushes WAL, N is a person who
says that a session is dead.  What belongs to an agent has a small letter.
"""

from __future__ import annotations

from tests.model.collector import Collector
from tests.model.configurations_damage import TWO_PACKS
from tests.model.faults import Forged, Rots
from tests.model.orders import Orderer, Revoker, Saver, forgetter
from tests.model.repairs import Voider
from tests.model.rules import ALL_RULES, Rules
from tests.model.setups import (
    ONE_DEAD,
    Configuration,
    Processes,
    pair,
    store_with,
    with_commits,
)
from tests.model.store_state import Commit, Key, Order, Segment, Store, commit_key
from tests.model.wal import Archiver, BaseBackup
from tests.model.weaker import Alone, LooksAfterwards, Mortal, Namer
from tests.model.writers import Writer

FORGOTTEN_AT_ONCE = store_with("P:c O:d", live="Sc Td")._replace(
    orders=frozenset([Order("forget", frozenset([commit_key("S"), commit_key("T")]), "F0")])
)
SOURCE = with_commits(
    store_with("P:c O:d Q:e", live="Td", dead="Sc Ue"),
    Commit("S", "snapshot", chunks="c", source="s"),
    Commit("T", "snapshot", chunks="d", source="s"),
    Commit("U", "snapshot", chunks="e", source="s", complete=False),
)
HELD = with_commits(ONE_DEAD, Commit("J", "hold", targets=frozenset([commit_key("S")])))
WEAKER = ALL_RULES.without("one_decision", "conditional_puts")


def _two_domains(key: Key, rules: Rules) -> Processes:
    return [Rots(key), Voider("V", key, rules), *pair(rules)]


def _bases(
    wal: str, *, live: str = "", dead: str = "", incomplete: str = "", ends: str = ""
) -> Store:
    """Return a store with WAL and base backups: ``live="Sa2"`` starts in a2.

    ``ends="Sa3"``: S is older than the window, and ends in a3.
    """
    end = {word[0]: word[1:] for word in ends.split()}
    words = f"{live} {dead} {incomplete}".split()
    store = store_with(dead=" ".join(word[0] for word in dead.split()))
    bases = [
        Commit(
            word[0],
            "snapshot",
            start=word[1:],
            end=end.get(word[0], ""),
            complete=word not in incomplete.split(),
        )
        for word in words
    ]
    segments = frozenset(wal.split())
    return with_commits(store, *bases)._replace(wal=segments, archived=segments)


def _alone(name: str, rules: Rules, *, fence: bool = False) -> Alone:
    """Return a collector of the weaker mode."""
    collector = Collector(
        name,
        rules,
        does=["fence beside" if fence else "fence nobody", "delete what is not listed"],
        collectors="G H",
    )
    return Alone(collector, name, "G H", rules)


ORDERS: dict[str, Configuration] = {
    "revoked": Configuration(
        "a writer is revoked before or after its COMMIT, two collectors, one run",
        ONE_DEAD,
        lambda rules: [
            Writer("X", "c", rules),
            Revoker("R", "forget", commit_key("X")),
            *pair(rules, last=1),
        ],
        alike=True,
    ),
    "one of two targets": Configuration(
        "one order forgets two snapshots, one is un-forgotten, a writer, two collectors, one run",
        FORGOTTEN_AT_ONCE,
        lambda rules: [
            Writer("X", "c", rules),
            Saver("U", "un-forget", "S", rules),
            *pair(rules, last=1),
        ],
        alike=True,
    ),
    "two targets": Configuration(
        "two snapshots are un-forgotten at once and one is forgotten again, two collectors",
        FORGOTTEN_AT_ONCE,
        lambda rules: [
            Saver("U", "un-forget", "S T", rules),
            forgetter("F", "T"),
            *pair(rules),
        ],
        alike=True,
    ),
    "release": Configuration(
        "a hold is released beside another hold of the same forgotten snapshot, two collectors",
        HELD,
        lambda rules: [
            Orderer("R", "release", commit_key("J" if rules.release_names_holds else "S")),
            Saver("K", "hold", "S", rules),
            *pair(rules),
        ],
        alike=True,
    ),
    "last good": Configuration(
        "of a source an old and an incomplete snapshot are forgotten, and then the last good one",
        SOURCE,
        lambda rules: [forgetter("F", "T"), *pair(rules)],
        alike=True,
    ),
    "allow empty": Configuration(
        "all snapshots of a source are forgotten, an order allows empty, two collectors",
        SOURCE,
        lambda rules: [
            forgetter("F", "T"),
            Orderer("E", "allow empty", commit_key("T")),
            *pair(rules),
        ],
        alike=True,
    ),
}

DOMAINS: dict[str, Configuration] = {
    "index of one domain rots": Configuration(
        "an agent's index segment cannot be read and is void, two collectors",
        store_with("P:c O:d q:C r:D", live="Sc qC", dead="Td rD"),
        lambda rules: _two_domains(Key("segment", "iq"), rules),
        alike=True,
    ),
    "snapshot of one domain rots": Configuration(
        "an agent's commit cannot be read and is void, two collectors",
        store_with("P:c O:d q:C r:D", live="Sc qC", dead="Td rD"),
        lambda rules: _two_domains(commit_key("q"), rules),
        alike=True,
    ),
    "writers of two domains": Configuration(
        "a writer and an agent with the same data, a collector, one run",
        ONE_DEAD,
        lambda rules: [
            Writer("x", "C", rules),
            Writer("Y", "c", rules),
            Collector("G", rules, last=1),
        ],
    ),
    "foreign index": Configuration(
        "an agent puts a segment that supersedes one of main, a writer, two collectors, one run",
        store_with("P:c q:C O:d", live="Sc qC", dead="Td"),
        lambda rules: [
            Forged(
                Segment(
                    "ie" if rules.supersedes_in_domain else "iE", frozenset(), frozenset(["iP"])
                )
            ),
            Writer("X", "c", rules),
            *pair(rules, last=1),
        ],
        alike=True,
    ),
    "foreign pack": Configuration(
        "an agent puts a segment that names a pack of main, a writer relies on it, two collectors",
        ONE_DEAD,
        lambda rules: [
            Forged(Segment("ie", frozenset(["P:c"]))),
            Writer("X", "c", rules),
            *pair(rules),
        ],
        alike=True,
    ),
}

WAL: dict[str, Configuration] = {
    "base backup": Configuration(
        "a base backup that starts in WAL which may go, two collectors",
        _bases("a1 a2 a3", live="Ta2", dead="Sa1"),
        lambda rules: [BaseBackup("B", "a1 a2", rules), *pair(rules)],
        alike=True,
    ),
    "archive": Configuration(
        "WAL is pushed, a base backup, the only other one is forgotten, two collectors",
        _bases("a1 a2", live="Ta2"),
        lambda rules: [
            BaseBackup("B", "a3", rules),
            Archiver("A", "a3"),
            forgetter("F", "T"),
            *pair(rules),
        ],
        alike=True,
    ),
    "WAL pushed again": Configuration(
        "WAL is pushed again after its delete, a base backup that needs it, two collectors",
        _bases("a1 a2", live="Ta2", dead="Sa1"),
        lambda rules: [
            BaseBackup("B", "a1", rules),
            Archiver("A", "a1"),
            *pair(rules, does=["delete what is not listed"]),
        ],
        alike=True,
    ),
    "timelines": Configuration(
        "two servers went on from a1, a base backup of one and one under way, two collectors",
        _bases("a1 a2 b2 b3", live="Tb3"),
        lambda rules: [BaseBackup("B", "a2", rules), *pair(rules)],
        alike=True,
    ),
    "incomplete base backup": Configuration(
        "the last complete base backup is forgotten, an incomplete one stays, two collectors",
        _bases("a1 a2 a3", live="Sa1", incomplete="Ta3"),
        lambda rules: [BaseBackup("B", "a2", rules), forgetter("F", "S"), *pair(rules)],
        alike=True,
    ),
    "history not there": Configuration(
        "a server went on from a1, and its history is not there, a base backup of each, "
        "two collectors",
        _bases("a1 c2 c3", live="Sa1 Tc3"),
        lambda rules: [BaseBackup("B", "c2", rules), *pair(rules)],
        alike=True,
    ),
    "window": Configuration(
        "base backups older than the window, one in it, the last one before it is forgotten, "
        "two collectors",
        _bases("a1 a2 a3 a4 a5", live="Sa1 Ta3 Ua5", ends="Sa1 Ta3"),
        lambda rules: [forgetter("F", "T"), *pair(rules)],
        alike=True,
    ),
    "window and timelines": Configuration(
        "a server went on from a1 between two base backups older than the window, one in it, "
        "the second one is forgotten, two collectors",
        _bases("a1 a2 a3 b2 b3 b4", live="Sa1 Ta3 Ub4", ends="Sa1 Ta3"),
        lambda rules: [forgetter("F", "T"), *pair(rules)],
        alike=True,
    ),
    "un-forget of a base backup": Configuration(
        "an un-forget of a base backup whose WAL may go, another base backup, two collectors",
        _bases("a1 a2 a3", live="Ta2", dead="Sa1"),
        lambda rules: [
            Saver("U", "un-forget", "S", rules),
            BaseBackup("B", "a3", rules),
            *pair(rules),
        ],
        alike=True,
    ),
}

WEAKER_MODE: dict[str, Configuration] = {
    "weaker mode": Configuration(
        "a writer and two collectors without conditional puts, a person says what is dead",
        ONE_DEAD,
        lambda rules: [
            Mortal("X", Writer("X", "c", rules)),
            Mortal("G", _alone("G", rules)),
            _alone("H", rules),
            Namer("N", ["X", "G"], rules),
        ],
        rules=WEAKER,
    ),
    "weaker mode, two packs": Configuration(
        "two collectors without conditional puts, a person says what is dead",
        TWO_PACKS,
        lambda rules: [
            Mortal("G", _alone("G", rules)),
            _alone("H", rules),
            Namer("N", ["G"], rules),
        ],
        rules=WEAKER,
    ),
    "ABORT beside COMMIT": Configuration(
        "without conditional puts, but with a key of its own for ABORT: a writer, two collectors",
        ONE_DEAD,
        lambda rules: [
            LooksAfterwards("X", "c", rules),
            _alone("G", rules, fence=True),
            _alone("H", rules, fence=True),
        ],
        rules=WEAKER,
    ),
}
