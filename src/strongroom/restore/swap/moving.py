"""The steps of a swap, forwards and backwards; each looks where things are before it moves one.

Forwards: everything that changes or goes is moved to ``undo/``; that is made durable; then what is
staged takes its place; then directories get their attributes. Backwards is the same in the mirror.
Between the two halves nothing depends on the order in which a disk writes renames down.

For a path P of ``puts``: ``staged/P`` is missing exactly when P has come; otherwise ``undo/P`` is
there exactly when what was at P has gone, and P is free. For one of ``takes``, ``undo/P`` is
there exactly when it has gone. No step deletes or replaces anything: where something stands that
nobody foresaw, it is put aside to ``meanwhile/``.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Final, NamedTuple

from strongroom.errors import RefusedError
from strongroom.restore.files.shortfalls import Shortfalls
from strongroom.restore.swap.dress import Dress, open_up, put_on
from strongroom.restore.swap.ground import MEANWHILE, Ground, Root, shown
from strongroom.restore.swap.journal import Journal
from strongroom.system.causes import cause_of

_MOST_TRIES: Final = 3


class Progress(NamedTuple):
    """How many of the ``steps`` are ``done``; ``begun``: something has moved."""

    done: int
    steps: int
    begun: bool


class Aside(NamedTuple):
    """Something that stood where something else had to go, and where it is now."""

    path: bytes
    now: str


class Moving:
    """Carries out one journal. ``at``: the path that it is busy with."""

    def __init__(self, ground: Ground, journal: Journal) -> None:
        self._ground = ground
        self._journal = journal
        self.at = b""
        self.aside: list[Aside] = []
        self.shortfalls = Shortfalls()

    @property
    def place(self) -> str:
        """Where it is at work, for people."""
        return self._ground.target.where(self.at)

    def progress(self) -> Progress:
        """Look how far the swap is; OSError."""
        staged, undo = self._ground.staged, self._ground.undo
        puts, takes = self._journal.puts, self._journal.takes
        come = sum(staged.look(path) is None for path in puts)
        gone = sum(undo.look(path) is not None for path in takes)
        begun = bool(come or gone) or any(undo.look(path) is not None for path in puts)
        return Progress(come + gone, len(puts) + len(takes), begun)

    def prepare(self) -> None:
        """Make what room the steps need in the work folder, while nothing has changed; OSError."""
        self._ground.undo.make_itself()
        for path in self._going():
            self.at = path
            if self._ground.target.look(path) is not None:
                self._ground.undo.make_way(path)

    def forward(self) -> None:
        """Bring the swap to its end from wherever it is; OSError, ``RefusedError``."""
        ground = self._ground
        self._open_up()
        for path in self._journal.puts:
            self.at = path
            if ground.staged.look(path) is not None and ground.undo.look(path) is None:
                self._move_away(path)
        for path in self._journal.takes:
            self.at = path
            if ground.undo.look(path) is None:
                self._move_away(path)
        ground.sync()
        for path in self._journal.puts:
            self.at = path
            self._put_in(path)
        journal = self._journal
        leaving = ((one.path, one.dress) for one in journal.leaving)
        self._dress(ground.undo, leaving, is_asked=False)
        self._dress(ground.target, ((one.path, one.dress) for one in journal.coming))
        self._dress(ground.target, ((one.path, one.after) for one in journal.kept))
        ground.sync()

    def backward(self) -> None:
        """Bring everything back to where it was from wherever it is; OSError."""
        ground = self._ground
        self._open_up()
        for path in reversed(self._journal.puts):
            self.at = path
            if ground.staged.look(path) is None and ground.target.look(path) is not None:
                self._move(path, ground.target, ground.staged)
        ground.sync()
        for path in self._going():
            self.at = path
            if ground.undo.look(path) is not None:
                self._move(path, ground.undo, ground.target)
        leaving = ((one.path, one.dress) for one in self._journal.leaving)
        self._dress(ground.target, leaving, is_asked=False)
        kept = ((one.path, one.before) for one in self._journal.kept)
        self._dress(ground.target, kept, is_asked=False)
        ground.sync()

    def _going(self) -> Iterable[bytes]:
        yield from self._journal.takes
        yield from self._journal.puts

    def _open_up(self) -> None:
        """Let names in the directories be changed; their modes are set when all is done."""
        ground = self._ground
        for kept in self._journal.kept:
            self._open(kept.path, (ground.target, ground.staged))
        for coming in self._journal.coming:
            self._open(coming.path, (ground.staged, ground.target))
        for leaving in self._journal.leaving:
            self._open(leaving.path, (ground.target, ground.undo))

    def _open(self, path: bytes, roots: tuple[Root, Root]) -> None:
        self.at = path
        for root in roots:
            found = root.look(path)
            if found is not None:
                with root.at(path) as (dir_fd, name):
                    open_up(self._ground.fs, dir_fd, name)

    def _move_away(self, path: bytes) -> None:
        if self._ground.target.look(path) is not None:
            self._move(path, self._ground.target, self._ground.undo)

    def _put_in(self, path: bytes) -> None:
        ground = self._ground
        if ground.staged.look(path) is not None:
            self._move(path, ground.staged, ground.target)
        elif ground.target.look(path) is None:
            raise RefusedError(
                f"{shown(path)!r} is neither in {ground.target.where()} nor in "
                f"{ground.staged.where()}: somebody has moved it"
            )

    def _move(self, path: bytes, old: Root, new: Root) -> None:
        """Move something; what stands in its way meanwhile is put aside."""
        new.make_way(path)
        for _ in range(_MOST_TRIES):
            try:
                self._ground.move(path, old, new)
            except FileExistsError:
                self._put_aside(path, new)
            else:
                return
        self._ground.move(path, old, new)

    def _put_aside(self, path: bytes, root: Root) -> None:
        for number in count(1):
            folder = MEANWHILE if number == 1 else b"%s-%d" % (MEANWHILE, number)
            aside = self._ground.folder(folder)
            aside.make_way(path)
            try:
                self._ground.move(path, root, aside)
            except FileExistsError:
                continue
            except FileNotFoundError:
                return  # it went by itself
            self.aside.append(Aside(path, aside.where(path)))
            return

    def _dress(
        self, root: Root, wanted: Iterable[tuple[bytes, Dress]], *, is_asked: bool = True
    ) -> None:
        """Give directories their attributes, the deepest first.

        Unless ``is_asked``, one that somebody else has taken away is only told of.
        """
        for path, dress in reversed(list(wanted)):
            self.at = path
            try:
                with root.at(path) as (dir_fd, name):
                    for what, reason in put_on(self._ground.fs, dir_fd, name, dress):
                        self.shortfalls.add(what, path, reason)
            except (FileNotFoundError, NotADirectoryError) as error:
                if is_asked:
                    raise
                self.shortfalls.add("attributes", path, cause_of(error))
