"""Which versions of a bucket are to be held, and what somebody did to objects behind our back.

No object of a repository is ever put over, so the first version of a key is what a host put; and
none is deleted but by a collector, or with a key, which both say so first. Whoever puts another
object over one, or deletes it, only hides it: all of its versions are held, for which of them is
good a listing does not say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from strongroom.aws.versions import History, Version
from strongroom.repository import layout
from strongroom.repository.collection.needed import KEPT_PREFIXES, Needed

# What decides what is needed; it is looked at first.
_DECIDING: Final = (layout.COMMITS, layout.CONFIG, layout.GC, layout.ORDERS)


class Altered(NamedTuple):
    """An object of which another version counts now than the one that was put first.

    ``hidden``: by a delete marker; else another object was put over it. ``first``: what was put.
    """

    key: str
    hidden: bool
    first: Version


def altered(history: History) -> Altered | None:
    """Return what was done to a key; None if it is what it was at first, or nothing is left. Pure.

    What was deleted and put back with the same bytes is what it was.
    """
    objects = [one for one in history.versions if not one.deleted]
    if not objects:
        return None
    first, latest = objects[-1], history.versions[0]
    if latest.deleted:
        return Altered(history.key, hidden=True, first=first)
    if (latest.size, latest.etag) != (first.size, first.etag):
        return Altered(history.key, hidden=False, first=first)
    return None


@dataclass(slots=True)
class ToHold:
    """The versions that are to be held; ``judge`` comes first.

    ``removed``: keys that were taken away in good order.
    ``found``: what somebody did, known when all versions were seen. ``alarm``: why it cannot be
    judged what is needed, so that everything is.
    """

    needed: Needed
    removed: Collection[str]
    found: list[Altered] = field(default_factory=list)
    _deciding: list[Version] = field(default_factory=list)

    @property
    def alarm(self) -> str:
        """Why everything counts as needed; empty where it was judged what is."""
        return self.needed.alarm

    def judge(self, histories: Callable[[str], Iterable[History]]) -> None:
        """Look at what decides what is needed, so that ``alarm`` is known before all the rest."""
        self._deciding = [
            version
            for prefix in _DECIDING
            for history in histories(prefix)
            for version in self._of(history)
        ]

    def versions(self, histories: Callable[[str], Iterable[History]]) -> Iterator[Version]:
        """Yield all versions of each object that is needed, also of one that is hidden."""
        yield from self._deciding
        for prefix in KEPT_PREFIXES:
            if prefix not in _DECIDING:
                for history in histories(prefix):
                    yield from self._of(history)

    def settle(self, removed: Collection[str]) -> None:
        """Forget what turned out to be taken away in good order meanwhile."""
        self.found = [one for one in self.found if one.key not in removed]

    def _of(self, history: History) -> Iterator[Version]:
        key = history.key
        if key in self.removed and history.versions[0].deleted:
            return
        if key not in self.removed and layout.is_object(key):
            self._note(altered(history))
        if key in self.needed:
            yield from (one for one in history.versions if not one.deleted)

    def _note(self, done: Altered | None) -> None:
        if done is None:
            return
        self.found.append(done)
        if done.key.startswith(_DECIDING) and not self.alarm:
            how = "is hidden by a delete marker" if done.hidden else "was put over"
            self.needed = replace(self.needed, needless=(), alarm=f"{done.key} {how}")
