"""Forget snapshots by name or by policy, say what a policy would keep, and apply it unattended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Final

from strongroom.app.choosing import Chosen, choice_of
from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.clock import rfc3339
from strongroom.config.settings import Settings
from strongroom.errors import RefusedError, UsageError
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.choosing import Choice, choose
from strongroom.operations.forget import allow_empty, forget, forget_by_policy
from strongroom.operations.listing import refuse_unreadable
from strongroom.operations.retention import (
    Judged,
    Ruling,
    Verdict,
    groups_of,
    joined,
    judge,
    store_time_ns,
)
from strongroom.policy.policy import Policy
from strongroom.repository.repository import Listing, Repository

__all__ = ["Chosen", "ForgetReport", "ForgetRequest", "Verdict", "explain", "forget_snapshots"]

HOUR_NS: Final = 3600 * 1_000_000_000
GRACE_NS: Final = 7 * 24 * HOUR_NS
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetRequest:
    """What the command line says. Without names it is a policy that decides.

    ``policy`` is that of the options, None where the configuration is meant; ``allow_empty``: also
    the last good snapshot of a source may go; ``accept``: the brakes do not count this time.
    """

    chosen: Chosen
    policy: Policy | None = None
    zone: tzinfo | None = None
    allow_empty: bool = False
    accept: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """Verdicts on the snapshots that were meant, oldest first; ``by_policy``: with reasons.

    ``before``: those of them that were forgotten already.
    """

    verdicts: Sequence[Verdict]
    by_policy: bool
    before: Sequence[ListedSnapshot] = ()

    @property
    def going(self) -> list[ListedSnapshot]:
        """The snapshots that are forgotten now."""
        before = {listed.id for listed in self.before}
        found = [verdict.listed for verdict in self.verdicts if not verdict.keep]
        return [listed for listed in found if listed.id not in before]


def forget_snapshots(run: Run, request: ForgetRequest) -> ForgetReport:
    """Forget what is named, or what a policy does not keep.

    ``RefusedError`` where a brake says no; nothing was forgotten then.
    """
    with opened_repository(run) as opened:
        repository = opened.repository
        repository.keyring.admin_signer()
        listing = repository.list_snapshots()
        if request.chosen.names:
            return _forget_named(run, repository, listing, request)
        chosen = choose(listing.found, choice_of(run, request.chosen))
        judged = _judged(run, repository, listing, chosen, request.policy, zone=request.zone)
        typed = request.policy is not None
        stops = [] if request.accept else judged.emptied if typed else judged.brakes
        if stops:
            raise _stopped(stops)
        if not request.dry_run:
            _check_clock(run, repository)
            forget_by_policy(repository, listing, judged)
        return ForgetReport(judged.verdicts, by_policy=True)


def explain(
    run: Run, chosen: Chosen, policy: Policy | None, zone: tzinfo | None, at_ns: int | None
) -> ForgetReport:
    """Say what a policy would keep at a moment, and why; nothing is written."""
    with opened_repository(run) as opened:
        repository = opened.repository
        listing = repository.list_snapshots()
        snapshots = choose(listing.found, choice_of(run, chosen))
        judged = _judged(run, repository, listing, snapshots, policy, zone=zone, at_ns=at_ns)
        for sentence in judged.brakes:
            run.tell(f"unattended, this would be refused: {sentence}")
        return ForgetReport(judged.verdicts, by_policy=True)


def apply_configured(run: Run, repository: Repository, made: ListedSnapshot) -> int:
    """After a backup, forget what the configuration does not keep; return how many went.

    Only snapshots with a source of the one just made are judged, and only those of this host: the
    others have a configuration of their own. A snapshot that has other sources as well stays at
    least as long as if all were judged, since fewer snapshots leave more places to each.

    Whatever stops it is told of and is no failure of the backup.
    """
    if not repository.keyring.is_full:
        return 0
    policy = run.settings.retention.policy()
    if policy.is_empty:
        return 0
    listing = repository.list_snapshots()
    groups = groups_of(made)
    chosen = [listed for listed in listing.found if not groups.isdisjoint(groups_of(listed))]
    judged = judge(repository, listing, chosen, _ruling(run, repository, policy))
    if judged.brakes:
        run.warn(f"nothing was forgotten: {judged.brakes[0]}")
        return 0
    _check_clock(run, repository)
    forget_by_policy(repository, listing, judged)
    return sum(not verdict.keep for verdict in judged.verdicts)


def _forget_named(
    run: Run, repository: Repository, listing: Listing, request: ForgetRequest
) -> ForgetReport:
    refuse_unreadable(listing, request.chosen.names)
    held = listing.history.standing.held
    chosen = _named(listing, choice_of(run, request.chosen), allow_empty=request.allow_empty)
    for listed in chosen:
        if listed.key in held:
            raise RefusedError(
                f"snapshot {listed.short_id} is held",
                hint=f"Release it first: 'strongroom hold --release {listed.short_id}'.",
            )
    gone = {listed.key for listed in listing.forgotten}
    before = [listed for listed in chosen if listed.key in gone]
    if not request.dry_run:
        forget(repository, listing, [listed for listed in chosen if listed.key not in gone])
        if request.allow_empty:  # last: a crash in between leaves what can be brought back
            allow_empty(repository, repository.read_history(), chosen)
    verdicts = [
        Verdict(listed, keep=False, reasons=("forgotten before",) if listed.key in gone else ())
        for listed in chosen
    ]
    return ForgetReport(verdicts, by_policy=False, before=before)


def _named(listing: Listing, choice: Choice, *, allow_empty: bool) -> list[ListedSnapshot]:
    """Return what is named, oldest first; ids of what is forgotten count with ``allow_empty``.

    ``latest`` is never something that is forgotten.
    """
    if not allow_empty:
        return choose(listing.found, choice)
    latest = [name for name in choice.names if name.startswith("latest")]
    ids = [name for name in choice.names if not name.startswith("latest")]
    chosen = choose(listing.found, replace(choice, names=latest)) if latest else []
    if ids:
        everything = [*listing.found, *listing.forgotten]
        chosen += choose(everything, replace(choice, names=ids))
    by_id = {listed.id: listed for listed in chosen}
    return sorted(by_id.values(), key=lambda listed: (listed.snapshot.started_ns, listed.id))


def _judged(  # noqa: PLR0913 - what a judgment needs
    run: Run,
    repository: Repository,
    listing: Listing,
    chosen: Sequence[ListedSnapshot],
    policy: Policy | None,
    *,
    zone: tzinfo | None = None,
    at_ns: int | None = None,
) -> Judged:
    """Judge by a policy, or by that of the configuration: of each environment by its own."""
    if policy is not None:
        ruling = _ruling(run, repository, policy, zone, at_ns)
        return judge(repository, listing, chosen, ruling)
    found: list[Judged] = []
    for settings, part in _by_policy(run, chosen):
        there = replace(run, settings=settings)
        ruling = _ruling(there, repository, settings.retention.policy(), zone, at_ns)
        found.append(judge(repository, listing, part, ruling))
    return joined(found)


def _by_policy(
    run: Run, chosen: Sequence[ListedSnapshot]
) -> Iterator[tuple[Settings, list[ListedSnapshot]]]:
    """Yield the settings that count for snapshots, and which; ``UsageError`` if none says a rule.

    Without a rule everything is kept.
    """
    settings = run.settings
    of = {name: settings.within(name)[0] for name in settings.environments}
    if all(one.retention.policy().is_empty for one in [settings, *of.values()]):
        raise UsageError(
            "nothing says what to forget",
            hint="Name snapshots, give a policy such as --keep-daily 14 --keep-monthly 6, or "
            "write [retention] in strongroom.toml.",
        )
    parts: dict[str, list[ListedSnapshot]] = {"": []}
    for listed in chosen:
        environment = listed.snapshot.environment.decode("utf-8", "replace")
        parts.setdefault(environment if environment in of else "", []).append(listed)
    for environment, part in parts.items():
        yield of.get(environment, settings), part


def _ruling(
    run: Run,
    repository: Repository,
    policy: Policy,
    zone: tzinfo | None = None,
    at_ns: int | None = None,
) -> Ruling:
    now_ns = store_time_ns(repository) if at_ns is None else at_ns
    return Ruling(policy, zone or run.settings.retention.zone(), now_ns, GRACE_NS)


def _stopped(sentences: Sequence[str]) -> RefusedError:
    more = len(sentences) - _SHOWN
    text = "; ".join(sentences[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    return RefusedError(
        f"nothing was forgotten: {text}",
        hint="'strongroom retention explain' says for each snapshot why it stays.",
    )


def _check_clock(run: Run, repository: Repository) -> None:
    """``RefusedError`` if this host and the store differ by more than an hour about the time."""
    store_ns = repository.store.time_ns()
    if store_ns is None:
        return
    apart = abs(run.machine.clock.now_ns() - store_ns)
    if apart > HOUR_NS:
        raise RefusedError(
            f"this machine's clock says {rfc3339(run.machine.clock.now_ns())}, that of the store "
            f"{rfc3339(store_ns)}",
            hint="Set the clock: what this machine backs up has times that nobody believes.",
        )
    if apart > HOUR_NS // 12:
        run.warn(f"this machine's clock is {apart // 60_000_000_000} minutes off the store's")
