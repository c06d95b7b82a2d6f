"""A project before and after a swap: made twice by plain calls, so that each can be compared."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.model.entry import Entry, EntryKind, sort_key
from strongroom.model.fs import Fs
from strongroom.restore.swap.plan import Removal, SwapPlan
from strongroom.restore.swap.swapping import plan
from strongroom.system.posix import PosixFs
from tests.support.compare_trees import Seen, describe
from tests.support.entries import thing

WORK: Final = "backup/.restore-1"
_KINDS: Final = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.DIRECTORY,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFIFO: EntryKind.FIFO,
}


class QuickFs(PosixFs):
    """A disk that makes nothing durable, so that a test does not wait for one."""

    def fsync(self, fd: int) -> None:
        os.fstat(fd)

    def syncfs(self, fd: int) -> None:
        os.fstat(fd)


@dataclass(frozen=True)
class Scene:
    """A project, what it was, and what it is to be.

    ``loose``: directories that nobody wanted anything of; a change in one gives it another time.
    """

    project: Path
    before: dict[bytes, Seen]
    after: dict[bytes, Seen]
    entries: list[Entry]
    removal: Removal | None
    loose: frozenset[bytes]

    @property
    def target(self) -> bytes:
        return os.fsencode(self.project)

    @property
    def work(self) -> bytes:
        return os.fsencode(self.project / WORK)

    def plan(self, fs: Fs | None = None) -> SwapPlan:
        """Plan the swap."""
        return plan(fs or QuickFs(), self.target, self.work, self.entries, self.removal)

    def now(self) -> dict[bytes, Seen]:
        """Describe the project without the work folder."""
        return project_of(self.project)

    def is_before(self) -> None:
        """Everything is as it was."""
        assert self.now() == self.before

    def is_after(self) -> None:
        """Everything is as wanted."""
        now = self.now()
        for path in self.loose:
            now[path] = timeless(now[path])
        assert now == self.after


def timeless(seen: Seen) -> Seen:
    """Leave the time out of a comparison."""
    return Seen(**{**seen.__dict__, "mtime_ns": 0})


def project_of(project: Path) -> dict[bytes, Seen]:
    """Describe a project without the work folder."""
    work = WORK.encode()
    return {
        path: one
        for path, one in describe(project).items()
        if path != work and not path.startswith(work + b"/")
    }


def entries_of(top: Path) -> list[Entry]:
    """Return an entry for everything below a folder, in the order of a tree."""
    found = []
    for folder, folders, files in os.walk(os.fsencode(top)):
        for name in folders + files:
            path = os.path.relpath(os.path.join(folder, name), os.fsencode(top))  # noqa: PTH118
            kind = _KINDS[stat.S_IFMT(os.lstat(os.path.join(folder, name)).st_mode)]  # noqa: PTH118
            found.append(thing(path, kind))
    return sorted(found, key=lambda entry: sort_key(entry.path))


def make_work(project: Path) -> Path:
    """Make an empty work folder in a project; return where things are staged."""
    (project / WORK / "staged").mkdir(parents=True, mode=0o700)
    return project / WORK / "staged"


Make = Callable[[Path], None]


@dataclass(frozen=True)
class Plot:
    """How to make a scene: the project before, what is wanted, and what stays besides.

    ``rest`` makes what is neither wanted nor goes.
    """

    before: Make
    wanted: Make
    rest: Make
    removal: Removal | None = None
    loose: frozenset[bytes] = frozenset({b""})


def set_scene(plot: Plot, top: Path) -> Scene:
    """Make a project in a new folder."""
    with suppress(FileNotFoundError):
        shutil.rmtree(top)
    top.mkdir()
    project, wished = top / "project", top / "wished"
    project.mkdir(mode=0o750)
    plot.rest(project)
    plot.before(project)
    staged = make_work(project)
    plot.wanted(staged)
    settle(project, "backup")
    wished.mkdir(mode=0o750)
    plot.rest(wished)
    plot.wanted(wished)
    (wished / "backup").mkdir(exist_ok=True)
    settle(wished, "backup")
    settle(top, "project", "wished", mode=0o750)
    after = describe(wished)
    for path in plot.loose:
        after[path] = timeless(after[path])
    return Scene(project, project_of(project), after, entries_of(staged), plot.removal, plot.loose)


def write(path: Path, data: str, when: int = 1_000, mode: int = 0o644) -> None:
    """Make a file with a time in seconds."""
    path.write_text(data)
    path.chmod(mode)
    os.utime(path, ns=(when * 10**9 + 7, when * 10**9 + 7))


def link(path: Path, target: str, when: int = 1_000) -> None:
    """Make a symbolic link with a time in seconds."""
    path.symlink_to(target)
    os.utime(path, ns=(when * 10**9, when * 10**9), follow_symlinks=False)


def settle(top: Path, *names: str, when: int = 5_000, mode: int = 0o755) -> None:
    """Give directories a mode, and a time in seconds."""
    for name in names:
        (top / name).chmod(mode)
        os.utime(top / name, ns=(when * 10**9 + 3, when * 10**9 + 3))
