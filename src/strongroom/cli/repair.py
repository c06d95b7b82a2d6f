"""``strongroom repair``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from strongroom.app.repair import OPTION, Action, RepairReport, RepairRequest, Step, repair
from strongroom.cli.flags import settings_of_other
from strongroom.cli.job import job
from strongroom.cli.names import harmless, path_fields, shown
from strongroom.cli.output import Output
from strongroom.cli.quantities import counted, duration, size

DAMAGED: Final = 4
_MOST_SHOWN: Final = 50


def run(  # noqa: PLR0913 - one for each option
    *,
    from_url: str | None,
    from_passphrase_file: str | None,
    from_passphrase_command: str | None,
    from_key_file: str | None,
    read_data: bool,
    void: Sequence[str],
    dry_run: bool,
) -> int:
    """Repair, and say what was done and what is lost."""
    secrets = (from_passphrase_file, from_passphrase_command, from_key_file)
    if from_url is None and any(secret is not None for secret in secrets):
        raise click.UsageError("the options of a key of --from are given, and --from is not")
    with job(progress=True) as one:
        source = None
        if from_url is not None:
            source = settings_of_other(one.run.settings, OPTION, from_url, *secrets)
        request = RepairRequest(source=source, void=void, read_data=read_data, dry_run=dry_run)
        with one.progress:
            report = repair(one.run, request)
        _tell_actions(one.output, report.actions)
        _tell_left(one.output, report)
        _summarise(one.output, report, request)
        return DAMAGED if report.left else 0


def _tell_actions(output: Output, actions: Sequence[Action]) -> None:
    for action in actions:
        output.record(
            "action", step=action.step.value, object=action.key or None, reason=action.reason
        )
    for action in actions[:_MOST_SHOWN]:
        output.line(f"{action.step.value}: {_what(action)}")
    if len(actions) > _MOST_SHOWN:
        output.line(f"… and {len(actions) - _MOST_SHOWN:,} more (all of them with --json)")


def _what(action: Action) -> str:
    text = harmless(action.reason)
    return text if not action.key or text.startswith(action.key) else f"{action.key}: {text}"


def _tell_left(output: Output, report: RepairReport) -> None:
    for finding in report.left:
        output.record(
            "lost",
            object=finding.subject,
            text=finding.text,
            snapshot=finding.snapshot or None,
            **(path_fields(b"/" + finding.path) if finding.path else {}),
        )
    for finding in report.left[:_MOST_SHOWN]:
        where = f"{shown(b'/' + finding.path)} in " if finding.path else ""
        output.wanted(f"damage: {where}{harmless(finding.subject)}: {harmless(finding.text)}")
    if len(report.left) > _MOST_SHOWN:
        output.wanted(f"… and {len(report.left) - _MOST_SHOWN:,} more (all of them with --json)")


def _summarise(output: Output, report: RepairReport, request: RepairRequest) -> None:
    acted = [action for action in report.actions if action.step is not Step.LEFT]
    output.record(
        "summary",
        dry_run=request.dry_run,
        num_errors_before=report.found,
        num_errors=len(report.left),
        actions=len(acted),
        lost_snapshots=list(report.lost_snapshots),
        chunks_written=report.chunks,
        data_added_packed=report.stored,
        total_duration=round(report.seconds, 6),
    )
    if request.dry_run:
        output.line(f"{counted(len(acted), 'step')} would be taken; nothing was changed")
    elif report.done:
        wrote = f"{counted(report.chunks, 'chunk')} written anew ({size(report.stored)})"
        output.line(f"{counted(len(acted), 'step')} taken, {wrote}, in {duration(report.seconds)}")
    if not report.left:
        output.line("no damage is left" if report.found else "no damage found: nothing to do")
        _tell_depth(output, request)
        return
    lost = report.lost_snapshots
    if lost:
        names = ", ".join(lost[:_MOST_SHOWN])
        many = counted(len(lost), "snapshot")
        text = f"damaged now: {many}" if request.dry_run else f"something is lost of {many}"
        output.wanted(f"{text}: {names}")
    output.wanted(_next(report, request))


def _next(report: RepairReport, request: RepairRequest) -> str:
    if request.dry_run:
        return "next: run the same command without --dry-run"
    if report.lost_snapshots and request.source is None:
        return (
            "next: repair --from a good copy, if there is one; and back up again what still "
            "exists: that makes good what it still has"
        )
    return "next: back up again what still exists: that makes good what it still has"


def _tell_depth(output: Output, request: RepairRequest) -> None:
    if not request.read_data:
        output.line("next: the same with --read-data looks at every byte")
