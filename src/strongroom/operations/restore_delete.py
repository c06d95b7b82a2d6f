"""What a target holds below the restored paths and a snapshot does not: found, never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from strongroom.errors import RefusedError
from strongroom.model.entry import Entry, EntryKind
from strongroom.model.snapshot import ListedSnapshot, Status
from strongroom.model.source import Extra
from strongroom.operations.restore import Wanted, kind_of, selected_entries
from strongroom.repository.reader import Reader
from strongroom.repository.tree import is_below

# The sorted names in a directory of the target, each with whether it is a directory; None where
# there is no real directory on the file system of the target.
Look = Callable[[bytes], Sequence[tuple[bytes, bool]] | None]

_NOTHING: Final = Entry(b"", EntryKind.FILE, 0, 0, 0, b"", b"", 0, 0)


@dataclass(frozen=True, slots=True)
class Extras:
    """What is to be removed, each directory after all that is in it.

    ``in_the_way``: directories where the snapshot has something else, with what they hold.
    """

    in_the_way: list[Extra] = field(default_factory=list)
    others: list[Extra] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of things that would go."""
        return len(self.in_the_way) + len(self.others)

    def __iter__(self) -> Iterator[Extra]:
        """Yield everything that would go."""
        yield from self.in_the_way
        yield from self.others


class _Level(NamedTuple):
    """A directory that both have; ``names``: those not met yet, the next one last."""

    path: bytes
    names: list[tuple[bytes, bool]]


class _Frame(NamedTuple):
    """A directory that only the target has, while what is in it is looked at.

    ``kept``: what stays in it.
    """

    path: bytes
    names: Iterator[tuple[bytes, bool]]
    goes: bool
    kept: list[bytes]


class _Search:
    """Walks a target beside a tree, and asks about every name in the order of both."""

    def __init__(self, look: Look, wanted: Wanted, keep: frozenset[bytes]) -> None:
        self._look = look
        self._wanted = wanted
        self._keep = keep
        self._levels: list[_Level] = []
        self.found = Extras()

    def enter(self, path: bytes) -> None:
        """Compare a directory that both have."""
        names = self._look(path)
        if names is not None:
            self._levels.append(_Level(path, list(reversed(names))))

    def meet(self, entry: Entry) -> None:
        """Take the next entry of the tree; what sorts before it is only in the target."""
        parent, _, name = entry.path.rpartition(b"/")
        while self._levels and not is_below(entry.path, self._levels[-1].path):
            self._leave()
        names = []
        if self._levels and self._levels[-1].path == parent:
            names = self._levels[-1].names
        while names and names[-1][0] < name:
            self._remove(parent, *names.pop(), self.found.others)
        chosen = self._wanted(entry)
        if names and names[-1][0] == name:
            _, is_directory = names.pop()
            if is_directory and chosen and entry.kind != EntryKind.DIRECTORY:
                self._remove(parent, name, is_directory, self.found.in_the_way)

    def end(self) -> None:
        """Take the end of the tree."""
        while self._levels:
            self._leave()

    def _leave(self) -> None:
        path, names = self._levels.pop()
        while names:
            self._remove(path, *names.pop(), self.found.others)

    def _remove(self, parent: bytes, name: bytes, directory: bool, found: list[Extra]) -> None:  # noqa: FBT001
        """Note a name and all below it, but for what stays and the directories that lead there."""
        frames: list[_Frame] = []
        self._note(_joined(parent, name), directory, frames, found)
        while frames:
            frame = frames[-1]
            below = next(frame.names, None)
            if below is not None:
                self._note(_joined(frame.path, below[0]), below[1], frames, found)
                continue
            frames.pop()
            if frame.goes and not frame.kept:
                found.append(Extra(frame.path, is_directory=True))
            elif frames:
                frames[-1].kept.append(frame.path)

    def _note(
        self,
        path: bytes,
        directory: bool,  # noqa: FBT001
        frames: list[_Frame],
        found: list[Extra],
    ) -> None:
        stays = path in self._keep
        kind = EntryKind.DIRECTORY if directory else EntryKind.FILE
        goes = not stays and self._wanted(msgspec.structs.replace(_NOTHING, path=path, kind=kind))
        names = self._look(path) if directory and not stays else None
        if names is not None:
            frames.append(_Frame(path, iter(names), goes, []))
        elif goes and not directory:
            found.append(Extra(path, is_directory=False))
        elif frames:
            frames[-1].kept.append(path)


def find_extras(
    entries: Iterable[Entry],
    roots: Iterable[bytes],
    look: Look,
    wanted: Wanted = lambda _entry: True,
    keep: frozenset[bytes] = frozenset(),
) -> Extras:
    """Compare a whole tree with a target, in the order of the tree.

    ``entries`` have the paths that they get below the target; only what lies below ``roots`` is
    looked at. What is not ``wanted``, and what is to ``keep``, stays, with what leads to it.
    """
    roots = tuple(roots)
    search = _Search(look, wanted, keep)
    if b"" in roots:
        search.enter(b"")
    for entry in entries:
        search.meet(entry)
        if entry.kind == EntryKind.DIRECTORY and any(is_below(entry.path, r) for r in roots):
            search.enter(entry.path)
    search.end()
    return search.found


def extras_of(
    reader: Reader,
    listed: ListedSnapshot,
    top: bytes,
    wanted: Wanted | None,
    look: Look,
    keep: frozenset[bytes],
) -> Extras:
    """Return what a restore with ``--delete`` would remove.

    ``RefusedError`` for a snapshot that lacks something it should hold; ``DamageError`` if its tree
    cannot be read whole.
    """
    if listed.snapshot.status != Status.COMPLETE:
        raise RefusedError(
            f"snapshot {listed.short_id} is incomplete: what could not be saved is not in it, and "
            "--delete would remove that from the target",
            hint="Restore without --delete, or choose a complete snapshot.",
        )
    if top and kind_of(reader, listed, top) != EntryKind.DIRECTORY:
        return Extras()
    entries = (e for batch in selected_entries(reader, listed, top, None) for e in batch)

    def as_saved(entry: Entry) -> bool:
        if wanted is None:
            return True
        return wanted(msgspec.structs.replace(entry, path=_joined(top, entry.path)))

    return find_extras(entries, _roots(listed, top), look, as_saved, keep)


def _roots(listed: ListedSnapshot, top: bytes) -> set[bytes]:
    """Return what was named when it was saved, where it is restored to."""
    saved = {path.strip(b"/") for source in listed.snapshot.sources for path in source.paths}
    return {
        b"" if is_below(top, path) else path[len(top) + 1 :] if top else path
        for path in saved
        if is_below(top, path) or is_below(path, top)
    }


def _joined(parent: bytes, name: bytes) -> bytes:
    return parent + b"/" + name if parent else name
