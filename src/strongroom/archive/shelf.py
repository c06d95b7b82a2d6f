"""The folder of all archives, ``backup/``: one folder each, which is whole or does not count.

An archive is made in ``.partial-ID`` and gets its name by one rename, when it was read back and all
of it is on the disk. A run that fails leaves ``ID-failed`` with its log. One that was killed leaves
``.partial-ID``, which is listed as unfinished and never as an archive.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

from strongroom.archive.files import TROUBLE, Files, FilesError, TakenError
from strongroom.archive.metadata import LARGEST, Metadata, read_metadata
from strongroom.archive.naming import (
    ArchiveId,
    archive_id,
    beginning_id,
    failed_id,
    is_removed,
    partial_id,
    replaced_id,
)
from strongroom.archive.runlog import ERROR
from strongroom.errors import NotFoundError

_LONGEST_LOG: Final = 256 << 20
_SECOND: Final = 1_000_000_000
_STAMP: Final = "%Y%m%d_%H%M%S"


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
    cannot be read. ``marked``: it counts as damaged only because a verification said so.
    """

    id: ArchiveId
    state: State
    folder: str
    name: str = ""
    size: int = 0
    metadata: Metadata | None = None
    why: str = ""
    marked: bool = False

    @property
    def is_archive(self) -> bool:
        """Whether there is something that could be restored."""
        return self.state not in {State.UNFINISHED, State.FAILED}

    @property
    def created_ns(self) -> int:
        """When it was begun, nanoseconds since 1970; 0 if nothing says so.

        As its metadata says, for the local time in a name comes twice when summer time ends.
        """
        if self.metadata is not None and self.metadata.created:
            with suppress(ValueError):
                return _ns(datetime.fromisoformat(self.metadata.created))
        with suppress(ValueError):
            return _ns(datetime.strptime(self.id.stamp, _STAMP).astimezone())
        return 0


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
        names = set(self.files.folders())
        found = [one for name in sorted(names) for one in self._look(name, names)]
        found.sort(key=lambda one: (one.created_ns, one.id.before_restore, one.folder))
        return _with_chains(found)

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

    @contextmanager
    def begun(self, new: ArchiveId, *, anew: bool = False) -> Iterator[Files]:
        """Hold a folder in which an archive is made; ``TakenError`` if its id is taken.

        It is locked before it gets its name, so that nobody takes it for one whose run was killed.
        ``anew``: it is to take the place of the archive of that id.
        """
        self.files.make(exist_ok=True)
        self._must_be_free(new, anew=anew)
        beginning = self.files.below(new.beginning)
        try:
            beginning.make()
        except FilesError:  # made, perhaps, and then not given its access
            with suppress(*TROUBLE):
                self.files.remove_folder(new.beginning)
            raise
        with ExitStack() as stack:
            try:
                _must_be_mine(beginning, is_mine=stack.enter_context(beginning.locked()))
            except FilesError as error:
                if isinstance(error.__cause__, FileNotFoundError):  # taken for a left one
                    raise TakenError(f"{beginning.shown()} was removed") from error
                raise
            try:
                self.files.rename(new.beginning, new.partial)
                self._must_be_free(new, anew=anew)  # another one may have come to its end
            except BaseException:
                with suppress(*TROUBLE):
                    self._drop_begun(new)
                raise
            yield self.files.below(new.partial)

    def _must_be_free(self, new: ArchiveId, *, anew: bool) -> None:
        taken = {new.folder, new.failed, new.replaced} & set(self.files.names())
        if taken and not anew:
            raise TakenError(f"there is an archive {new} already")

    def _drop_begun(self, new: ArchiveId) -> None:
        """Remove what we hold, whichever name it has."""
        is_renamed = new.beginning not in self.files.names()
        self.files.remove_folder(new.partial if is_renamed else new.beginning)

    def publish(self, new: ArchiveId) -> None:
        """Let an archive count, whose files are durable; after an error it does not."""
        self.files.below(new.partial).sync()
        try:
            self.files.rename(new.partial, new.folder)
        except TROUBLE:
            names = self.files.names()
            if new.folder in names and new.partial not in names:
                self.files.rename(new.folder, new.partial)
            raise

    def replace(self, one: ArchiveId) -> None:
        """Let what was made anew take the place of an archive."""
        self.files.below(one.partial).sync()
        self.files.rename(one.folder, one.replaced)
        self.files.rename(one.partial, one.folder)
        self.files.remove_folder(one.replaced)

    def fail(self, new: ArchiveId, line: bytes) -> None:
        """Keep the log of a run that made no archive, and nothing else of it.

        ``line`` says why, and is added where no line does: there may have been no room for one.
        """
        inside = self.files.below(new.partial)
        names = inside.names()
        for name in names:
            if name != new.log:
                inside.remove(name)
        said = inside.read(new.log, _LONGEST_LOG) if new.log in names else b""
        if ERROR not in said:
            inside.remove(new.log)
            inside.write(new.log, said + line)
        self.files.rename(new.partial, new.failed)

    def remove(self, one: Shelved) -> None:
        """Remove an archive, or what a failed run left; what lies there besides keeps it there."""
        self.files.remove_folder(one.folder, by_way_of=one.id.removed)

    def settle(self, killed: bytes) -> list[str]:
        """Finish what killed runs left; return what could not be, which stops nobody.

        ``killed``: the line of a log that says that the run was.
        """
        names = set(self.files.folders())
        said = []
        for name in sorted(names, key=lambda name: (replaced_id(name) is None, name)):
            try:
                self._settle(name, names, killed)
            except TROUBLE as error:
                said.append(error.message)
        return said

    def _settle(self, name: str, names: set[str], killed: bytes) -> None:
        replaced, unfinished, begun = replaced_id(name), partial_id(name), beginning_id(name)
        if replaced is not None and replaced.folder in names:
            self.files.remove_folder(name)
        elif replaced is not None:
            self.files.rename(name, replaced.folder)
            names.add(replaced.folder)
        elif is_removed(name):
            self.files.remove_folder(name)
        elif unfinished is not None or begun is not None:
            with self.files.below(name).locked() as is_free:  # whoever is at work holds it
                if is_free and unfinished is not None and unfinished.folder not in names:
                    if unfinished.replaced not in names:
                        self.fail(unfinished, killed)
                elif is_free:
                    self.files.remove_folder(name)

    def _look(self, name: str, names: AbstractSet[str]) -> Iterator[Shelved]:
        done, unfinished, failed = archive_id(name), partial_id(name), failed_id(name)
        replaced = replaced_id(name)
        if done is not None:
            yield self._examined(done, name)
        elif replaced is not None and replaced.folder not in names:
            yield self._examined(replaced, name)  # the run that replaced it was killed
        elif failed is not None:
            yield Shelved(failed, State.FAILED, name, why=f"the run failed: see {failed.log}")
        elif unfinished is not None and unfinished.replaced not in names:
            yield Shelved(unfinished, State.UNFINISHED, name, why=self._of_unfinished(name))

    def _of_unfinished(self, name: str) -> str:
        try:
            with self.files.below(name).locked() as is_free:
                return "its run was killed" if is_free else "a run is at work on it"
        except TROUBLE as error:
            return error.message

    def _examined(self, one: ArchiveId, folder: str) -> Shelved:
        found = Shelved(one, State.DAMAGED, folder)
        inside = self.below(found)
        try:
            names = [name for name in inside.names() if one.is_archive(name)]
            if len(names) != 1:
                count = "no archive" if not names else f"{len(names)} archives"
                wanted = f"{found.id}/{one.archive('.tar')}.*"
                return found._replace(why=f"there is {count} in its folder, where one is: {wanted}")
            found = found._replace(name=names[0], size=inside.size(names[0]))
            data = inside.read(one.metadata, LARGEST)
            metadata = read_metadata(data, f"{one}/{one.metadata}")
        except TROUBLE as error:
            return found._replace(why=error.message)
        judged = _judged(found._replace(metadata=metadata), metadata)
        if judged.state is not State.DAMAGED and one.damage in inside.names():
            why = f"a verification found damage: see {one}/{one.damage}"
            return judged._replace(state=State.DAMAGED, why=why, marked=True)
        return judged


