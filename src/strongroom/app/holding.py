"""After a collection in a bucket that keeps versions: what is hidden, and held until when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from strongroom.app.addresses import address_of, versions_of
from strongroom.app.machine import Run
from strongroom.aws.bucketrules import Lock, lock_of, noncurrent_days
from strongroom.aws.catalog import Catalog
from strongroom.aws.retention import Retention, Retentions
from strongroom.aws.versions import BucketVersions, Version
from strongroom.errors import ObjectMissingError, StrongroomError
from strongroom.operations.holding import Ends, Hidden, add_up, hidden_version, to_ask
from strongroom.repository import layout

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Held:
    """What is hidden, None where nothing is kept; and how many requests that took."""

    hidden: Hidden | None = None
    requests: int = 0


def held_after(run: Run, removed: Sequence[str], transfer: Executor, now_ns: int) -> Held:
    """Look at what was removed, by its keys; raises nothing: what cannot be known is said.

    A few questions to the bucket, a listing of the versions beside what was removed, and one
    question for each of at most a hundred objects.
    """
    address = address_of(run.settings.require_place())
    if address.scheme != "s3" or not removed:
        return Held()
    versions = versions_of(run, address)
    look = _Look(versions)
    kept = look.ask("whether the bucket keeps versions", versions.are_kept)
    if kept is False:
        return Held(None, versions.requests)
    found = look.found(removed, transfer, now_ns)
    return Held(found if found is not None else look.nothing(), versions.requests)


@dataclass(slots=True)
class _Look:
    versions: BucketVersions
    unknown: list[str] = field(default_factory=list)

    def ask(self, what: str, question: Callable[[], Answer]) -> Answer | None:
        """Ask; None, with a note, where there is no answer."""
        try:
            return question()
        except StrongroomError as error:
            self.unknown.append(f"{what}: {error.message}")
            return None

    def nothing(self) -> Hidden:
        """Return that nothing is known."""
        return Hidden(exact=False, unknown=self.unknown)

    def found(self, removed: Sequence[str], transfer: Executor, now_ns: int) -> Hidden | None:
        """Find what was removed among the versions; None where these cannot be listed."""
        catalog = Catalog(self.versions, hidden_version)
        hidden = self.ask(
            "what of it is still there",
            lambda: [one for one in transfer.map(catalog.find, removed) if one is not None],
        )
        if hidden is None:
            return None
        lock = self.ask("whether the bucket locks objects", lambda: lock_of(self.versions))
        ends, gone = self._ends(hidden, lock, transfer)
        hidden = [one for one in hidden if one.key not in gone]
        days = self.ask(
            "whether its lifecycle removes them",
            lambda: noncurrent_days(self.versions, layout.PACKS),
        )
        return replace(
            add_up(hidden, ends.of, now_ns),
            exact=len(ends.asked) == len(hidden) or (lock is not None and not lock.possible),
            days=days,
            unknown=self.unknown,
        )

    def _ends(
        self, hidden: Sequence[Version], lock: Lock | None, transfer: Executor
    ) -> tuple[Ends, set[str]]:
        """Return when versions may go, and the keys of those that are gone by now."""
        asked: dict[str, Retention | None] = {}
        gone: set[str] = set()
        if lock is None or not lock.possible:
            return Ends(asked, None), gone
        retentions = Retentions(self.versions)
        errors: list[str] = []
        answers = [(one, transfer.submit(retentions.of, one)) for one in to_ask(hidden)]
        for one, answer in answers:
            try:
                asked[one.key] = answer.result()
            except ObjectMissingError:
                gone.add(one.key)
            except StrongroomError as error:
                errors.append(error.message)
        if errors:
            self.unknown.append(f"until when {len(errors)} of them are held: {errors[0]}")
        return Ends(asked, lock.default), gone
