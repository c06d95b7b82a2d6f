"""What becomes of what was deleted in a bucket that keeps versions: pure, but for what it asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.aws.bucketrules import DefaultRetention
from strongroom.aws.retention import Retention
from strongroom.aws.versions import History, Version

MOST_ASKED: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """What was deleted and is still there, in bytes; ``held`` is what of it nobody may remove yet.

    ``until_ns``: when the last of that may go, nanoseconds since 1970. ``exact``: every object was
    asked; else some count by the default of the bucket alone. ``days``: after how many days the
    lifecycle removes it; None: no rule does, unless that is ``unknown``. ``unknown``: what could
    not be asked, and why.
    """

    objects: int = 0
    bytes: int = 0
    held: int = 0
    until_ns: int | None = None
    exact: bool = True
    days: int | None = None
    unknown: Sequence[str] = ()


def hidden_version(history: History) -> Version | None:
    """Return what a key was before it was deleted; None if it was not deleted, or is gone."""
    first = next(iter(history.versions), None)
    if first is None or not first.deleted:
        return None
    return next((one for one in history.versions if not one.deleted), None)


def to_ask(versions: Sequence[Version], most: int = MOST_ASKED) -> Sequence[Version]:
    """Choose whose retention is asked for: those first that a default holds the longest."""
    return sorted(versions, key=lambda one: (-one.stored_ns, one.key))[:most]


@dataclass(frozen=True, slots=True)
class Ends:
    """When versions may go: what was asked, by key, else what the default of the bucket says."""

    asked: dict[str, Retention | None]
    default: DefaultRetention | None

    def of(self, version: Version) -> int:
        """Return until when a version is held, nanoseconds since 1970; 0 if nothing holds it."""
        if version.key in self.asked:
            found = self.asked[version.key]
            return 0 if found is None else found.until_ns
        return 0 if self.default is None else version.stored_ns + self.default.span_ns


def add_up(versions: Sequence[Version], ends: Callable[[Version], int], now_ns: int) -> Hidden:
    """Say how much is hidden, and until when it is held."""
    until = {one: end for one in versions if (end := ends(one)) > now_ns}
    return Hidden(
        objects=len(versions),
        bytes=sum(one.size for one in versions),
        held=sum(one.size for one in until),
        until_ns=max(until.values(), default=None),
    )
