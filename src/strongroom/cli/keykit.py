"""``strongroom key kit``."""

from __future__ import annotations

import click

from strongroom.app.kit import KitProof, KitReport, make_kit, verify_kit
from strongroom.cli.job import Job, job
from strongroom.cli.quantities import counted, moment
from strongroom.clock import rfc3339


def run(*, to: str | None, new_recovery_key: bool, kit_file: str | None) -> int:
    """Make a kit, or verify one."""
    if kit_file is not None and (to is not None or new_recovery_key):
        raise click.UsageError("--verify reads a kit; give it alone")
    if "" in (to, kit_file):
        raise click.UsageError("the name of the kit's file is empty")
    with job() as one:
        if kit_file is not None:
            _tell_proof(one, verify_kit(one.run, kit_file), kit_file)
        else:
            _tell_kit(one, make_kit(one.run, to, new_recovery_key=new_recovery_key))
    return 0


def _tell_kit(one: Job, report: KitReport) -> None:
    made = report.kit
    one.output.record(
        "kit",
        id=made.repository_id,
        repository=made.url,
        fingerprint=made.fingerprint,
        key=report.recovery_id,
        key_made=bool(report.new_key),
        path=report.path or None,
        recovery_key=None if report.path else report.recovery_key,
        text=None if report.path else report.text,
    )
    if not report.path:
        one.output.wanted(report.text.rstrip("\n"))
    if report.new_key:
        one.output.notice(
            f"recovery key {report.new_key[:8]} added; older recovery keys go on to open the "
            "repository: see 'strongroom key list'"
        )
    if report.path:
        one.output.line(f"recovery kit written to {report.path}: print it, then delete the file")
        one.output.line(f"next: strongroom key kit --verify {report.path}")


def _tell_proof(one: Job, proof: KitProof, path: str) -> None:
    one.output.record(
        "kit_verified",
        id=proof.repository_id,
        repository=proof.url,
        key=proof.key_id,
        snapshots=proof.snapshots,
        newest=proof.newest or None,
        newest_time=rfc3339(proof.newest_ns) if proof.newest else None,
    )
    one.output.line(
        f"{path} of {proof.made} opens repository {proof.repository_id[:8]} at {proof.url}, "
        f"with recovery key {proof.key_id[:8]}"
    )
    if proof.newest:
        one.output.line(
            f"it reads {counted(proof.snapshots, 'snapshot')}; the newest is {proof.newest[:8]} "
            f"of {moment(proof.newest_ns)}"
        )
    else:
        one.output.line("the repository holds no snapshot yet")
    if proof.url != proof.stated_url:
        one.output.notice(
            f"warning: the kit names another place, {proof.stated_url}. Make another kit, so that "
            "it says where the repository is"
        )
