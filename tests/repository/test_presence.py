"""Who is at work on this host: held, let go of, killed, and where nothing can be known."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from strongroom.repository.presence import FilePresence, Unknown
from strongroom.system.posix import PosixFs
from tests.support.faulty_fs import FsFault, faulty_fs

pytestmark = pytest.mark.spec("B4")

SESSION = bytes(range(16))


def presence(folder: Path) -> FilePresence:
    """Return the presence in a folder that need not be there."""
    return FilePresence(PosixFs(), os.fsencode(folder / "state" / "sessions"))


def test_who_holds_is_at_work(tmp_path: Path) -> None:
    """Held it is not dead; let go of, nothing is left, and nobody says that it is dead."""
    here, other = presence(tmp_path), presence(tmp_path)
    assert not other.is_dead(SESSION)
    held = here.hold(SESSION)
    assert not other.is_dead(SESSION)
    held.let_go()
    held.let_go()
    assert not other.is_dead(SESSION)
    assert list(tmp_path.rglob("sessions/*")) == []


def test_who_was_killed_is_dead(tmp_path: Path) -> None:
    """A process that held a session is killed: it is dead then, until the session is forgotten."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - in the child
        presence(tmp_path).hold(SESSION)
        os.write(writes, b"!")
        signal.pause()
    os.read(reads, 1)
    os.close(reads)
    os.close(writes)
    here = presence(tmp_path)
    assert not here.is_dead(SESSION)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert here.is_dead(SESSION)
    assert here.is_dead(SESSION)
    here.forget(SESSION)
    here.forget(SESSION)
    assert not here.is_dead(SESSION)


@pytest.mark.parametrize("call", ["mkdir", "create", "try_lock"])
def test_where_nothing_can_be_held_nobody_is_dead(tmp_path: Path, call: str) -> None:
    """A folder that cannot be used, or a file system without locks: a session goes on, and a
    collector knows nothing of it, also afterwards.
    """
    fault = FsFault("error", calls=frozenset({call}), number=errno.ENOLCK, times=99)
    fs, _ = faulty_fs(PosixFs(), fault)
    held = FilePresence(fs, os.fsencode(tmp_path / "a" / "b")).hold(SESSION)
    assert not FilePresence(PosixFs(), os.fsencode(tmp_path / "a" / "b")).is_dead(SESSION)
    held.let_go()
    assert not FilePresence(PosixFs(), os.fsencode(tmp_path / "a" / "b")).is_dead(SESSION)


def test_nobody_is_known() -> None:
    """Without a folder nobody is ever dead."""
    unknown = Unknown()
    unknown.hold(SESSION).let_go()
    assert not unknown.is_dead(SESSION)
    unknown.forget(SESSION)
