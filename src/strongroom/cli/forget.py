"""``strongroom forget``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from strongroom.app.retention import Chosen, ForgetReport, ForgetRequest, forget_snapshots
from strongroom.cli.job import Job, job
from strongroom.cli.keep import policy_from, zone_from
from strongroom.cli.prune import DEFAULT_LIMITS, collect
from strongroom.cli.quantities import counted
from strongroom.cli.verdicts import print_verdicts


def run(*, given: Mapping[str, Any]) -> int:
    """Forget, and say what."""
    policy = policy_from(given)
    if given["names"] and (policy is not None or given["accept"]):
        raise click.UsageError("name snapshots, or give a policy; not both")
    if given["allow_empty"] and not given["names"]:
        raise click.UsageError("--allow-empty is for snapshots that are named")
    request = ForgetRequest(
        chosen=Chosen(
            names=given["names"], tags=given["tags"], hosts=given["hosts"], paths=given["paths"]
        ),
        policy=policy,
        zone=zone_from(given),
        allow_empty=given["allow_empty"],
        accept=given["accept"],
        dry_run=given["dry_run"],
    )
    with job(progress=True) as one:
        with one.progress:
            report = forget_snapshots(one.run, request)
        _tell(one, request, report)
        if given["prune"]:
            collect(one, DEFAULT_LIMITS, dry_run=request.dry_run)
    return 0


def _tell(one: Job, request: ForgetRequest, report: ForgetReport) -> None:
    print_verdicts(one.output, report.verdicts)
    going, all_of_them = len(report.going), len(report.verdicts)
    one.output.record("forgotten", dry_run=request.dry_run, snapshots=all_of_them, forgotten=going)
    done = "would be forgotten" if request.dry_run else "forgotten"
    one.output.line(f"{going:,} of {counted(all_of_them, 'snapshot')} {done}")
    if before := len(report.before):
        there = "was" if before == 1 else "were"
        one.output.line(f"{counted(before, 'snapshot')} {there} forgotten before")
    if going and not request.dry_run:
        one.output.line("next: strongroom undelete brings them back; strongroom prune frees room")
