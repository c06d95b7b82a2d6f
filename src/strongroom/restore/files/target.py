"""The target of a restore: a directory of this machine.

Nothing is ever reached by more than one component of a path, relative to the descriptor of a
directory that this restore has made or found to be a real one below its target. So nothing that a
tree says can lead outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from strongroom.errors import RestoreError
from strongroom.model.entry import Entry, EntryKind
from strongroom.model.fs import Buffer
from strongroom.model.source import Extra, OpenFile
from strongroom.restore.files import making
from strongroom.restore.files.attributes import Attributes
from strongroom.restore.files.extras import remove_extras
from strongroom.restore.files.largefile import LargeFile
from strongroom.restore.files.links import Claim, Links, Member
from strongroom.restore.files.newfile import NewFile
from strongroom.restore.files.order import Order, Refused
from strongroom.restore.files.places import LostPlace, Place, Places
from strongroom.restore.files.present import DEVICES, Present
from strongroom.restore.files.tools import FAILED, Tools
from strongroom.system.causes import cause_of

_FILES: Final = frozenset({EntryKind.FILE, EntryKind.STREAM, EntryKind.RECORD})
_KINDS: Final = frozenset(EntryKind)
_NO_CONTENT: Final = "not restored, since another name of the same file was not"
_APART: Final = "restored as a file of its own: its content is not that of its other names"


class FilesTarget:
    """A ``Target``; ``begin`` makes one. ``refused`` counts entries that could not be meant."""

    def __init__(
        self, tools: Tools, places: Places, present: Present, *, durable: bool = True
    ) -> None:
        self._tools = tools
        self._durable = durable
        self._places = places
        self._present = present
        self._order = Order()
        self._links = Links()
        self._last_parent: tuple[bytes, Place | LostPlace] = b"", self._placed(b"")
        self.refused = 0

    @property
    def kept(self) -> int:
        """How many entries were not written, since what is there is right or must stay."""
        return self._present.kept

    @property
    def left(self) -> set[bytes]:
        """Paths of what was there and had to stay as it is."""
        return self._present.left | self._places.left

    @property
    def attributes(self) -> Attributes:
        """What decides attributes, and knows which owners cannot be set."""
        return self._tools.attributes

    def place(self, entries: Sequence[Entry]) -> list[Entry]:
        """See ``Target``; called by one thread."""
        return [entry for entry in entries if self._place(entry)]

    def write(self, files: Sequence[tuple[Entry, Buffer]]) -> int:
        """See ``Target``; files of one directory are best given together."""
        written = 0
        for parent, group in groupby(files, key=_parent_of):
            place = self._placed(parent)
            try:
                dir_fd = self._tools.directories.take(place.directory)
            except OSError as error:
                for entry, _ in group:
                    self._tools.fail(entry.path, error)
                    self._give_up(entry)
                continue
            cut = len(parent) + 1 if parent else 0
            try:
                for entry, data in group:
                    written += self._write(place, dir_fd, entry.path[cut:], entry, data)
            finally:
                self._tools.directories.give_back(place.directory)
        return written

    def open(self, entry: Entry) -> OpenFile | None:
        """See ``Target``."""
        parent, _, name = entry.path.rpartition(b"/")
        member: Member | None = Member(entry, self._placed(parent), name)
        while member is not None:
            try:
                file = NewFile.begin(self._tools, member)
            except FAILED as error:
                self._tools.fail(member.entry.path, error)
                member = self._links.next_after(member.entry)
            else:
                return LargeFile(self._tools, file, member.entry, self._settle, self._give_up)
        return None

    def remove(self, extras: Sequence[Extra]) -> int:
        """See ``Target``."""
        return remove_extras(self._tools, self._places.base, extras)

    def finish(self) -> None:
        """See ``Target``; ``RestoreError`` if what was restored could not be made durable."""
        tools = self._tools
        for member in self._links.left():
            tools.report(member.entry.path, _NO_CONTENT)
        self._places.dress(tools)
        for lost in self._places.lost:
            if lost.below:
                tools.report(lost.path, f"{lost.below:,} entries below it are not restored")
        for path, cause in tools.shortfalls.lines():
            tools.report(path, cause, missing=False)
        try:
            if self._durable:
                self._places.make_durable()
        except OSError as error:
            raise RestoreError(
                f"what was restored may not survive a power cut: {cause_of(error)}",
                hint="The disk reports errors; restore again to another one.",
            ) from error
        finally:
            self.close()

    def close(self) -> None:
        """Close every directory; for a restore that does not come to its end."""
        self._places.close()
        self._tools.directories.close()

    def _place(self, entry: Entry) -> bool:
        """Make an entry, or return True if its bytes are wanted."""
        path = entry.path
        kind = entry.kind
        try:
            place, name = self._admit(path, kind)
        except Refused as refusal:
            self.refused += 1
            self._tools.report(path, f"refused: {refusal}")
            return False
        if kind != EntryKind.DIRECTORY:
            self._order.leaf(path)
        if isinstance(place, LostPlace):
            place.below += 1
            if kind == EntryKind.DIRECTORY:
                self._places.lose_below(path, place)
            return False
        if kind == EntryKind.DIRECTORY:
            self._make_directory(place, name, path, entry)
            return False
        return self._place_leaf(Member(entry, place, name))

    def _place_leaf(self, member: Member) -> bool:
        entry = member.entry
        if self._present.is_left(member) or (entry.link and not self._claim(member)):
            return False
        if self._present.is_right(member):
            self._settle(entry)
            return False
        if entry.kind in _FILES:
            return True
        self._make_special(member)
        return False

    def _admit(self, path: bytes, kind: int) -> tuple[Place | LostPlace, bytes]:
        """Return the directory of an entry and its name there; ``Refused`` for a bad one."""
        parent, name = self._order.check(path)
        if parent != self._last_parent[0]:
            place = self._places.find(parent) or self._make_missing(parent)
            self._last_parent = parent, place
        else:
            place = self._last_parent[1]
        if kind not in _KINDS:
            raise Refused(f"nothing of kind {kind} can be restored")
        return place, name

    def _make_missing(self, path: bytes) -> Place | LostPlace:
        """Make directories that no entry has made; they stay private."""
        place = self._placed(b"")
        names = self._order.check_missing(path)
        for depth, name in enumerate(names, 1):
            here = b"/".join(names[:depth])
            found = self._places.find(here) or self._make_directory(place, name, here, None)
            if isinstance(found, LostPlace):
                return found
            place = found
        return place

    def _make_directory(
        self, parent: Place, name: bytes, path: bytes, entry: Entry | None
    ) -> Place | LostPlace:
        try:
            return self._places.make(parent, name, path, entry)
        except FAILED as error:
            self._tools.fail(path, error)
            return self._places.lose(path)

    def _make_special(self, member: Member) -> None:
        tools, (entry, place, name) = self._tools, member
        try:
            with tools.directories.use(place.directory) as dir_fd:
                making.special(tools, place, dir_fd, name, entry)
        except FAILED as error:
            if isinstance(error, PermissionError) and entry.kind in DEVICES:
                tools.report(entry.path, "a device can only be made by root")
            else:
                tools.fail(entry.path, error)
            self._give_up(entry)
        else:
            self._settle(entry)

    def _claim(self, member: Member) -> bool:
        """Decide about one of several names; True if it is restored with its own content."""
        claim, first = self._links.claim(member)
        if claim is Claim.LINK:
            self._link(first, member)
        elif claim is Claim.APART:
            self._tools.report(member.entry.path, _APART, missing=False)
        return claim in (Claim.OWN, Claim.APART)

    def _link(self, first: Member, member: Member) -> None:
        if self._present.is_linked(first, member):
            return
        try:
            making.hard_link(self._tools, first, member)
        except FAILED as error:
            self._tools.fail(member.entry.path, error)

    def _write(self, place: Place, dir_fd: int, name: bytes, entry: Entry, data: Buffer) -> bool:
        if len(data) != entry.size:
            self._tools.report(
                entry.path, f"refused: it should hold {entry.size:,} bytes and holds {len(data):,}"
            )
            self._give_up(entry)
            return False
        made = self._make_file(place, dir_fd, name, entry, data)
        if entry.link:
            self._settle(entry) if made else self._write_elsewhere(entry, data)
        return made

    def _make_file(
        self, place: Place, dir_fd: int, name: bytes, entry: Entry, data: Buffer
    ) -> bool:
        try:
            making.file(self._tools, place, dir_fd, name, entry, data)
        except FAILED as error:
            self._tools.fail(entry.path, error)
            return False
        return True

    def _write_elsewhere(self, entry: Entry, data: Buffer) -> None:
        """Let another name of the same file bring the content, since this one could not be made."""
        tools = self._tools
        while (member := self._links.next_after(entry)) is not None:
            entry, place, name = member
            try:
                with tools.directories.use(place.directory) as dir_fd:
                    made = self._make_file(place, dir_fd, name, entry, data)
            except OSError as error:
                tools.fail(entry.path, error)
                continue
            if made:
                self._settle(entry)
                return

    def _settle(self, entry: Entry) -> None:
        """Link all that waited for an entry that is complete now."""
        done = self._links.done(entry)
        if done is not None:
            first, waiting = done
            for member in waiting:
                self._link(first, member)

    def _give_up(self, entry: Entry) -> None:
        """Report all that waited for an entry whose content cannot be had."""
        for member in self._links.give_up(entry):
            self._tools.report(member.entry.path, _NO_CONTENT)

    def _placed(self, path: bytes) -> Place:
        place = self._places.find(path)
        if not isinstance(place, Place):
            msg = f"no file of the directory {path!r} was wanted"
            raise TypeError(msg)
        return place


def _parent_of(file: tuple[Entry, Buffer]) -> bytes:
    return file[0].path.rpartition(b"/")[0]
