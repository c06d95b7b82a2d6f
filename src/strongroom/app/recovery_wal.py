"""The WAL that a recovery can read: of the base backup, the archive, the old data directory."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from strongroom.app.asof import is_past, past_moment
from strongroom.app.machine import Run
from strongroom.app.opening import Opened
from strongroom.config.places import SecretKind, variables_of
from strongroom.errors import RefusedError, StrongroomError
from strongroom.model.spawn import Account
from strongroom.operations.clusters import BaseBackup
from strongroom.operations.recovery import WAL_AHEAD, RecoveryPlan
from strongroom.operations.recovery_plan import Wal
from strongroom.postgres.cluster import Position
from strongroom.postgres.wal.names import WalKind, WalName, parse_name, segment_name
from strongroom.postgres.wal.pages import Cluster
from strongroom.postgres.wal.ranges import WalExtent
from strongroom.repository.wal import StoredWal, archive_of
from strongroom.repository.walgaps import WalGaps
from strongroom.restore.cluster.present import Present, segments_in

_NO_ARCHIVE: Final = "false"  # nothing is there: PostgreSQL looks into pg_wal by itself
_ABSENT: Final = 44  # no code that a shell or a Python that does not start ends with
_TAKEN: Final = f'if mv -f {WAL_AHEAD}/%f "%p" 2>/dev/null; then exit 0; fi; '
_AHEAD: Final = f"--ahead {WAL_AHEAD} "
_COMMAND: Final = (
    f"{_TAKEN}{{program}} wal fetch --absent-code {{absent}} --system-id {{system}} {{past}}"
    f'{_AHEAD}"%f" "%p"; case $? in 0) exit 0;; {{absent}}) exit 1;; *) exit 200;; esac'
)
_ENV: Final = "/usr/bin/env"
_PROBE_SECONDS: Final = 300.0
_SECRETS: Final = {
    SecretKind.PASSPHRASE_FILE: "--passphrase-file",
    SecretKind.PASSPHRASE_COMMAND: "--passphrase-command",
    SecretKind.KEY_FILE: "--key-file",
}


@dataclass(slots=True)
class RecoveryWal:
    """What there is. ``salvage``: what only the old data directory has; ``stored``: the archive.

    ``moment``: as of when the archive is read; empty is now.
    """

    wal: Wal
    system: int
    stored: Sequence[StoredWal]
    salvage: list[str]
    program: str
    moment: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        """What the server fetches WAL with.

        To PostgreSQL every code up to 125 is the end of all WAL, and it promotes; so only the one
        that says that a file is proven absent becomes 1, and whatever else goes wrong stops it.
        What an earlier command fetched ahead is taken without starting the program.
        """
        if not self.stored:
            return _NO_ARCHIVE
        past = f"--as-of {self.moment} " if self.moment else ""
        return _COMMAND.format(program=self.program, absent=_ABSENT, system=self.system, past=past)


def recovery_wal(
    run: Run, opened: Opened, newest: BaseBackup | None, present: Present
) -> RecoveryWal:
    """Find out what WAL there is for the cluster of the newest base backup."""
    system = newest.position.system if newest is not None else 0
    archive = archive_of(opened.repository)
    stored = archive.files(system) if system else []
    histories = archive.histories(stored)
    names = {one.name for one in stored}
    old = segments_in(present.wal, system) if present.system == system else []
    times = _times(stored)
    never = [one.missing for one in WalGaps(opened.repository).of(system)] if system else []
    extents: dict[Position, WalExtent] = {}

    def extent_of(position: Position) -> WalExtent:
        if position not in extents:
            all_of_it = [*names, *old, *own_segments(position)]
            extents[position] = WalExtent(all_of_it, position.segment_size, histories, never)
        return extents[position]

    def stored_ns(timeline: int, number: int) -> int | None:
        if newest is None:
            return None
        name = segment_name(timeline, number, newest.position.segment_size)
        return None if name in old and name not in names else times.get(name)

    return RecoveryWal(
        Wal(extent_of, stored_ns),
        system,
        stored,
        [one.text for one in old if one not in names],
        shlex.join(own_program(run)),
        past_moment(run),
    )


def own_segments(position: Position) -> list[WalName]:
    """Return the segments that a base backup carries."""
    if not position.standalone:
        return []
    numbers = range(position.first_segment, position.last_segment + 1)
    return [segment_name(position.timeline, one, position.segment_size) for one in numbers]


def probe(
    run: Run,
    plan: RecoveryPlan,
    account: Account | None,
    environment: Mapping[str, str],
    to: Path,
) -> None:
    """Fetch one segment as the server will; ``RefusedError`` if that does not work.

    ``to``: a folder that the server's user may write.
    """
    if plan.restore_command == _NO_ARCHIVE:
        return
    first = plan.way.names()[0]
    command = plan.restore_command.replace(_TAKEN, "").replace(_AHEAD, "")
    command = command.replace("%f", first).replace("%p", str(to / "probe"))
    try:
        done = run.machine.spawn.run(
            ["/bin/sh", "-c", command],
            seconds=_PROBE_SECONDS,
            environment=environment,
            account=account,
        )
    except OSError as error:
        raise RefusedError(f"the server could not fetch WAL: {error}") from error
    if done.code not in {0, 1}:
        said = " ".join(done.errors.decode("utf-8", "replace").split())[-600:]
        raise RefusedError(
            f"the server could not fetch WAL as its user: {said}",
            hint="It runs: " + plan.restore_command,
        )


@dataclass(frozen=True, slots=True)
class Salvage:
    """Archives WAL that only the old data directory has, if there is an archive.

    ``account``: whom the server runs as. What root puts into a folder the server could not read, so
    what it can archive it archives as that user.
    """

    run: Run
    opened: Opened
    plan: RecoveryPlan
    program: str
    account: Account | None
    environment: Mapping[str, str]

    def keep(self, names: Sequence[str], folder: Path) -> None:
        """Archive them, and say what became of them. The last one is not full."""
        kept = f"they stay in {self.plan.aside}/pg_wal too"
        if self.plan.restore_command == _NO_ARCHIVE or is_past(self.run):
            self.run.tell(f"WAL of the old data directory is read ({len(names)}); {kept}")
            return
        parsed = [name for name in map(parse_name, names) if name is not None]
        last = max(parsed, key=lambda one: (one.timeline, one.log, one.part), default=None)
        for name in parsed:
            path = folder / name.text
            if self.account is not None:
                if name != last:
                    self._push(path)
            elif name == last:
                self._put(name._replace(kind=WalKind.PARTIAL), path)
            else:
                self._put(name, path)
        self.run.tell(f"WAL that was not archived is read too ({len(names)}); {kept}")

    def _put(self, name: WalName, path: Path) -> None:
        cluster = Cluster(int(self.plan.record.system_id), self.plan.record.segment_size)
        try:
            archive_of(self.opened.repository).put(cluster, name, path.read_bytes())
        except StrongroomError as error:
            self.run.warn(f"{name.text} is not archived: {error.message}")

    def _push(self, path: Path) -> None:
        command = [*shlex.split(self.program), "wal", "push", "--source", self.plan.source]
        try:
            done = self.run.machine.spawn.run(
                [*command, str(path)],
                seconds=_PROBE_SECONDS,
                environment=self.environment,
                account=self.account,
            )
        except OSError as error:
            self.run.warn(f"{path.name} is not archived: {error}")
            return
        if done.code != 0:
            said = " ".join(done.errors.decode("utf-8", "replace").split())[-600:]
            self.run.warn(f"{path.name} is not archived: {said}")


def own_program(run: Run) -> list[str]:
    """Return how this program is run, with the repository and key of this run.

    Whoever runs it has other variables; those that decided where the repository is are said.
    """
    settings = run.settings
    words = [sys.executable, "-m", "strongroom.cli.entry"]
    if settings.config_file is not None:
        words += ["--config", str(settings.config_file)]
    place = settings.place
    told = variables_of(place) if place is not None else {}
    if told:
        words = [_ENV, *(f"{name}={text}" for name, text in told.items()), *words]
    elif place is not None:
        words += ["-r", place.name or _url(place.url, place.folder)]
    if any(one.kind not in _SECRETS for one in settings.secrets):
        return words  # what AWS keeps or unwraps only the configuration names
    for secret in settings.secrets:
        words += [_SECRETS[secret.kind], secret.setting.value]
    return words


def _url(url: str, folder: Path) -> str:
    return url if "://" in url else str(folder / url)


def _times(stored: Sequence[StoredWal]) -> dict[WalName, int]:
    return {one.name: one.stored_ns for one in stored if one.stored_ns is not None}
