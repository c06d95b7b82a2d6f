"""What a recovery is planned as, what it works with, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.clock import Clock, rfc3339
from strongroom.errors import RefusedError
from strongroom.model.events import Sink
from strongroom.model.fs import Fs
from strongroom.operations.recovery_plan import RecoveryTarget, TargetKind, Way
from strongroom.postgres.cluster import ClusterRecord
from strongroom.restore.cluster.present import Present
from strongroom.restore.cluster.server import Outcome, RecoveringServer

WAL_AHEAD: Final = "strongroom_wal_ahead"
"""WAL that was fetched ahead, below the data directory, in which the server runs its commands."""


class SpacePlan(NamedTuple):
    """A tablespace, and the folder that it will be in."""

    oid: int
    place: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlan:
    """All that was decided, before anything is changed; sizes in bytes.

    ``side``: beside the cluster and apart from it, on ``port``. ``aside``: where the old data
    directory goes. ``salvage``: segments that only the old data directory has.
    ``config_file``: one outside of the data directory.
    """

    source: str
    snapshot: str
    record: ClusterRecord
    way: Way
    target: RecoveryTarget
    pause: bool
    side: bool
    port: int
    present: Present
    spaces: tuple[SpacePlan, ...]
    aside: str
    stamp: str
    salvage: tuple[str, ...]
    restore_command: str
    config_file: str
    programs: str
    size: int
    space: int
    free: int
    warnings: tuple[str, ...]


class RecoveryReport(NamedTuple):
    """What a recovery came to. ``last``: the last transaction in it, as the server shows it.

    ``distance``: seconds from there to a target that is a time. ``socket``: where it listens.
    """

    plan: RecoveryPlan
    outcome: Outcome
    last: str
    distance: float | None
    lsn: str
    timeline: int
    paused: bool
    socket: str
    log: str
    seconds: float


class Tools(NamedTuple):
    """What a recovery works with.

    ``fill`` restores what is below a path of the snapshot into a folder, all but one file.
    ``read`` gives one file. ``salvage`` keeps WAL that only the old data directory has.
    ``verify`` compares a restored folder with the server's manifest. ``sockets`` makes a private
    folder, for a short time. ``ask`` asks the server that listens in a folder, on a port, what it
    says of its recovery.
    """

    fs: Fs
    clock: Clock
    sink: Sink
    tell: Callable[[str], None]
    fill: Callable[[str, Path, str], None]
    read: Callable[[str], bytes]
    salvage: Callable[[Sequence[str], Path], None]
    verify: Callable[[Path], None]
    server: Callable[[Path, Path], RecoveringServer]
    sockets: Callable[[], Path]
    ask: Callable[[str, int], Mapping[str, object]]
    owner: tuple[int, int] | None


def target_settings(plan: RecoveryPlan) -> dict[str, str]:
    """Return the settings that tell a server where to stop: exactly one target, or none."""
    target = plan.target
    settings = {
        "restore_command": plan.restore_command,
        "recovery_target_timeline": str(plan.way.timeline),
        "recovery_target_action": "pause" if plan.pause else "promote",
    }
    if plan.way.is_end:
        return settings | {"recovery_target": "immediate"}
    if target.kind is TargetKind.LATEST:
        return settings
    value = target.text
    if target.kind is TargetKind.TIME:
        # no Z: abbreviations of zones are not known yet where a server reads this
        value = rfc3339(target.value).replace("T", " ").replace("Z", "+00")
    settings[f"recovery_target_{target.kind.value}"] = value
    settings["recovery_target_inclusive"] = "off" if target.exclusive else "on"
    return settings


def refuse_running(process: int | None, data: Path) -> None:
    """``RefusedError`` if a server runs in the data directory."""
    if process is not None:
        raise RefusedError(
            f"a server runs in {data} (process {process})",
            hint=f"Stop it first: pg_ctl -D {data} stop, or systemctl stop postgresql; or recover "
            "beside it with --into FOLDER.",
        )
