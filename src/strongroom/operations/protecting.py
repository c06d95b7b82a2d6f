"""Extending retention: what each version has, what it should have, and how that went.

A retention is never made shorter, and its mode never weaker: what is put ends no sooner than what
is there, and S3 refuses anything else, since we never ask to pass it by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple, Protocol

from strongroom.aws.retention import COMPLIANCE, GOVERNANCE, Retention
from strongroom.aws.versions import NULL, Version
from strongroom.errors import ObjectMissingError, StoreError

_BATCH: Final = 256


class Goal(NamedTuple):
    """Extend what ends before ``needed_ns`` to ``until_ns``; nanoseconds since 1970.

    ``mode``: GOVERNANCE, or COMPLIANCE, which nobody can take back.
    """

    mode: str
    needed_ns: int
    until_ns: int
    now_ns: int


class Locked(Exception):  # noqa: N818 - no error of the program: what a version is
    """A version is held in compliance mode, which only that mode can extend."""


class Retentions(Protocol):
    """Where retentions are."""

    def of(self, version: Version) -> Retention | None:
        """Return what holds a version; ``ObjectMissingError`` if it is gone, ``StoreError``."""
        ...

    def extend(self, version: Version, retention: Retention) -> None:
        """Hold a version so; errors as above."""
        ...


def wanted(held: Retention | None, goal: Goal) -> Retention | None:
    """Return what a version should have instead of what holds it; None: that is enough. Pure.

    ``Locked`` if only a mode that was not asked for would do.
    """
    if held is None or held.until_ns <= goal.now_ns:
        return Retention(goal.mode, goal.until_ns)
    strong = held.mode == COMPLIANCE or goal.mode == GOVERNANCE
    if strong and held.until_ns >= goal.needed_ns:
        return None
    if held.mode == COMPLIANCE and goal.mode == GOVERNANCE:
        raise Locked
    return Retention(goal.mode, max(held.until_ns, goal.until_ns))


@dataclass(frozen=True, slots=True)
class NotProtected:
    """A version whose retention could not be extended, and why."""

    version: Version
    why: str


@dataclass(slots=True)
class Protected:
    """How many objects, and bytes, are needed; of these, what was extended (or would be).

    ``known``: those of which an earlier run of this host knew that they are held long enough.
    ``asked`` and ``put`` count requests. ``gone``: removed meanwhile. ``held``: what is known now,
    by id of version.
    """

    objects: int = 0
    bytes: int = 0
    known: int = 0
    extended: int = 0
    extended_bytes: int = 0
    gone: int = 0
    asked: int = 0
    put: int = 0
    failed: list[NotProtected] = field(default_factory=list)
    held: dict[str, Retention] = field(default_factory=dict)


@dataclass(slots=True)
class _Outcome:
    version: Version
    held: Retention | None = None
    extended: bool = False
    gone: bool = False
    asked: int = 0
    put: int = 0
    why: str = ""
    error: StoreError | None = None


@dataclass(frozen=True, slots=True)
class Protector:
    """Extends retentions, several at a time; ``told`` hears how many objects were looked at.

    ``known``: what an earlier run knew, by id of version. ``dry_run``: only asks.
    """

    retentions: Retentions
    goal: Goal
    known: Mapping[str, Retention]
    transfer: Executor
    told: Callable[[int, int], None]
    dry_run: bool = False

    def protect(self, versions: Iterable[Version], result: Protected) -> None:
        """Look at each version, and extend what ends too soon; what comes of it is in ``result``.

        What cannot be done ends nothing, but where it is all of the first versions: ``StoreError``,
        for the rest would fail as well.
        """
        for batch in _batches(versions):
            done = [self._known(one) for one in batch]
            unknown = [one for one, found in zip(batch, done, strict=True) if found is None]
            outcomes = list(self.transfer.map(self._one, unknown))
            errors = [one.error for one in outcomes if one.error is not None]
            if len(errors) == len(batch) > 1 and not result.objects:
                raise errors[0]
            for outcome in [*(one for one in done if one is not None), *outcomes]:
                _add(result, outcome)
            result.known += len(batch) - len(unknown)
            self.told(len(batch), sum(one.size for one in batch))

    def _known(self, version: Version) -> _Outcome | None:
        held = self.known.get(version.id)
        if held is None or _put_for(held, self.goal) is not None:
            return None
        return _Outcome(version, held)

    def _one(self, version: Version) -> _Outcome:
        outcome = _Outcome(version)
        try:
            self._extend(outcome, again=True)
        except ObjectMissingError:
            outcome.gone = True
        except Locked:
            outcome.why = "it is held in compliance mode, which only --mode compliance extends"
        except StoreError as error:
            outcome.why, outcome.error = error.message, error
        return outcome

    def _extend(self, outcome: _Outcome, *, again: bool) -> None:
        outcome.asked += 1
        outcome.held = self.retentions.of(outcome.version)
        better = wanted(outcome.held, self.goal)
        if better is None:
            return
        if not self.dry_run:
            outcome.put += 1
            try:
                self.retentions.extend(outcome.version, better)
            except ObjectMissingError:
                raise
            except StoreError:
                if not again:
                    raise
                self._extend(outcome, again=False)  # somebody else may have extended it meanwhile
                return
            outcome.held = better
        outcome.extended = True


def _put_for(held: Retention, goal: Goal) -> Retention | None:
    try:
        return wanted(held, goal)
    except Locked:
        return held


def _batches(versions: Iterable[Version]) -> Iterator[list[Version]]:
    left = iter(versions)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _add(result: Protected, one: _Outcome) -> None:
    result.asked += one.asked
    result.put += one.put
    result.gone += one.gone
    if one.gone:
        return
    result.objects += 1
    result.bytes += one.version.size
    if one.why:
        result.failed.append(NotProtected(one.version, one.why))
    elif one.extended:
        result.extended += 1
        result.extended_bytes += one.version.size
    if one.held is not None and one.version.id != NULL:
        result.held[one.version.id] = one.held
