"""Recover a cluster: find out what is there, plan, decide, carry out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.app.recovery_place import (
    data_directory,
    refuse_place,
    server_programs,
    tablespace_places,
)
from strongroom.app.recovery_tools import Hands, read_one
from strongroom.app.recovery_wal import RecoveryWal, recovery_wal
from strongroom.clock import rfc3339
from strongroom.config.moments import parse_moment
from strongroom.config.postgres import PostgresSettings
from strongroom.errors import (
    MissingObjectError,
    NotFoundError,
    RefusedError,
    StrongroomError,
    UsageError,
)
from strongroom.model.events import PhaseBegan
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations import listing
from strongroom.operations.clusters import BaseBackup, base_backups
from strongroom.operations.recover import Recovery
from strongroom.operations.recovery import (
    RecoveryPlan,
    RecoveryReport,
    SpacePlan,
    refuse_running,
)
from strongroom.operations.recovery_plan import (
    Candidate,
    RecoveryTarget,
    TargetKind,
    Way,
    find_way,
)
from strongroom.operations.restore_plan import restore_totals
from strongroom.postgres.cluster import ClusterRecord, cluster_path, decoded
from strongroom.postgres.names import RECORD
from strongroom.postgres.programs import Programs
from strongroom.postgres.wal.names import parse_lsn
from strongroom.repository.reader import Reader
from strongroom.repository.repository import History
from strongroom.restore.cluster.place import is_half_done, settle
from strongroom.restore.cluster.present import Present, look, running

_DEFAULT_PORT: Final = 5432
_SECOND: Final = 1_000_000_000
__all__ = ["RecoverRequest", "RecoveryPlan", "RecoveryReport", "TargetKind", "recover"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverRequest:
    """What the command line says; ``into`` and ``snapshot`` are empty where nothing was said."""

    source: str
    kind: TargetKind
    text: str = ""
    exclusive: bool = False
    timeline: int | None = None
    snapshot: str = ""
    into: str = ""
    port: int | None = None
    pause: bool = False


def recover(
    run: Run, request: RecoverRequest, decide: Callable[[RecoveryPlan], bool], *, dry_run: bool
) -> RecoveryReport | None:
    """Plan, let ``decide`` see the plan, and recover if it says so; None if it does not.

    What cannot be reached, and a place that is in use, is refused before anything is changed.
    """
    settings = _settings(run, request.source)
    with opened_repository(run) as opened:
        reader = opened.repository.reader()
        work = _Work(run, request, settings, opened, reader)
        plan = work.plan(may_tidy=not dry_run)
        if not decide(plan):
            return None
        return work.carry_out(plan)


def _settings(run: Run, name: str) -> PostgresSettings:
    known = {one.name: one for one in run.settings.databases.values() if one.physical}
    if name not in known:
        raise UsageError(
            f"no source of base backups is called '{name}' (known: {', '.join(known) or 'none'})",
            hint='Describe it in strongroom.toml: type = "postgres", physical = true.',
        )
    return known[name]


def target_of(request: RecoverRequest, now_ns: int) -> RecoveryTarget:
    """Read a target; ``UsageError`` if it means nothing."""
    text, value = request.text, 0
    if request.kind is TargetKind.TIME:
        value = parse_moment(text, "--to-time", now_ns)
    elif request.kind is TargetKind.LSN:
        lsn = parse_lsn(text)
        if lsn is None:
            raise UsageError(f"--to-lsn {text!r} is no LSN", hint="It looks like 0/3000148.")
        value = lsn
    elif request.kind is TargetKind.XID and not (text.isascii() and text.isdigit()):
        raise UsageError(f"--to-xid {text!r} is no transaction id", hint="It is a number.")
    return RecoveryTarget(request.kind, text, value, request.exclusive, request.timeline)


class _Work:
    """One recovery: what is known of it, and what it works with."""

    def __init__(
        self,
        run: Run,
        request: RecoverRequest,
        settings: PostgresSettings,
        opened: Opened,
        reader: Reader,
    ) -> None:
        self._run = run
        self._request = request
        self._settings = settings
        self._opened = opened
        self._reader = reader
        self._chosen: BaseBackup | None = None
        self._programs: Programs | None = None
        self._wal: RecoveryWal | None = None
        self._history: History | None = None

    # -- planning

    def plan(self, *, may_tidy: bool) -> RecoveryPlan:
        """Decide everything; nothing is changed but what a killed recovery left in between."""
        run, request = self._run, self._request
        run.sink(PhaseBegan("plan"))
        now_ns = run.machine.clock.now_ns()
        target = target_of(request, now_ns)
        backups = self._backups()
        newest = backups[-1] if backups else None
        place = self._place(backups, may_tidy=may_tidy)
        wal = recovery_wal(run, self._opened, newest, place)
        self._wal = wal
        by_id = {one.listed.short_id: one for one in backups}
        candidates = [Candidate(name, one.position) for name, one in by_id.items()]
        way = find_way(candidates, wal.wal, target, now_ns, named=bool(request.snapshot))
        self._chosen = by_id[way.candidate.id]
        if self._history is not None:
            listing.refuse_not_whole(self._opened.repository, self._history, self._chosen.listed)
        return self._planned(way, target, place)

    def _backups(self) -> list[BaseBackup]:
        request, repository = self._request, self._opened.repository
        listed_now = repository.list_snapshots()
        self._history = listed_now.history
        found = base_backups(listed_now.found, request.source)
        if not request.snapshot:
            newest = found[-1].position.system if found else 0
            return sorted(
                (one for one in found if one.position.system == newest),
                key=lambda one: one.position.stopped_ns,
            )
        listed = listing.named_snapshots(repository, [request.snapshot])[0]
        named = [one for one in found if one.listed.id == listed.id]
        if not named:
            raise NotFoundError(
                f"snapshot {listed.short_id} holds no base backup of '{request.source}'",
                hint="These do: " + ", ".join(one.listed.short_id for one in found) + ".",
            )
        return named

    def _place(self, backups: Sequence[BaseBackup], *, may_tidy: bool) -> Present:
        """Look at where it goes; what a killed recovery left half done is put back first."""
        request, fs = self._request, self._run.machine.fs
        path = data_directory(self._run, request.into, self._newest_record(backups))
        if may_tidy and is_half_done(path):
            refuse_running(running(path), path)
            if settle(fs, path):
                self._run.tell(f"a recovery of {path} was cut short; what was there is back")
        return look(path)

    def _newest_record(self, backups: Sequence[BaseBackup]) -> ClusterRecord | None:
        """Return the record of the newest backup of which it is there; None if it is of none.

        The one that is chosen later is refused then, in words that say what it lacks.
        """
        for one in reversed(backups):
            with suppress(MissingObjectError):
                return self._record(one.listed)
        return None

    def _planned(self, way: Way, target: RecoveryTarget, present: Present) -> RecoveryPlan:
        run, request, wal = self._run, self._request, self._wal
        if self._chosen is None or wal is None:
            raise StrongroomError("nothing was chosen")
        listed = self._chosen.listed
        record = self._record(listed)
        side = bool(request.into)
        refuse_place(present, record, side=side)
        self._programs = server_programs(run, self._settings, record)
        places = tablespace_places(present, record, side=side)
        stamp = _stamp(run.machine.clock.now_ns(), [present.path, *places.values()])
        space, free = self._room(
            listed,
            {b"data": present.path}
            | {b"tablespaces/%d" % oid: place for oid, place in places.items()},
        )
        config, warnings = _outside(record, side=side)
        return RecoveryPlan(
            source=request.source,
            snapshot=listed.short_id,
            record=record,
            way=way,
            target=target,
            pause=request.pause,
            side=side,
            port=request.port or self._settings.port or _DEFAULT_PORT,
            present=present,
            spaces=tuple(SpacePlan(oid, place) for oid, place in places.items()),
            aside=f"{present.path}.before-recover-{stamp}" if present.in_use else "",
            stamp=stamp,
            salvage=tuple(wal.salvage),
            restore_command=wal.command,
            config_file=config,
            programs=f"{self._programs.folder} ({self._programs.version})",
            size=self._chosen.source.counts.bytes,
            space=space,
            free=free,
            warnings=(*warnings, *wal.warnings, *_damaged_pages(record)),
        )

    def _room(self, listed: ListedSnapshot, places: Mapping[bytes, Path]) -> tuple[int, int]:
        """Return what it takes, and what is free where the data directory goes.

        ``RefusedError`` if a disk has not enough: what is there stays, so all of it comes on top.
        """
        needed: dict[int, int] = {}
        # a data directory takes the place of another one, a tablespace goes into its folder
        above = {
            top: _existing(place.parent if top == b"data" else place)
            for top, place in places.items()
        }
        for top, place in above.items():
            space = restore_totals(self._reader, listed, self._top + b"/" + top, None).space
            device = place.stat().st_dev
            needed[device] = needed.get(device, 0) + space
        for place in above.values():
            free = _free(place)
            if needed[place.stat().st_dev] > free:
                raise RefusedError(
                    f"the disk of {place} has {free:,} bytes free, and this needs "
                    f"{needed[place.stat().st_dev]:,}",
                    hint="What is there is kept, so there must be room for both; or --into a disk "
                    "that has it.",
                )
        return sum(needed.values()), _free(above[b"data"])

    @property
    def _top(self) -> bytes:
        return cluster_path(self._request.source).encode()

    def _record(self, listed: ListedSnapshot) -> ClusterRecord:
        path = self._top + b"/" + RECORD.encode()
        return decoded(read_one(self._opened, listed, path))

    def carry_out(self, plan: RecoveryPlan) -> RecoveryReport:
        """Recover as planned; ``RolledBackError`` if that failed."""
        if self._chosen is None or self._programs is None:
            raise StrongroomError("nothing was planned")
        hands = Hands(self._run, self._opened, self._reader, plan, self._chosen, self._programs)
        hands.probe()
        return Recovery(plan, hands.tools()).run()


def _outside(record: ClusterRecord, *, side: bool) -> tuple[str, list[str]]:
    """Return a configuration file outside of the data directory, and what to say about it."""
    config = record.outside.get("config_file", "")
    if not config:
        return "", []
    if side:
        return "", [f"{config} is no part of the base backup; {_BARE}"]
    if not Path(config).is_file():
        raise RefusedError(
            f"the configuration {config} is no part of a base backup, and is not here",
            hint="Restore it first, from a source of files or by hand; or recover --into FOLDER.",
        )
    return config, [f"the configuration {config} is used as it is here"]


_BARE: Final = "the side instance gets only the settings that it needs"


def _damaged_pages(record: ClusterRecord) -> list[str]:
    return [
        f"the server found damaged pages when it made this backup: {one}"
        for one in record.checksum_failures
    ]


def _existing(path: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    place = path
    while not place.exists():
        place = place.parent
    return place


def _free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def _stamp(now_ns: int, places: Sequence[Path]) -> str:
    """Return a time for names: a second in which nothing else there was named so."""
    second = now_ns // _SECOND
    while True:
        stamp = rfc3339(second * _SECOND)[:19].replace("-", "").replace(":", "") + "Z"
        folders = {folder for place in places for folder in (place, place.parent)}
        if not any(stamp in path.name for one in folders if one.is_dir() for path in one.iterdir()):
            return stamp
        second += 1
