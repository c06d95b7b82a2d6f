"""Objects that cannot be read, are lost, void or in quarantine.

V voids what was damaged, Q puts a pack in quarantine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.model.collector import Collector
from tests.model.faults import Lost, Rots
from tests.model.orders import Orderer, Saver, SeeingOrderer, forgetter
from tests.model.process import Process
from tests.model.repairs import Voider
from tests.model.rules import Rules
from tests.model.setups import (
    ONE_DEAD,
    ONE_LIVE,
    Configuration,
    Processes,
    pair,
    store_with,
    with_commits,
)
from tests.model.store_state import Commit, Key, commit_key, run_key
from tests.model.writers import Writer

TWO_PACKS = store_with("P:c O:c", live="Sc")
ROTTEN = ONE_LIVE._replace(rotten=frozenset(["P:c"]))
NAMING = Commit("T", "snapshot", chunks="d", heads=frozenset([commit_key("S")]))


def _rots(key: Key, rules: Rules) -> Processes:
    """Return what happens to an object: it cannot be read any more, and is void."""
    return [Rots(key), Voider("V", key, rules)]


def _run(
    what: str, *others: Callable[[Rules], Process[Any]], last: int = 2
) -> Callable[[Rules], Processes]:
    """Return two collectors and what happens to an object of run 1."""
    key = run_key(1, what)
    return lambda rules: [
        *(other(rules) for other in others),
        *_rots(key, rules),
        *pair(rules, last=last),
    ]


def _seeing_writer(rules: Rules) -> Writer:
    return Writer("X", "c", rules, reads_orders=True)


def _un_forget(rules: Rules) -> Saver:
    return Saver("U", "un-forget", "S", rules)


def _quarantine(rules: Rules) -> Processes:
    return [_seeing_writer(rules), Orderer("Q", "quarantine", Key("pack", "P:c"))]


DAMAGE: dict[str, Configuration] = {
    "kills rot": Configuration(
        "two collectors and two packs with one chunk; kills 1 cannot be read and are void",
        TWO_PACKS,
        _run("kills"),
        alike=True,
    ),
    "kills rot, writer": Configuration(
        "a writer, two collectors; kills 1 cannot be read and are void",
        ONE_DEAD,
        _run("kills", _seeing_writer, last=1),
        alike=True,
    ),
    "kills rot, un-forget": Configuration(
        "an un-forget, two collectors; kills 1 cannot be read and are void",
        ONE_DEAD,
        _run("kills", _un_forget),
        alike=True,
    ),
    "tombs rot": Configuration(
        "two collectors and two packs with one chunk; tombs 1 cannot be read",
        TWO_PACKS,
        _run("tombs"),
        alike=True,
    ),
    "tombs rot, writer": Configuration(
        "a writer, two collectors; tombs 1 cannot be read",
        ONE_DEAD,
        _run("tombs", _seeing_writer, last=1),
        alike=True,
    ),
    "tombs rot, un-forget": Configuration(
        "an un-forget, two collectors; tombs 1 cannot be read",
        ONE_DEAD,
        _run("tombs", _un_forget),
        alike=True,
    ),
    "waits rot": Configuration(
        "a writer, two collectors; waits 1 cannot be read",
        ONE_DEAD,
        _run("waits", _seeing_writer, last=1),
        alike=True,
    ),
    "done rots": Configuration(
        "a writer, two collectors; done 1 cannot be read and is void",
        ONE_DEAD,
        _run("done", _seeing_writer, last=1),
        alike=True,
    ),
    "snapshot rots": Configuration(
        "the commit of a live snapshot cannot be read and is void, a writer, a collector",
        store_with("P:c O:d", live="Sc", dead="Td"),
        lambda rules: [
            _seeing_writer(rules),
            *_rots(commit_key("S"), rules),
            Collector("G", rules),
        ],
    ),
    "decision rots": Configuration(
        "the decision of a writer cannot be read and is void, a collector",
        ONE_DEAD,
        lambda rules: [
            Writer("X", "c", rules),
            *_rots(commit_key("X"), rules),
            Collector("G", rules),
        ],
    ),
    "hold rots": Configuration(
        "the decision of a hold cannot be read and is void, beside a forget, a collector",
        ONE_LIVE,
        lambda rules: [
            Saver("K", "hold", "S", rules),
            forgetter("F", "S"),
            *_rots(commit_key("K"), rules),
            Collector("G", rules),
        ],
    ),
    "index rots": Configuration(
        "an index segment cannot be read and is void, a writer, two collectors",
        store_with("P:c", live="Tc", dead="Sc"),
        lambda rules: [
            Writer("X", "c", rules),
            *_rots(Key("segment", "iP"), rules),
            *pair(rules),
        ],
        alike=True,
    ),
    "quarantine": Configuration(
        "a pack is rotten and put in quarantine, a writer, two collectors",
        ROTTEN,
        lambda rules: [*_quarantine(rules), *pair(rules)],
        alike=True,
    ),
    "quarantine rots": Configuration(
        "a pack is put in quarantine and that order cannot be read, a writer, a collector",
        ROTTEN,
        lambda rules: [*_quarantine(rules), Rots(Key("order", "Q")), Collector("G", rules)],
    ),
    "quarantine lost": Configuration(
        "a pack is put in quarantine and that order is lost, a writer, a collector",
        ROTTEN,
        lambda rules: [*_quarantine(rules), Lost(Key("order", "Q")), Collector("G", rules)],
    ),
    "heads": Configuration(
        "a writer and a forget that name heads, a collector",
        store_with("P:c O:d", live="Sd", dead="Tc"),
        lambda rules: [
            _seeing_writer(rules),
            SeeingOrderer("F", "forget", commit_key("S")),
            Collector("G", rules),
        ],
    ),
    "snapshot lost": Configuration(
        "a snapshot that another one names is lost and void, a writer, a collector",
        with_commits(store_with("P:c O:d Q:e", live="Sc Td", dead="De"), NAMING),
        lambda rules: [
            _seeing_writer(rules),
            Lost(commit_key("S")),
            Voider("V", commit_key("S"), rules),
            Collector("G", rules),
        ],
    ),
    "snapshot lost, its witness goes": Configuration(
        "a snapshot is lost and void, and the only one that names it is forgotten, two collectors",
        with_commits(store_with("P:c O:d", live="Sc", dead="Td"), NAMING),
        lambda rules: [
            Lost(commit_key("S")),
            Voider("V", commit_key("S"), rules),
            *pair(rules, does=["name heads"]),
        ],
        alike=True,
    ),
    "ABORT lost": Configuration(
        "the decision of a writer is lost and void, a collector, one run",
        ONE_DEAD,
        lambda rules: [
            Writer("X", "c", rules),
            Lost(commit_key("X")),
            Voider("V", commit_key("X"), rules),
            Collector("G", rules, last=1),
        ],
    ),
}
