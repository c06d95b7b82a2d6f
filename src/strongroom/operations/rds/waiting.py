"""Wait for RDS, which takes minutes for little and hours for much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from strongroom.aws.rds.record import INSTANCE
from strongroom.aws.rds.service import Answer, Rds
from strongroom.clock import Clock
from strongroom.errors import RestoreError, StrongroomError

_FIRST: Final = 1.0
_LAST: Final = 30.0
_A_DAY: Final = 86_400.0
_UNSEEN: Final = 120.0  # what was just made need not be seen at once
_TOLD: Final = 600.0
READY: Final = frozenset({"available", "storage-optimization"})
_NEVER: Final = frozenset(
    {
        "failed",
        "restore-error",
        "incompatible-restore",
        "incompatible-network",
        "incompatible-parameters",
        "incompatible-option-group",
        "incompatible-credentials",
        "inaccessible-encryption-credentials",
        "insufficient-capacity",
        "storage-full",
        "deleting",
        "stopped",
        "cloning-failed",
        "migration-failed",
    }
)

Look = Callable[[], Answer | None]


class Waiting:
    """Looks again and again, less and less often, and tells what changes."""

    def __init__(self, rds: Rds, clock: Clock, tell: Callable[[str], None]) -> None:
        self._rds = rds
        self._clock = clock
        self._tell = tell

    def ready(self, kind: str, identifier: str) -> Answer:
        """Return what is said of an instance or a cluster once it is available.

        ``RestoreError`` if it never will be.
        """
        key = "DBInstanceStatus" if kind == INSTANCE else "Status"
        return self.until(
            identifier,
            lambda: self._rds.described(kind, identifier),
            key,
            lambda found: found[key] in READY,
        )

    def until(
        self,
        name: str,
        look: Look,
        key: str,
        good: Callable[[Answer], bool],
        most: float = _A_DAY,
    ) -> Answer:
        """Return what ``look`` finds once it is good; ``key`` is where its status stands."""
        began, pause = self._clock.elapsed(), _FIRST
        status, told = "", began
        while True:
            found, now = look(), self._clock.elapsed()
            if found is not None and good(found):
                return found
            seen = str(found[key]) if found is not None else "not there yet"
            if seen != status or now - told > _TOLD:
                self._tell(f"{name}: {seen}{_percent(found)}")
                status, told = seen, now
            if seen in _NEVER:
                raise RestoreError(f"{name} is {seen}, and will not become available by itself")
            if now - began > (most if found is not None else _UNSEEN):
                raise StrongroomError(f"{name} is {seen} after {now - began:.0f} s")
            self._clock.sleep(pause)
            pause = min(_LAST, pause * 1.5)

    def gone(self, kind: str, identifier: str) -> None:
        """Return once an instance or a cluster is deleted."""
        began, pause = self._clock.elapsed(), _FIRST
        while self._rds.described(kind, identifier) is not None:
            if self._clock.elapsed() - began > _A_DAY:
                raise StrongroomError(f"{identifier} is still being deleted after a day")
            self._clock.sleep(pause)
            pause = min(_LAST, pause * 1.5)


def _percent(found: Any) -> str:  # noqa: ANN401 - whatever AWS says
    done = found.get("PercentProgress") if isinstance(found, dict) else None
    return f", {done} %" if isinstance(done, int) and 0 < done < 100 else ""  # noqa: PLR2004
