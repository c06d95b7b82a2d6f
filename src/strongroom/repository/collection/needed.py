"""Which objects live snapshots need, by the judgement of the collector: all that it may not take.

Nothing is written, and no full key is needed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from strongroom.errors import DamageError
from strongroom.repository import layout
from strongroom.repository.collection.survey import Keep, MovedOnError, Survey, survey
from strongroom.repository.collection.verdict import tombs
from strongroom.repository.records import split
from strongroom.repository.repository import Repository
from strongroom.repository.slotset import slots_of

# Sessions, ledgers and manifests are needed by nobody who restores.
KEPT_PREFIXES: Final = (
    layout.COMMITS,
    layout.CONFIG,
    layout.GC,
    layout.INDEX,
    layout.ORDERS,
    layout.PACKS,
    layout.SLOTS,
    layout.WAL,
    layout.WRITERS,
)
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Needed:
    """What is not needed, by key: everything else below ``KEPT_PREFIXES`` is.

    ``alarm``: why that could not be judged, so that everything counts as needed.
    """

    needless: Collection[str]
    alarm: str = ""

    def __contains__(self, key: str) -> bool:
        """Whether an object is needed."""
        return key.startswith(KEPT_PREFIXES) and key not in self.needless


def needed_objects(repository: Repository, keep: Keep) -> Needed:
    """Judge what is needed; what nobody can read makes everything needed, and is told.

    An agent can put what nobody can read, and must not keep what others have from being protected.
    ``KeyRefusedError`` for a key that reads nothing.
    """
    repository.keyring.require_reader()
    reason = ""
    for _ in range(_TRIES):
        try:
            return Needed(_needless(survey(repository, keep, begins=False)))
        except MovedOnError as error:
            reason = str(error)
        except DamageError as error:
            return Needed((), error.message)
    return Needed((), f"the repository does not hold still: {reason}")


def _needless(found: Survey) -> frozenset[str]:
    """Return what may go, but for commits: later ones name them, and would miss them."""
    names = tombs(found.listed, found.needed_packs(), found.expired(), found.past)
    packs = split(names.packs, layout.HASH_SIZE, "tombs")
    segments = split(names.index, layout.HASH_SIZE, "tombs")
    return frozenset(
        [
            *map(layout.pack, packs),
            *map(layout.index_segment, segments),
            *names.wal,
        ]
    )


def removed_objects(repository: Repository) -> frozenset[str]:
    """Return the keys that are gone in good order, or may be: by a collector, or by key removal.

    What of that could not be read is not among them.
    """
    history = repository.read_history()
    past = history.runs.absent()
    doubtful = past.doubtful
    slots = slots_of(repository.config, history.orders)
    return frozenset(
        [
            *map(layout.pack, past.killed_packs | doubtful.packs),
            *map(layout.index_segment, past.killed_index | doubtful.index),
            *(past.killed_commits | doubtful.commits),
            *(past.killed_wal | doubtful.wal),
            *map(layout.slot, slots.removed),
            *(one.key for one in history.standing.voids),
        ]
    )
