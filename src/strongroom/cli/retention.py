"""``strongroom retention``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strongroom.app.retention import Chosen
from strongroom.app.retention import explain as explained
from strongroom.cli.job import job
from strongroom.cli.keep import policy_from, zone_from
from strongroom.cli.quantities import counted, moment
from strongroom.cli.verdicts import print_verdicts
from strongroom.config.moments import parse_moment


def explain(*, given: Mapping[str, Any]) -> int:
    """Say what a policy keeps, and why."""
    policy, zone = policy_from(given), zone_from(given)
    chosen = Chosen(tags=given["tags"], hosts=given["hosts"], paths=given["paths"])
    with job(stream=True) as one:
        at_ns = None
        if given["at"] is not None:
            at_ns = parse_moment(given["at"], "--at", one.clock.now_ns())
        report = explained(one.run, chosen, policy, zone, at_ns)
        print_verdicts(one.output, report.verdicts)
        going = len(report.going)
        one.output.record("summary", snapshots=len(report.verdicts), forgotten=going)
        when = "" if at_ns is None else f" at {moment(at_ns)}"
        total = counted(len(report.verdicts), "snapshot")
        one.output.line(f"{going:,} of {total} would be forgotten{when}")
    return 0
