"""``strongroom init``."""

from __future__ import annotations

from typing import Final

import click

from strongroom.app.init import InitReport
from strongroom.app.init import init as make
from strongroom.cli.job import Job, job
from strongroom.cli.output import say
from strongroom.cli.prompts import typed

_TRIES: Final = 3


def run(*, kms: str | None, weaker_mode: bool) -> int:
    """Make a repository and show its recovery key."""
    if kms == "":
        raise click.UsageError("--kms is empty")
    with job() as one:
        report = make(one.run, kms, weaker=weaker_mode)
        _show(one, report)
        if one.on_terminal and not one.output.json_lines:
            _confirm(report.recovery_key)
        opens = f"--key-file {report.key_file}" if report.key_file else ""
        one.output.line(
            f"next: strongroom -r {report.url} {opens}{' ' if opens else ''}backup ./FOLDER"
        )
    return 0


def _show(one: Job, report: InitReport) -> None:
    output = one.output
    output.record(
        "initialized",
        id=report.repository_id,
        repository=report.url,
        recovery_key=report.recovery_key,
        key_file=report.key_file or None,
        key_file_made=report.key_file_made,
        replaced=report.replaced,
        mode="weaker" if report.weaker else "full",
    )
    output.line(f"repository {report.repository_id[:8]} made at {report.url}")
    if report.replaced:
        output.line(
            f"this host knew repository {report.replaced[:8]} there; it is forgotten from now on"
        )
    if report.weaker:
        output.line(
            "in weaker mode, for this store has no conditional puts: run 'prune' on one host at a "
            "time; what was killed is waited for until you say that it is dead (prune --dead)"
        )
    if report.key_file_made:
        output.line(f"key file made: {report.key_file} (copy it to a safe place)")
    if report.kms:
        output.line(
            "a key of AWS KMS opens it; whoever disables that key shuts everybody out who does not "
            "have the recovery key"
        )
    output.wanted("recovery key, shown this once:")
    output.wanted(f"  {report.recovery_key}")


def _confirm(recovery_key: str) -> None:
    """Ask for the recovery key back; the repository is good either way."""
    wanted = _letters(recovery_key)
    for left in reversed(range(_TRIES)):
        if _letters(typed("Write it down, then type it here")) == wanted:
            say("the recovery key is confirmed")
            return
        say("that is not the recovery key" + (", try again" if left else ""))
    say(
        "warning: the recovery key is not confirmed. The repository works; but if the passphrase "
        "or key file is lost, only that key opens it. If you do not have it, remove the "
        "repository's folder now and run init again."
    )


def _letters(text: str) -> str:
    return "".join(text.upper().replace("-", "").split())
