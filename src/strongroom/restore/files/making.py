"""Making what is no directory: files, links, FIFOs, sockets and devices."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from functools import partial
from typing import Final

from strongroom.model.entry import SPARSE, Entry, EntryKind
from strongroom.model.fs import Buffer, Fs
from strongroom.restore.files.links import Member
from strongroom.restore.files.newfile import NewFile, write_all
from strongroom.restore.files.places import Place
from strongroom.restore.files.shortfalls import reason_of
from strongroom.restore.files.things import NamedThing, OpenThing
from strongroom.restore.files.tools import Tools

SPECIAL_TYPES: Final = {
    EntryKind.FIFO: stat.S_IFIFO,
    EntryKind.SOCKET: stat.S_IFSOCK,
    EntryKind.CHARACTER_DEVICE: stat.S_IFCHR,
    EntryKind.BLOCK_DEVICE: stat.S_IFBLK,
}
_CANNOT_LINK: Final = frozenset(
    {errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS}
)
_READ: Final = os.O_RDONLY | os.O_NONBLOCK
_PAGE: Final = 4096
_ZEROS: Final = bytes(_PAGE)
_PIECE: Final = 1 << 20


def file(tools: Tools, place: Place, dir_fd: int, name: bytes, entry: Entry, data: Buffer) -> None:
    """Make a whole file; nothing of it stays if that fails."""
    fs, names, ground = tools.fs, tools.names, place.ground
    plan = tools.attributes.plan(entry, ground)
    fd, present = names.create(name, dir_fd, plan.created_mode)
    try:
        try:
            if entry.flags & SPARSE:
                _write_with_holes(fs, fd, data)
            elif data:
                write_all(fs, fd, data, 0)
            thing = OpenThing(fs, fd, entry.path)
            tools.attributes.apply(thing, entry, plan, inherits=ground.inherits)
        finally:
            fs.close(fd)
        if present is not name:
            names.settle(present, name, dir_fd)
    except BaseException:
        names.discard(present, dir_fd)
        raise


def special(tools: Tools, place: Place, dir_fd: int, name: bytes, entry: Entry) -> None:
    """Make a symbolic link, FIFO, socket or device; nothing of it stays if that fails."""
    fs, names, ground = tools.fs, tools.names, place.ground
    plan = tools.attributes.plan(entry, ground._replace(inherits=True))
    is_link = entry.kind == EntryKind.SYMLINK
    if is_link:
        make = partial(fs.symlink, entry.target, dir_fd=dir_fd)
        plan = plan._replace(mode=None)
    else:
        kind, rdev = SPECIAL_TYPES[EntryKind(entry.kind)], os.makedev(*entry.rdev)
        make = partial(fs.mknod, mode=kind | stat.S_IRUSR | stat.S_IWUSR, rdev=rdev, dir_fd=dir_fd)
    present = names.make(name, make)
    try:
        thing = NamedThing(fs, present, dir_fd, entry.path)
        inherits = ground.inherits and not is_link
        tools.attributes.apply(thing, entry, plan, inherits=inherits)
        names.settle(present, name, dir_fd)
    except BaseException:
        names.discard(present, dir_fd)
        raise


def hard_link(tools: Tools, first: Member, member: Member) -> None:
    """Make a second name; where the file system cannot, a copy with the same attributes."""
    fs, names, use = tools.fs, tools.names, tools.directories.use
    with use(first.place.directory) as old_fd, use(member.place.directory) as dir_fd:

        def make(present: bytes) -> None:
            fs.link(first.name, present, old_dir_fd=old_fd, dir_fd=dir_fd)

        try:
            present = names.make(member.name, make)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            tools.shortfalls.add("hard link", member.entry.path, reason_of(error))
            _copy(tools, first, old_fd, member, dir_fd)
            return
        try:
            names.settle(present, member.name, dir_fd)
        except BaseException:
            names.discard(present, dir_fd)
            raise


def _copy(tools: Tools, first: Member, old_fd: int, member: Member, dir_fd: int) -> None:
    entry = member.entry
    if entry.kind in SPECIAL_TYPES or entry.kind == EntryKind.SYMLINK:
        special(tools, member.place, dir_fd, member.name, entry)
        return
    source = tools.fs.open(first.name, _READ, dir_fd=old_fd)
    try:
        copy = NewFile.begin(tools, member)
        try:
            for start, end in _data(tools.fs, source, entry.size):
                for offset in range(start, end, _PIECE):
                    piece = tools.fs.pread(source, min(_PIECE, end - offset), offset)
                    copy.write(offset, piece)
            copy.finish()
        except BaseException:
            copy.abandon()
            raise
    finally:
        tools.fs.close(source)


def _data(fs: Fs, fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has data; all of it where the file system knows no holes."""
    position = 0
    while position < size:
        try:
            start = fs.seek_data(fd, position)
            end = size if start is None else min(fs.seek_hole(fd, start), size)
        except OSError:
            start, end = position, size
        if start is None:
            return
        yield start, end
        position = max(end, position + 1)


def _write_with_holes(fs: Fs, fd: int, data: Buffer) -> None:
    """Write a file whose pages of zeros were holes, and leave them out."""
    view = memoryview(data).cast("B")
    size = len(view)
    start = 0
    for page in range(0, size, _PAGE):
        end = min(page + _PAGE, size)
        if view[page:end] == _ZEROS[: end - page]:
            if page > start:
                write_all(fs, fd, view[start:page], start)
            start = end
    if size > start:
        write_all(fs, fd, view[start:], start)
    fs.truncate(fd, size)
