"""A file that gets its name when it is complete."""

from __future__ import annotations

from typing import Final, Self

from strongroom.model.fs import Buffer, Fs
from strongroom.restore.files.attributes import PRIVATE_FILE
from strongroom.restore.files.links import Member
from strongroom.restore.files.things import OpenThing
from strongroom.restore.files.tools import Tools

_LARGE: Final = 256 << 10  # bytes that a disk writes while the next ones are made ready


class NewFile:
    """An unfinished file; ``write`` may be called from several threads at once."""

    def __init__(self, tools: Tools, member: Member, fd: int, present: bytes) -> None:
        self._tools = tools
        self._member = member
        self._fd = fd
        self._present = present

    @classmethod
    def begin(cls, tools: Tools, member: Member) -> Self:
        """Open it under a name that nobody else uses."""
        present = tools.names.temporary()
        with tools.directories.use(member.place.directory) as dir_fd:
            fd = tools.names.open_new(present, dir_fd, PRIVATE_FILE)
        return cls(tools, member, fd, present)

    def write(self, offset: int, data: Buffer) -> None:
        """Put ``data`` at ``offset``."""
        write_all(self._tools.fs, self._fd, data, offset)
        if len(data) >= _LARGE:
            self._tools.fs.begin_writing(self._fd, offset, len(data))

    def finish(self) -> None:
        """Set size and attributes, and give it its name."""
        tools, entry, place, name = self._tools, *self._member
        tools.fs.truncate(self._fd, entry.size)
        plan = tools.attributes.plan(entry, place.ground._replace(inherits=True))
        thing = OpenThing(tools.fs, self._fd, entry.path)
        tools.attributes.apply(thing, entry, plan, inherits=place.ground.inherits)
        self._close()
        with tools.directories.use(place.directory) as dir_fd:
            tools.names.settle(self._present, name, dir_fd)
        self._present = b""

    def abandon(self) -> None:
        """Close it, and leave nothing of it."""
        self._close()
        if self._present:
            with self._tools.directories.use(self._member.place.directory) as dir_fd:
                self._tools.names.discard(self._present, dir_fd)
            self._present = b""

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._tools.fs.close(fd)


def write_all(fs: Fs, fd: int, data: Buffer, offset: int) -> None:
    """Write every byte at ``offset``."""
    written = fs.pwrite(fd, data, offset)
    if written == len(data):
        return
    view = memoryview(data).cast("B")
    while written < len(view):
        written += fs.pwrite(fd, view[written:], offset + written)
