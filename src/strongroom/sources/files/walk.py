"""The walk: every entry of the roots, depth first, in the order of the tree.

Each directory is read through its own descriptor, so neither the depth nor the length of a path
has a limit other than that of the format. Names are looked at a thousand at a time, so a directory
of millions costs the memory of its names.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import Final, NamedTuple

from strongroom.errors import SourceError
from strongroom.model.entry import MAX_PATH
from strongroom.model.fs import Fs, Stat
from strongroom.model.source import Item, Problem, Report
from strongroom.sources.files.listing import Listed, Listing
from strongroom.sources.files.options import FilesOptions
from strongroom.sources.files.roots import Wanted, roots_below
from strongroom.sources.files.rules import Excluded, Rules, rules_for_root
from strongroom.sources.files.tokens import token_of
from strongroom.system.causes import cause_of
from strongroom.system.directories import Directories, Directory

BATCH: Final = 512
VANISHED: Final = "vanished while being read"
_READ: Final = os.O_RDONLY | os.O_DIRECTORY
_PASS: Final = os.O_PATH | os.O_DIRECTORY
_TYPE: Final = 0o170000
_LONGEST_NAME: Final = 255
_LONG: Final = 1 << 16  # paths of which a full batch would fill the memory
_NOTHING: Final = Wanted()
_FOLLOWED: Final = b"/."  # the only way to follow a link: nothing follows a last component
_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
_new = tuple.__new__  # a NamedTuple's own constructor is a Python function


class Found(NamedTuple):
    """What an item is loaded by: its name in a directory, and what the walk saw there.

    ``link`` is the first path with the same inode, empty for a thing with one name.
    """

    directory: Directory
    name: bytes
    stat: Stat
    link: bytes


class _Level:
    """A directory that the walk is in. ``whole``: all of it is wanted, not only ``asked``."""

    __slots__ = ("asked", "cut", "device", "directory", "entries", "rules", "whole")

    entries: Iterator[tuple[bytes, Stat]]
    rules: Rules
    whole: bool
    cut: int

    def __init__(self, directory: Directory, device: int, asked: Wanted) -> None:
        self.directory = directory
        self.device = device
        self.asked = asked


class Walk:
    """One walk; used once, by one thread."""

    def __init__(
        self, fs: Fs, directories: Directories, options: FilesOptions, report: Report
    ) -> None:
        self.excluded = Excluded()
        self._fs = fs
        self._directories = directories
        self._options = options
        self._report = report
        self._listing = Listing(
            fs, directories, self.excluded, report, skip_caches=options.exclude_caches
        )
        self._stack: list[_Level] = []
        self._inside: set[tuple[int, int]] = set()
        self._prefix = b""
        self._batch: list[Item] = []
        self._above: list[Item] = []
        self._links: dict[tuple[int, int], tuple[bytes, int]] = {}
        self._reached = False

    def batches(self, top: Wanted) -> Iterator[list[Item]]:
        """Yield the items; ``SourceError`` if nothing that was asked for can be reached."""
        self._begin(top)
        while self._stack:
            if self._advance(self._stack[-1]):
                self._leave()
            if len(self._batch) >= BATCH or (self._batch and len(self._prefix) > _LONG):
                yield self._batch
                self._batch = []
        if not self._reached:
            asked = b", ".join(b"/" + root for root in roots_below(top, b""))
            shown = asked.decode("utf-8", "backslashreplace")
            raise SourceError(f"nothing of what is to be saved can be reached: {shown}")
        if self._batch:
            yield self._batch

    def _begin(self, top: Wanted) -> None:
        self._reached = top.whole
        rules = self._root_rules(b"")
        listed = Listed([], rules, complete=False)
        try:
            directory = self._directories.top(self._fs.open(b"/", _READ))
            if top.whole:
                listed = self._listing.names(directory, b"", rules, is_root=True, had_links=True)
        except OSError as error:
            raise SourceError(f"the root directory cannot be read: {cause_of(error)}") from error
        self._go_into(_Level(directory, directory.identity[0], top), listed, b"")

    def _advance(self, level: _Level) -> bool:
        """Go on in a directory; False where the walk has to look elsewhere before its end."""
        batch, prefix, directory = self._batch, self._prefix, level.directory
        rules = level.rules if level.rules.needed else None
        asked_below = level.asked.below
        for name, found in level.entries:
            if asked_below and name in asked_below:
                self._take_asked(level, name, found, asked_below[name])
                return False
            path = prefix + name
            if rules is not None and rules.leave_out(name, path, found):
                continue
            kind = found[0] & _TYPE
            if kind == stat.S_IFDIR:
                self._add(level, name, found)
                self._enter(level, name, found, _NOTHING)
                return False
            link = self._first_name(found, path) if found[3] > 1 else b""
            size = found[6] if kind == stat.S_IFREG else 0
            handle = _new(Found, (directory, name, found, link))
            batch.append(_new(Item, (path, token_of(found, link), size, handle)))
            if len(batch) >= BATCH:
                return False
        return True

    def _leave(self) -> None:
        level = self._stack.pop()
        self._inside.discard(level.directory.identity)
        if self._above and self._above[-1].path + b"/" == self._prefix:
            del self._above[-1]  # it led to nothing
        self._prefix = self._prefix[: level.cut]

    def _take_asked(self, level: _Level, name: bytes, found: Stat, asked: Wanted) -> None:
        """Take an entry that is a root, or on the way to one."""
        path = self._prefix + name
        if asked.whole:
            self._reached = True
            self._batch += self._above
            self._above.clear()
        elif not level.whole or level.rules.leave_out(name, path, found):
            self._pass_by(level, name, found, asked)
            return
        self._add(level, name, found)
        if stat.S_ISDIR(found.mode):
            self._enter(level, name, found, asked)
        elif stat.S_ISLNK(found.mode):
            self._lose(
                asked, path, "lies below a symbolic link that is saved as one, name its real path"
            )
        else:
            self._lose(asked, path, "does not exist")

    def _pass_by(self, level: _Level, name: bytes, found: Stat, asked: Wanted) -> None:
        """Go on to a root; a directory above it is saved too, without what else is in it."""
        path = self._prefix + name
        if stat.S_ISLNK(found.mode):
            name += _FOLLOWED
            try:
                with self._directories.use(level.directory) as fd:
                    found = self._fs.stat(name, dir_fd=fd)
            except OSError as error:
                self._lose(asked, path, _cause(error))
                return
        if stat.S_ISDIR(found.mode):
            handle = Found(level.directory, name, found, b"")
            self._above.append(Item(path, token_of(found, b""), 0, handle))
            self._enter(level, name, found, asked, whole=False)
        else:
            self._lose(asked, path, "does not exist")

    def _enter(
        self, level: _Level, name: bytes, found: Stat, asked: Wanted, *, whole: bool = True
    ) -> None:
        """Let the walk go on in a directory, unless nothing in it is wanted."""
        path = self._prefix + name.removesuffix(_FOLLOWED)
        if whole and not asked.whole and self._is_elsewhere(level, found):
            self.excluded.mount_points += 1
            whole = False
        if not whole and not asked.below:
            return
        if len(path) + 1 + _LONGEST_NAME > MAX_PATH:
            self._report(Problem(path, "what is in it is not saved: its path is too long"))
            return
        rules = self._root_rules(path) if asked.whole else level.rules
        listed = Listed([], rules, complete=False)
        try:
            flags = _READ if whole else _PASS
            directory = self._directories.enter(level.directory, name, flags=flags)
            if whole:
                had_links = found.links > 0
                listed = self._listing.names(
                    directory, path, rules, is_root=asked.whole, had_links=had_links
                )
        except OSError as error:
            if whole:
                self._report(
                    Problem(path, f"what is in it is not saved: {_cause(error, VANISHED)}")
                )
                self._enter(level, name, found, asked, whole=False)
            else:
                self._lose(asked, path, _cause(error))
            return
        if directory.identity in self._inside:
            self._report(Problem(path, "what is in it is not saved: it contains itself"))
            return
        device = directory.identity[0] if asked.whole else level.device
        self._go_into(_Level(directory, device, asked), listed, path)

    def _go_into(self, level: _Level, listed: Listed, path: bytes) -> None:
        level.whole = listed.complete
        level.rules = listed.rules
        level.cut = len(self._prefix)
        asked = level.asked.below
        names = sorted({*listed.names, *asked} if asked else listed.names)
        level.entries = self._listing.look_at(level.directory, names, self._lose_name)
        self._prefix = path + b"/" if path else b""
        self._inside.add(level.directory.identity)
        self._stack.append(level)

    def _is_elsewhere(self, level: _Level, found: Stat) -> bool:
        return self._options.one_file_system and found.device != level.device

    def _root_rules(self, root: bytes) -> Rules:
        options = self._options
        return rules_for_root(options.exclude, options.larger_than, self.excluded, root)

    def _add(self, level: _Level, name: bytes, found: Stat) -> None:
        path = self._prefix + name
        is_directory = stat.S_ISDIR(found.mode)
        link = b"" if is_directory or found.links < 2 else self._first_name(found, path)  # noqa: PLR2004
        size = found.size if stat.S_ISREG(found.mode) else 0
        handle = Found(level.directory, name, found, link)
        self._batch.append(Item(path, token_of(found, link), size, handle))

    def _first_name(self, found: Stat, path: bytes) -> bytes:
        """Return the path under which this inode was met first, which may be this one."""
        key = (found.device, found.inode)
        first, left = self._links.get(key, (path, found.links))
        if left > 1:
            self._links[key] = (first, left - 1)
        else:
            self._links.pop(key, None)
        return first

    def _lose_name(self, name: bytes, error: OSError) -> None:
        path = self._prefix + name
        asked = self._stack[-1].asked.below.get(name)
        if asked is None:
            self._report(Problem(path, _cause(error, VANISHED)))
            return
        if asked.whole:
            self._report(Problem(path, _cause(error)))
        self._lose(asked, path, _cause(error))

    def _lose(self, asked: Wanted, path: bytes, cause: str) -> None:
        """Report every root below ``path``."""
        for root in roots_below(asked, path):
            self._report(Problem(root, cause))


def _cause(error: OSError, missing: str = "does not exist") -> str:
    return missing if error.errno in _MISSING else cause_of(error)
