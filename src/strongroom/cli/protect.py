"""``strongroom store protect``."""

from __future__ import annotations

from typing import Final

from strongroom.app.protect import (
    Altered,
    Goal,
    NotProtected,
    ProtectReport,
    ProtectRequest,
    protect,
)
from strongroom.cli.asked import took
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless
from strongroom.cli.output import say
from strongroom.cli.prompts import typed
from strongroom.cli.quantities import counted, moment, size
from strongroom.clock import rfc3339
from strongroom.errors import RefusedError, UsageError

INCOMPLETE: Final = 3
DAMAGED: Final = 4
_SHOWN: Final = 20
# List prices of us-east-1 for a thousand requests, in USD: PUT and LIST; GET and all others.
_PUT_PRICE: Final = 0.005
_GET_PRICE: Final = 0.0004


def run(
    *,
    span: int,
    at_least: int | None,
    mode: str | None,
    grace: int,
    confirm: str | None,
    dry_run: bool,
) -> int:
    """Extend, and say what came of it; 3 if some could not be, 4 if something is damaged."""
    if at_least is not None and at_least > span:
        raise UsageError(
            "--at-least is more than --for",
            hint="What ends within --at-least is extended to --for from now.",
        )
    request = ProtectRequest(
        span=span,
        at_least=span if at_least is None else at_least,
        mode=(mode or "").upper(),
        grace=grace,
        dry_run=dry_run,
    )
    with job(progress=True) as one:

        def agree(bucket: str, goal: Goal, alarm: str) -> None:
            _agree(one, bucket, goal, alarm, confirm)

        with one.progress:
            report = protect(one.run, request, agree)
        for failed in report.protected.failed:
            _tell_failed(one, failed, report)
        for number, altered in enumerate(report.altered):
            _tell_altered(one, altered, number, len(report.altered))
        _summarise(one, report)
        if report.alarm or report.altered:
            return DAMAGED
        return INCOMPLETE if report.protected.failed else 0


def _agree(one: Job, bucket: str, goal: Goal, alarm: str, confirm: str | None) -> None:
    """Have the name of the bucket typed, or given; ``RefusedError``."""
    what = (
        f"in compliance mode nobody, not even the owner of the account, can remove what is in "
        f"{bucket}, or shorten that, before {moment(goal.until_ns)}"
    )
    if alarm:
        what = f"{what}; and {_unjudged(alarm)}"
    name = confirm
    if name is None and one.on_terminal:
        with one.progress.pause():
            name = typed(f"{what}. Type the name of the bucket to go on").strip()
    if name != bucket:
        raise RefusedError(
            f"{what}: that was not confirmed, and nothing was extended",
            hint=f"Confirm it by the bucket's name: --confirm {bucket}.",
        )


def _unjudged(alarm: str) -> str:
    said = harmless(alarm)
    return f"what is needed cannot be judged, so everything counts as needed: {said}"


def _tell_failed(one: Job, failed: NotProtected, report: ProtectReport) -> None:
    key = failed.version.key
    one.output.record(
        "error", during="protect", key=key, version=failed.version.id, error={"message": failed.why}
    )
    if one.output.json_lines:
        return
    number = report.protected.failed.index(failed)
    if number < _SHOWN:
        say(f"not extended: {harmless(key)}: {harmless(failed.why)}")
    elif number == _SHOWN:
        say(f"and {len(report.protected.failed) - _SHOWN:,} more; --json names all")


def _tell_altered(one: Job, altered: Altered, number: int, count: int) -> None:
    key, first = altered.key, altered.first
    done = "a delete marker hides it" if altered.hidden else "another object was put over it"
    text = f"{done}; what was first put is version {first.id}, of {moment(first.stored_ns)}"
    one.output.record("error", during="protect", key=key, version=first.id, error={"message": text})
    if one.output.json_lines:
        return
    if number < _SHOWN:
        say(f"damage: {harmless(key)}: {harmless(text)}")
    elif number == _SHOWN:
        say(f"and {count - _SHOWN:,} more; --json names all")


def _price(report: ProtectReport) -> float:
    found = report.protected
    puts = found.put if not report.dry_run else found.extended
    return ((puts + report.listings) * _PUT_PRICE + found.asked * _GET_PRICE) / 1000


def _summarise(one: Job, report: ProtectReport) -> None:
    found, goal = report.protected, report.goal
    one.output.record(
        "summary",
        dry_run=report.dry_run,
        mode=goal.mode.lower(),
        until=rfc3339(goal.until_ns),
        objects_needed=found.objects,
        bytes_needed=found.bytes,
        objects_extended=found.extended,
        bytes_extended=found.extended_bytes,
        objects_failed=len(found.failed),
        objects_altered=len(report.altered),
        objects_gone=found.gone,
        objects_known=found.known,
        requests_asking=found.asked,
        requests_extending=found.put,
        requests_listing=report.listings,
        usd_at_list_price=round(_price(report), 6),
        not_judged=report.alarm or None,
        total_duration=round(report.seconds, 6),
        store_requests=report.store_requests,
    )
    if report.alarm:
        one.output.wanted(f"damage: {_unjudged(report.alarm)}")
    if report.altered:
        one.output.wanted(
            f"damage: {counted(len(report.altered), 'object')} put over or hidden, as told above; "
            "what was there is held too. It is read with --as-of TIME, before that was done"
        )
    one.output.line(f"needed: {counted(found.objects, 'object')}, {size(found.bytes)}")
    left = found.objects - found.extended - len(found.failed)
    one.output.line(
        f"held long enough: {counted(left, 'object')}, of which {found.known:,} were not asked for"
    )
    would = "would be " if report.dry_run else ""
    one.output.line(
        f"{would}extended: {counted(found.extended, 'object')}, {size(found.extended_bytes)}, "
        f"until {moment(goal.until_ns)} in {goal.mode.lower()} mode"
    )
    if found.failed:
        one.output.wanted(f"not extended: {counted(len(found.failed), 'object')}, as told above")
    puts, will = (found.extended, "to extend") if report.dry_run else (found.put, "extending")
    one.output.line(
        f"requests: {report.listings:,} listing, {found.asked:,} asking, {puts:,} {will}; "
        f"{_price(report):.4f} USD at the list price of us-east-1"
    )
    one.output.line(f"done in {took(one, report.seconds, report.store_requests)}")
