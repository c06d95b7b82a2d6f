"""Recover a cluster: restored beside its place, put there by renames, recovered and looked at.

Until the renames nothing that was there is touched; after them whatever fails is taken back.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from strongroom.clock import rfc3339
from strongroom.errors import (
    InterruptError,
    RestoreError,
    RolledBackError,
    StrongroomError,
)
from strongroom.model.events import PhaseBegan
from strongroom.operations.recovery import (
    WAL_AHEAD,
    RecoveryPlan,
    RecoveryReport,
    SpacePlan,
    Tools,
    refuse_running,
    target_settings,
)
from strongroom.operations.recovery_plan import TargetKind
from strongroom.restore.cluster.place import (
    Move,
    Swap,
    durable,
    link,
    make_new,
    staged_beside,
    write_file,
)
from strongroom.restore.cluster.present import running
from strongroom.restore.cluster.settings import (
    after_recovery,
    tablespace_map,
    with_settings,
    without,
)

AUTO: Final = "postgresql.auto.conf"
CONF: Final = "postgresql.conf"
HBA: Final = "strongroom_hba.conf"
IDENT: Final = "pg_ident.conf"
SIGNAL: Final = "recovery.signal"
CONTROL: Final = "global/pg_control"
TRUST: Final = b"# only who may enter the folder of the socket gets here\nlocal all all trust\n"
_QUIET_LOG: Final = {
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "",
    "log_min_messages": "warning",
    "lc_messages": "C",
    "hot_standby": "on",
}
_OF_THE_OTHER: Final = ("data_directory", "external_pid_file")  # of the cluster, not of a copy
_OLD_WAL: Final = re.compile(r"\.recovered-[0-9TZ]+$")


class Recovery:
    """One recovery, carried out step by step."""

    def __init__(self, plan: RecoveryPlan, tools: Tools) -> None:
        self._plan = plan
        self._tools = tools
        self._data = plan.present.path
        self._staged = staged_beside(self._data)
        self._made: list[Path] = []
        self._started = False
        log = self._data.with_name(f"{self._data.name}.recover-{plan.stamp}.log")
        self._server = tools.server(self._data, log)

    def run(self) -> RecoveryReport:
        """Recover; ``RolledBackError`` if that failed and everything is as it was."""
        began = self._tools.clock.elapsed()
        sockets = self._data if self._plan.side else self._tools.sockets()
        try:
            try:
                swap = self._stage()
                refuse_running(running(self._data), self._data)  # somebody may have started one
                swap.carry_out()
            except BaseException:
                self._discard()
                raise
            try:
                report = self._recover(sockets, began)
            except BaseException as error:
                self._roll_back(swap, error)
                raise
            swap.forget()
            for one in self._plan.spaces:
                with suppress(OSError):
                    _staged_space(one).rmdir()
            return self._put_to_work(report)
        finally:
            if not self._plan.side and not self._plan.pause:
                shutil.rmtree(sockets, ignore_errors=True)

    # -- beside its place

    def _stage(self) -> Swap:
        plan, tools = self._plan, self._tools
        top = f"cluster/{plan.source}"
        if plan.salvage:
            tools.salvage(plan.salvage, plan.present.wal)
        make_new(tools.fs, self._staged, tools.owner)
        self._made.append(self._staged)
        with durable(tools.fs, self._staged):
            moves = self._fill(top)
        if plan.present.exists and not plan.present.in_use:
            self._data.rmdir()
        aside = plan.aside if plan.present.in_use else ""
        return Swap(tools.fs, self._data, [*moves, Move(str(self._staged), str(self._data), aside)])

    def _fill(self, top: str) -> list[Move]:
        """Put all into the folder that a server is to have; how tablespaces take their places."""
        plan, tools = self._plan, self._tools
        tools.fill(f"{top}/data", self._staged, CONTROL)
        moves, links = self._stage_spaces(top)
        for oid, staged in links.items():
            link(tools.fs, self._staged / "pg_tblspc" / str(oid), staged, tools.owner)
        # last: what has none cannot be started
        write_file(
            tools.fs, self._staged / CONTROL, tools.read(f"{top}/data/{CONTROL}"), tools.owner
        )
        tools.sink(PhaseBegan("verify"))
        tools.verify(self._staged)
        for one in plan.spaces:
            link(tools.fs, self._staged / "pg_tblspc" / str(one.oid), one.place, tools.owner)
        if plan.spaces:
            places = {one.oid: str(one.place) for one in plan.spaces}
            self._write("tablespace_map", tablespace_map(places))
        self._stage_wal()
        self._configure()
        return moves

    def _stage_spaces(self, top: str) -> tuple[list[Move], dict[int, Path]]:
        """Restore the tablespaces; how they take their places, and where they are now."""
        tools, plan = self._tools, self._plan
        moves: list[Move] = []
        links: dict[int, Path] = {}
        for one in plan.spaces:
            if not one.place.exists():
                one.place.mkdir(parents=True)
                if tools.owner is not None:
                    make_new(tools.fs, one.place, tools.owner)
                if plan.side:
                    self._made.append(one.place)
            staged = _staged_space(one)
            make_new(tools.fs, staged, tools.owner)
            self._made.append(staged)
            with durable(tools.fs, staged):
                tools.fill(f"{top}/tablespaces/{one.oid}", staged, "")
            links[one.oid] = staged
            for folder in sorted(staged.iterdir()):
                place = one.place / folder.name
                aside = f"{place}.before-recover-{plan.stamp}" if place.exists() else ""
                moves.append(Move(str(folder), str(place), aside))
        return moves, links

    def _stage_wal(self) -> None:
        """Add the WAL that only the old cluster had; put it all where its WAL was before."""
        tools, old = self._tools, self._plan.present.wal
        folder = self._staged / "pg_wal"
        for name in self._plan.salvage:
            if not (folder / name).exists():
                write_file(tools.fs, folder / name, (old / name).read_bytes(), tools.owner)
        if not self._plan.present.wal_is_link or self._plan.side:
            return
        elsewhere = old.with_name(f"{_OLD_WAL.sub('', old.name)}.recovered-{self._plan.stamp}")
        make_new(tools.fs, elsewhere, tools.owner)
        self._made.append(elsewhere)
        for path in sorted(folder.rglob("*")):
            place = elsewhere / path.relative_to(folder)
            if path.is_dir():
                make_new(tools.fs, place, tools.owner)
            else:
                write_file(tools.fs, place, path.read_bytes(), tools.owner)
        shutil.rmtree(folder)
        link(tools.fs, folder, elsewhere, tools.owner)

    def _configure(self) -> None:
        settings = target_settings(self._plan)
        if self._plan.side:
            settings |= self._apart()
        old = _text(self._staged / AUTO)
        self._write(AUTO, with_settings(old, settings).encode("utf-8", "surrogateescape"))
        with suppress(FileNotFoundError):
            (self._staged / "standby.signal").unlink()
        self._write(SIGNAL, b"")

    def _apart(self) -> dict[str, str]:
        """Return what makes it an instance that nobody takes for the cluster itself."""
        plan = self._plan
        conf = self._staged / CONF
        self._write(CONF, without(_text(conf), _OF_THE_OTHER).encode())
        self._write(HBA, TRUST)
        if not (self._staged / IDENT).exists():
            self._write(IDENT, b"")
        return {
            **plan.record.settings,
            "port": str(plan.port),
            "listen_addresses": "",
            "unix_socket_directories": str(self._data),
            "unix_socket_permissions": "0700",
            "hba_file": str(self._data / HBA),
            "ident_file": str(self._data / IDENT),
            "archive_mode": "off",
            "ssl": "off",
            "logging_collector": "off",
            "synchronous_standby_names": "",
        }

    def _write(self, name: str, data: bytes) -> None:
        write_file(self._tools.fs, self._staged / name, data, self._tools.owner)

    def _discard(self) -> None:
        for path in reversed(self._made):
            shutil.rmtree(path, ignore_errors=True)

    # -- in its place

    def _recover(self, sockets: Path, began: float) -> RecoveryReport:
        plan, tools = self._plan, self._tools
        tools.sink(PhaseBegan("recover"))
        write_file(tools.fs, self._server.log, b"", tools.owner)
        self._started = True
        options = dict(_QUIET_LOG) if plan.side else self._isolated(sockets)
        if plan.way.before_hole:  # reading ahead would ask for what is missing, and fail
            options["recovery_prefetch"] = "off"
        self._server.start(options)
        outcome = self._server.recovered()
        shutil.rmtree(self._data / WAL_AHEAD, ignore_errors=True)
        said = tools.ask(str(sockets), plan.port)
        paused = bool(said["recovery"])
        if paused != plan.pause:
            raise StrongroomError("the server is in another state than it should be in")
        last_ns, lsn = said["last_ns"], int(str(said["lsn"]))
        distance = None
        if plan.target.kind is TargetKind.TIME and isinstance(last_ns, int):
            if last_ns > plan.target.value:
                raise StrongroomError(
                    f"the last transaction is of {rfc3339(last_ns)}, after {plan.target.text}"
                )
            distance = (plan.target.value - last_ns) / 1e9
        if plan.target.kind is TargetKind.LATEST and not plan.way.is_end:
            least = plan.way.last * plan.record.segment_size
            if lsn < least:
                raise StrongroomError(
                    f"the server stopped reading WAL at {said['shown']}, and there is more of it, "
                    f"to {plan.way.names()[1]}"
                )
        return RecoveryReport(
            plan,
            outcome,
            rfc3339(last_ns) if isinstance(last_ns, int) else outcome.last,
            distance,
            str(said["shown"]),
            int(str(said["timeline"])),
            paused,
            str(sockets),
            str(self._server.log),
            tools.clock.elapsed() - began,
        )

    def _isolated(self, sockets: Path) -> dict[str, str]:
        """Return what keeps everybody out while nobody knows yet whether it is good."""
        fs, owner = self._tools.fs, self._tools.owner
        write_file(fs, sockets / HBA, TRUST, owner)
        write_file(fs, sockets / IDENT, b"", owner)
        outside = {"config_file": self._plan.config_file} if self._plan.config_file else {}
        return {
            **outside,
            **_QUIET_LOG,
            "data_directory": str(self._data),
            "port": str(self._plan.port),
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "unix_socket_permissions": "0700",
            "hba_file": str(sockets / HBA),
            "ident_file": str(sockets / IDENT),
            "external_pid_file": str(sockets / "pid"),
            "ssl": "off",
        }

    def _put_to_work(self, report: RecoveryReport) -> RecoveryReport:
        """Let everybody in, with the settings of the cluster; a side instance stays as it is."""
        plan, tools = self._plan, self._tools
        if plan.pause:
            return report
        auto = self._data / AUTO
        cleaned = after_recovery(_text(auto)).encode("utf-8", "surrogateescape")
        write_file(tools.fs, auto, cleaned, tools.owner)
        if plan.side:
            return report
        outside = {"config_file": plan.config_file} if plan.config_file else {}
        try:
            self._server.stop("fast")
            self._server.start_and_wait(outside)
        except InterruptError as error:
            error.hint = (
                f"The cluster is recovered in {self._data}: start it, if it does not run. The old "
                f"one is in {plan.aside or 'no place: there was nothing'}."
            )
            raise
        except StrongroomError as error:
            raise RestoreError(
                f"the cluster is recovered in {self._data}, and does not start with its own "
                f"settings: {error.message}",
                hint=f"Put its configuration right and start it. The old one is in {plan.aside}.",
            ) from error
        return report._replace(socket="")

    def _roll_back(self, swap: Swap, cause: BaseException) -> None:
        """Stop it, and put back what was there."""
        try:
            if self._started:
                self._server.stop("immediate")
        except StrongroomError as error:
            raise RestoreError(
                f"the recovery failed ({cause}), and its server does not stop: {error.message}",
                hint=f"Stop it: pg_ctl -D {self._data} -m immediate stop. What was there before "
                f"is in {self._plan.aside or 'no place: there was nothing'}.",
            ) from cause
        swap.take_back()
        self._discard()
        if isinstance(cause, InterruptError) or not isinstance(cause, StrongroomError):
            return
        raise RolledBackError(
            f"{cause.message}; everything is as it was before", hint=cause.hint
        ) from cause


def _staged_space(space: SpacePlan) -> Path:
    return staged_beside(space.place / "tablespace")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
