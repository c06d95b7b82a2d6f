"""The folder of all archives, ``backup/``: one folder each, which is whole or does not count.

An archive is made in ``.partial-ID`` and gets its name by one rename, when it was read back and all
of it is on the disk. A run that fails leaves ``ID-failed`` with its log. One that was killed leaves
``.partial-ID``, which is listed as unfinished and never as an archive.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final, NamedTuple

from strongroom.archive.files import Files, TakenError
from strongroom.archive.metadata import LARGEST, Metadata, read_metadata
from strongroom.archive.naming import (
    ArchiveId,
    archive_id,
    failed_id,
    is_removed,
    partial_id,
    replaced_id,
)
from strongroom.errors import NotFoundError, StrongroomError

_YOUNG_NS: Final = 60 * 1_000_000_000


class State(enum.Enum):
    """What is known of an archive without reading it.

    ``GOOD``: all of it was read back when it was made. ``UNPROVEN``: nobody says so, as of one that
    a script made. ``INCOMPLETE``: it is sound, and something is missing in it.
    """

    GOOD = "good"
    UNPROVEN = "not verified"
    INCOMPLETE = "incomplete"
    DAMAGED = "damaged"
    UNFINISHED = "unfinished"
    FAILED = "failed"


class Shelved(NamedTuple):
    """One archive, or what a run left that made none.

    ``name``: the file of the archive; ``why``: what is wrong with it. ``metadata`` is None where it
    cannot be read.
    """

    id: ArchiveId
    state: State
    folder: str
    name: str = ""
    size: int = 0
    metadata: Metadata | None = None
    why: str = ""

    @property
    def is_archive(self) -> bool:
        """Whether there is something that could be restored."""
        return self.state not in {State.UNFINISHED, State.FAILED}


class Shelf:
    """The archives of one project."""

    def __init__(self, files: Files) -> None:
        self.files = files

    @property
    def path(self) -> str:
        """The folder, for people."""
        return self.files.shown()

    def below(self, one: Shelved | ArchiveId) -> Files:
        """Return the files of an archive."""
        return self.files.below(one.folder)

    def listed(self) -> list[Shelved]:
        """Return everything that is there, the oldest first."""
        found = [one for name in self.files.names() for one in self._look(name)]
        return sorted(found, key=lambda one: (one.id.stamp, one.id.before_restore, one.folder))

    def archives(self) -> list[Shelved]:
        """Return the archives that no restore made, the oldest first."""
        return [one for one in self.listed() if one.is_archive and not one.id.before_restore]

    def find(self, text: str) -> Shelved:
        """Return one archive by its id, or ``latest``; ``NotFoundError`` with what there is."""
        listed = self.listed()
        mine = [one for one in listed if one.is_archive]
        if text == "latest":
            mine = [one for one in mine if not one.id.before_restore]
            if mine:
                return mine[-1]
            raise NotFoundError(
                f"there is no archive in {self.path}", hint="Make one: strongroom archive create."
            )
        for one in mine:
            if str(one.id) == text.rstrip("/"):
                return one
        for one in listed:
            if str(one.id) == text.rstrip("/"):
                raise NotFoundError(f"{text} is no archive: {one.why}")
        last = ", ".join(str(one.id) for one in mine[-3:]) or "none"
        raise NotFoundError(
            f"there is no archive '{text}' in {self.path} (the last ones: {last})",
            hint="'strongroom archive list' shows all.",
        )

    def begin(self, new: ArchiveId) -> Files:
        """Make the folder in which an archive is made; ``TakenError`` if the id is taken."""
        self.files.make(exist_ok=True)
        if {new.folder, new.failed} & set(self.files.names()):
            raise TakenError(f"there is an archive {new} already")
        inside = self.files.below(new.partial)
        inside.make()
        return inside

    def publish(self, new: ArchiveId) -> None:
        """Let an archive count, whose files are durable."""
        self.files.below(new.partial).sync()
        self.files.rename(new.partial, new.folder)

    def replace(self, one: ArchiveId) -> None:
        """Let what was made anew take the place of an archive."""
        self.files.below(one.partial).sync()
        self.files.rename(one.folder, one.replaced)
        self.files.rename(one.partial, one.folder)
        self.files.remove_folder(one.replaced)

    def fail(self, new: ArchiveId) -> None:
        """Keep the log of a run that made no archive, and nothing else of it."""
        inside = self.files.below(new.partial)
        for name in inside.names():
            if name != new.log:
                inside.remove(name)
        self.files.rename(new.partial, new.failed)

    def remove(self, one: Shelved) -> None:
        """Remove an archive, or what a failed run left; it does not count from the first step."""
        self.files.rename(one.folder, one.id.removed)
        self.files.remove_folder(one.id.removed)

    def settle(self, now_ns: int) -> None:
        """Finish what killed runs left: removals, replacements, and what nobody fills any more.

        A folder that was made within the last minute may be about to be locked.
        """
        for name in self.files.names():
            if is_removed(name):
                self.files.remove_folder(name)
        names = set(self.files.names())
        for name in sorted(names):
            replaced = replaced_id(name)
            if replaced is not None and replaced.folder in names:
                self.files.remove_folder(name)
            elif replaced is not None:
                self.files.rename(name, replaced.folder)
        names = set(self.files.names())
        for name in sorted(names):
            unfinished = partial_id(name)
            young = now_ns - self.files.mtime_ns(name) < _YOUNG_NS
            if unfinished is None or young or self._at_work(name):
                continue
            if unfinished.folder in names:  # it was to take the place of that one
                self.files.remove_folder(name)
            else:
                self.fail(unfinished)

    def _at_work(self, name: str) -> bool:
        """Whether a run holds a folder; one that was killed holds nothing."""
        with self.files.below(name).locked() as is_free:
            return not is_free

    def _look(self, name: str) -> Iterator[Shelved]:
        done, unfinished, failed = archive_id(name), partial_id(name), failed_id(name)
        if done is not None:
            yield self._examined(done)
        elif failed is not None:
            yield Shelved(failed, State.FAILED, name, why=f"the run failed: see {failed.log}")
        elif unfinished is not None:
            why = "a run is at work on it" if self._at_work(name) else "its run was killed"
            yield Shelved(unfinished, State.UNFINISHED, name, why=why)

    def _examined(self, one: ArchiveId) -> Shelved:
        inside = self.below(one)
        names = [name for name in inside.names() if one.is_archive(name)]
        found = Shelved(one, State.DAMAGED, one.folder)
        if len(names) != 1:
            count = "no archive" if not names else f"{len(names)} archives"
            return found._replace(why=f"there is {count} in its folder")
        found = found._replace(name=names[0], size=inside.size(names[0]))
        shown = f"{one}/{one.metadata}"
        try:
            metadata = read_metadata(inside.read(one.metadata, LARGEST), shown)
        except StrongroomError as error:
            return found._replace(why=error.message)
        return _judged(found._replace(metadata=metadata), metadata)


def _judged(found: Shelved, metadata: Metadata) -> Shelved:
    if metadata.backup_timestamp not in {found.id.stamp, str(found.id)}:
        return found._replace(why=f"its metadata is that of {metadata.backup_timestamp!r}")
    if metadata.backup_size not in {found.size, -1}:
        return found._replace(
            why=f"{found.name} is {found.size:,} bytes long, its metadata says "
            f"{metadata.backup_size:,}"
        )
    if metadata.status == "incomplete":
        count = len(metadata.problems)
        why = f"{count:,} {'thing is' if count == 1 else 'things are'} missing, or not as they were"
        return found._replace(state=State.INCOMPLETE, why=why)
    state = State.GOOD if metadata.is_ours and metadata.verified else State.UNPROVEN
    return found._replace(state=state)
