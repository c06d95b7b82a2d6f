"""A server in recovery: started on a socket of its own, followed by its log, asked, and stopped.

PostgreSQL refuses to run as root, so root starts it as the owner of the data directory.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.clock import Clock
from strongroom.errors import RestoreError, StrongroomError
from strongroom.model.spawn import Account, Finished, Spawn
from strongroom.restore.cluster.present import running

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 120.0
_NORMAL_SECONDS: Final = 600.0
_PAUSE: Final = 0.1
_TO_APPEAR: Final = 10.0  # seconds until a server has written its postmaster.pid
_JUST_NOW: Final = 2.0
_TOLD: Final = 600
_LEVELS: Final = re.compile(r"(?:^|: |\] )(FATAL|PANIC|HINT|DETAIL|LOG|ERROR|WARNING): +(.*)")
_CONSISTENT: Final = "consistent recovery state reached"
_STOPPING: Final = re.compile(r"recovery stopping (?:before|after) .*")
_LAST: Final = re.compile(r"last completed transaction was at log time (.*)")
_PAUSED: Final = "pausing at the end of recovery"
_READY: Final = "database system is ready to accept connections"
_COMPLETE: Final = "archive recovery complete"


class Outcome(NamedTuple):
    """What the log said of a recovery, in the server's own words."""

    consistent: str
    stopping: str
    last: str
    paused: bool


def account_of(owner: tuple[int, int]) -> Account:
    """Return an account to run programs as: with the groups of the user, if it is known."""
    uid, gid = owner
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return Account(uid, gid, (gid,), "/")
    name = user.pw_name
    groups = {one.gr_gid for one in grp.getgrall() if name in one.gr_mem}
    return Account(uid, gid, tuple(sorted({gid, *groups})), user.pw_dir)


@dataclass(frozen=True, slots=True)
class RecoveringServer:
    """A cluster that is started to recover.

    ``programs``: the folder with those of its version. ``data``: its data directory; ``log``: where
    it writes what it does. ``account``: whose processes they are; None: ours.
    """

    spawn: Spawn
    clock: Clock
    programs: Path
    data: Path
    log: Path
    account: Account | None
    environment: Mapping[str, str]

    def start(self, options: Mapping[str, str]) -> None:
        """Start it with these settings, and do not wait; ``StrongroomError``."""
        words = ["-W", "start", "-l", str(self.log)]
        if options:
            words += ["-o", self._options(options)]
        self._done(self._pg_ctl(words, _START_SECONDS), "starting")

    def start_and_wait(self, options: Mapping[str, str]) -> None:
        """Start it, and wait until it takes connections; ``StrongroomError``."""
        words = ["-w", "-t", str(int(_NORMAL_SECONDS)), "start", "-l", str(self.log)]
        if options:
            words += ["-o", self._options(options)]
        self._done(self._pg_ctl(words, _NORMAL_SECONDS + _START_SECONDS), "starting")

    def stop(self, how: str) -> None:
        """Stop it if it runs: ``fast``, or ``immediate`` if nothing of it is wanted any more.

        One that was started just now may not have said yet that it runs.
        """
        began = self.clock.elapsed()
        while running(self.data) is None and self.clock.elapsed() - began < _JUST_NOW:
            self.clock.sleep(_PAUSE)
        if running(self.data) is not None:
            words = ["-w", "-m", how, "stop"]
            self._done(self._pg_ctl(words, _STOP_SECONDS), "stopping")

    def follow(self) -> Iterator[str]:
        """Yield lines of the log as they come; ends when the server has ended, after its last."""
        began = self.clock.elapsed()
        seen = False
        rest = b""
        with self.log.open("rb") as file:
            while True:
                alive = running(self.data) is not None
                seen = seen or alive
                *lines, rest = (rest + file.read()).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in lines)
                waiting = self.clock.elapsed() - began < _TO_APPEAR
                if not alive and (seen or not waiting) and not lines:
                    return
                self.clock.sleep(_PAUSE)

    def recovered(self) -> Outcome:
        """Wait until recovery has ended or is paused; ``StrongroomError`` with what went wrong."""
        consistent = stopping = last = ""
        wrong: list[str] = []
        for line in self.follow():
            found = _LEVELS.search(line)
            text = found[2] if found else line.strip()
            if found and (found[1] in {"FATAL", "PANIC"} or (wrong and found[1] != "LOG")):
                wrong.append(text)
            consistent = text if _CONSISTENT in text else consistent
            stop, at = _STOPPING.search(text), _LAST.search(text)
            stopping = stop[0] if stop else stopping
            last = at[1] if at else last
            if _PAUSED in text or _READY in text:
                return Outcome(consistent, stopping, last, _PAUSED in text)
        why = "; ".join(wrong)[:_TOLD] or "it ended without saying why"
        raise StrongroomError(f"the server did not recover: {why}", hint=f"Its log: {self.log}")

    def _options(self, options: Mapping[str, str]) -> str:
        return " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())

    def _pg_ctl(self, words: Sequence[str], seconds: float) -> Finished:
        command = [str(self.programs / "pg_ctl"), "-D", str(self.data), *words]
        try:
            return self.spawn.run(
                command, seconds=seconds, environment=self.environment, account=self.account
            )
        except OSError as error:
            raise RestoreError(f"{command[0]} does not work: {error}") from error

    def _done(self, done: Finished, what: str) -> None:
        if done.code == 0:
            return
        said = " ".join((done.errors + done.output).decode("utf-8", "replace").split())
        tail = ""
        with suppress(OSError):
            tail = " ".join(self.log.read_text(errors="replace").splitlines()[-3:])
        raise StrongroomError(
            f"{what} the server failed: {said[:_TOLD]} {tail[:_TOLD]}".rstrip(),
            hint=f"Its log: {self.log}",
        )


def is_root() -> bool:
    """Whether we run as root."""
    return os.geteuid() == 0
