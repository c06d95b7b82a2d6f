"""Find entries in many snapshots; what snapshots share is read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from strongroom.errors import DamageError
from strongroom.model.entry import Entry
from strongroom.model.events import Advanced, PhaseBegan
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.restore import cursor_of
from strongroom.repository.findings import Finding, Severity
from strongroom.repository.reader import Reader
from strongroom.repository.repository import Repository
from strongroom.repository.treecursor import TreeCursor

_MOST_REMEMBERED: Final = 1 << 18  # parts without a match: 30 MB at most

Matches = Callable[[Entry], bool]
Take = Callable[[ListedSnapshot, Entry], None]


@dataclass(slots=True)
class FindResult:
    """What was searched and found. ``damaged``: parts of trees that could not be searched."""

    snapshots: int = 0
    matches: int = 0
    damaged: list[Finding] = field(default_factory=list)


def find(
    repository: Repository, snapshots: Sequence[ListedSnapshot], matches: Matches, take: Take
) -> FindResult:
    """Give every entry that ``matches`` to ``take``, snapshot by snapshot.

    What cannot be read is in the result, and the search goes on after it.
    """
    search = _Search(repository.reader(), matches, take)
    repository.around.sink(PhaseBegan("search", len(snapshots)))
    for listed in snapshots:
        search.snapshot(listed)
        repository.around.sink(Advanced(1, 0))
    return search.result


class _Inside(NamedTuple):
    """A part that is being searched: how many parts come after it, and what was found before."""

    chunk_id: bytes
    left: int
    found: int


class _Search:
    """Remembers which parts of trees hold no match."""

    def __init__(self, reader: Reader, matches: Matches, take: Take) -> None:
        self._reader = reader
        self._matches = matches
        self._take = take
        self._barren: set[bytes] = set()
        self.result = FindResult()

    def snapshot(self, listed: ListedSnapshot) -> None:
        self.result.snapshots += 1
        for source in listed.snapshot.sources:
            try:
                cursor = cursor_of(self._reader, listed, source)
            except DamageError as error:
                self._damage(listed, b"", error)
            else:
                self._tree(listed, cursor)

    def _tree(self, listed: ListedSnapshot, cursor: TreeCursor) -> None:
        inside: list[_Inside] = []
        while (part := cursor.part) is not None:
            if part.chunk_id in self._barren:
                cursor.skip()
            else:
                inside.append(_Inside(part.chunk_id, len(cursor) - 1, self._found()))
                try:
                    for entry in cursor.enter(self._barren.__contains__) or ():
                        if self._matches(entry):
                            self.result.matches += 1
                            self._take(listed, entry)
                except DamageError as error:
                    self._damage(listed, part.first, error)
            while inside and len(cursor) <= inside[-1].left:
                ended = inside.pop()
                if ended.found == self._found():
                    self._remember(ended.chunk_id)

    def _found(self) -> int:
        return self.result.matches + len(self.result.damaged)

    def _remember(self, chunk_id: bytes) -> None:
        if len(self._barren) >= _MOST_REMEMBERED:
            self._barren.clear()
        self._barren.add(chunk_id)

    def _damage(self, listed: ListedSnapshot, first: bytes, error: DamageError) -> None:
        where = f"snapshot {listed.short_id}"
        text = f"a part of its tree cannot be searched: {error.message}"
        self.result.damaged.append(Finding(Severity.DAMAGE, where, text, listed.short_id, first))
