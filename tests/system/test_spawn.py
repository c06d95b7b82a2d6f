"""Programs that are attended end, whatever struck while somebody waited for them."""

from __future__ import annotations

import os
from pathlib import Path

from strongroom.system.spawn import AttendedChild


def test_a_lock_that_an_interruption_left_keeps_nobody() -> None:
    """``subprocess`` never gives back its lock if a signal strikes as it takes it: the program
    is ended all the same, and we go on.
    """
    child = AttendedChild(["sleep", "300"], dict(os.environ))
    process = child._process
    assert process._waitpid_lock.acquire(blocking=False)  # type: ignore[attr-defined]
    child.kill()
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    assert state == "Z", "it has ended, and waits to be buried"
    process._waitpid_lock.release()  # type: ignore[attr-defined]
    process.wait(5)


def test_a_program_that_is_killed_is_gone() -> None:
    """It is waited for, and nothing of it is left."""
    child = AttendedChild(["sleep", "300"], dict(os.environ))
    child.kill()
    assert not Path(f"/proc/{child._process.pid}").exists()
    child.kill()  # once more, which is nothing