def _ns(moment: datetime) -> int:
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * _SECOND + since.microseconds * 1000


def _must_be_mine(beginning: Files, *, is_mine: bool) -> None:
    if not is_mine:
        raise TakenError(f"somebody else looks at {beginning.shown()}")


def _with_chains(found: Sequence[Shelved]) -> list[Shelved]:
    """Judge incremental archives by what they build on: without that they are damaged."""
    states = {str(one.id): one.state for one in found if one.is_archive}
    return [_with_chain(one, states) for one in found]


def _with_chain(one: Shelved, states: Mapping[str, State]) -> Shelved:
    if one.metadata is None or one.state is State.DAMAGED:
        return one
    for base in one.metadata.chain[:-1]:
        if states.get(base, State.DAMAGED) is State.DAMAGED:
            what = "is damaged" if base in states else "is gone"
            return one._replace(state=State.DAMAGED, why=f"{base}, which it builds on, {what}")
    return one


def _judged(found: Shelved, metadata: Metadata) -> Shelved:
    if metadata.backup_timestamp not in {found.id.stamp, str(found.id)}:
        return found._replace(
            why=f"{found.id}/{found.id.metadata} is that of {metadata.backup_timestamp!r}"
        )
    if metadata.backup_size not in {found.size, -1}:
        return found._replace(
            why=f"{found.id}/{found.name} is {found.size:,} bytes long, {found.id.metadata} says "
            f"{metadata.backup_size:,}"
        )
    if metadata.status == "incomplete":
        count = len(metadata.problems)
        why = f"{count:,} {'thing is' if count == 1 else 'things are'} missing, or not as they were"
        return found._replace(state=State.INCOMPLETE, why=why)
    state = State.GOOD if metadata.is_ours and metadata.verified else State.UNPROVEN
    return found._replace(state=state)
