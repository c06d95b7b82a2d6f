"""``strongroom archive cleanup``."""

from __future__ import annotations

from strongroom.app.archives.cleanup import Ages, clean_up
from strongroom.app.archives.place import place_of
from strongroom.cli.job import job
from strongroom.cli.names import harmless
from strongroom.cli.quantities import counted, size


def run(
    *, days: int, pre_restore_days: int, dry_run: bool, project: str, folder: str | None
) -> int:
    """Remove old archives, and say why each stays or goes."""
    with job() as one:
        place = place_of(one.run, project, folder)
        done = clean_up(one.run, place, Ages(days, pre_restore_days), dry_run=dry_run)
        for verdict in done.verdicts:
            one.output.record("verdict", id=str(verdict.one.id), goes=verdict.goes, why=verdict.why)
            if verdict.goes:
                would = "would remove" if dry_run else "removed"
                one.output.line(f"{would} {verdict.one.id}: {verdict.why}")
            else:
                one.output.line(harmless(f"keeps {verdict.one.id}: {verdict.why}"))
        count = sum(verdict.goes for verdict in done.verdicts)
        one.output.record(
            "summary",
            dry_run=dry_run,
            removed=count,
            kept=len(done.verdicts) - count,
            bytes_freed=done.freed,
        )
        would = "would be removed" if dry_run else "removed"
        one.output.line(
            f"{counted(count, 'archive')} {would}, {size(done.freed)}; "
            f"{len(done.verdicts) - count:,} kept"
        )
    return 0
