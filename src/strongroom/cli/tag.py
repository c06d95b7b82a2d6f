"""``strongroom tag``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from strongroom.app.tags import Chosen, Retagged, TagRequest, retag
from strongroom.cli.job import job
from strongroom.cli.names import harmless
from strongroom.cli.quantities import counted


def run(  # noqa: PLR0913 - one for each option
    *,
    names: Sequence[str],
    tags: Sequence[str],
    hosts: Sequence[str],
    paths: Sequence[str],
    add: Sequence[str],
    remove: Sequence[str],
    exactly: Sequence[str],
    dry_run: bool,
) -> int:
    """Change tags, and say what changed."""
    if not (names or tags or hosts or paths):
        raise click.UsageError("name snapshots, or choose them with --tag, --host or --path")
    if exactly and (add or remove):
        raise click.UsageError("--set says all tags; give it, or --add and --remove")
    if not (exactly or add or remove):
        raise click.UsageError("give a tag with --add, --remove or --set")
    request = TagRequest(
        chosen=Chosen(names=names, tags=tags, hosts=hosts, paths=paths),
        add=add,
        remove=remove,
        exactly=[tag for tag in exactly if tag] if exactly else None,
        dry_run=dry_run,
    )
    with job() as one:
        report = retag(one.run, request)
        for changed in report.changed:
            one.output.record(
                "changed",
                snapshot_id=changed.snapshot.id,
                tags_before=_texts(changed.before),
                tags=_texts(changed.after),
            )
            one.output.line(_line(changed))
        one.output.record(
            "summary",
            dry_run=dry_run,
            snapshots=report.snapshots,
            changed_snapshots=len(report.changed),
        )
        would = "would change" if dry_run else "changed"
        one.output.line(
            f"tags of {len(report.changed):,} of {counted(report.snapshots, 'snapshot')} {would}"
        )
    return 0


def _line(changed: Retagged) -> str:
    before, after = (
        harmless(",".join(_texts(tags))) or "(none)" for tags in (changed.before, changed.after)
    )
    return f"{changed.snapshot.short_id}  {before} -> {after}"


def _texts(tags: Sequence[bytes]) -> list[str]:
    return [tag.decode("utf-8", "replace") for tag in tags]
