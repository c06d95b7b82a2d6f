"""``strongroom demo``."""

from __future__ import annotations

from typing import Final

from strongroom.app.demo import (
    Changed,
    Destroyed,
    Initialised,
    Kept,
    Made,
    Restored,
    Saved,
    Step,
    Verified,
    demo,
)
from strongroom.cli.job import Job, job
from strongroom.cli.names import path_fields, shown
from strongroom.cli.output import Field
from strongroom.cli.problems import MOST_SHOWN
from strongroom.cli.quantities import counted, duration, size

_FAILED: Final = 1


def run(folder: str | None, *, keep: bool) -> int:
    """Run the demonstration; 0 only if everything came back as it was."""
    with job() as one:
        good = demo(one.run, folder, lambda step: _tell(one, step), keep=keep)
        one.output.record("summary", identical=good)
        one.output.line("everything came back as it was" if good else "not everything came back")
        return 0 if good else _FAILED


def _tell(one: Job, step: Step) -> None:
    one.output.record("step", step=type(step).__name__.lower(), **_fields(step))
    one.output.line(_text(step))
    if isinstance(step, Restored):
        for path, what in step.differences[:MOST_SHOWN]:
            one.output.line(f"  {shown(path)}: {what}")


def _text(step: Step) -> str:
    text: str
    match step:
        case Made():
            text = (
                f"made a project in {step.folder}: {step.files:,} files ({size(step.bytes)}), "
                "with links, holes, odd names and attributes"
            )
        case Initialised():
            text = "✓ made a repository, its key in a file; the recovery key would be shown now"
        case Saved():
            report = step.report
            text = (
                f"✓ backup {step.number}: read {size(report.bytes_read)} of {size(report.bytes)}, "
                f"stored {size(report.data_added_packed)}, {report.unchanged:,} of "
                f"{report.entries:,} entries unchanged, {duration(report.seconds)}"
            )
        case Changed():
            text = f"✓ changed {counted(step.files, 'file')}"
        case Destroyed():
            text = "✗ removed the whole project, on purpose"
        case Restored():
            text = _restored(step)
        case Verified():
            what = "no damage" if not step.damaged else f"{step.damaged} damaged"
            text = f"✓ verified {counted(step.packs, 'pack')}, every byte: {what}"
        case Kept():
            text = (
                f"next: strongroom -r {step.repository} --key-file {step.key_file} snapshots\n"
                f"remove everything: chmod -R u+w {step.folder} && rm -r {step.folder}"
            )
    return text


def _restored(step: Restored) -> str:
    mark, found = "✓", "no difference"
    if step.differences:
        mark, found = "✗", counted(len(step.differences), "difference")
    report = step.report
    return (
        f"{mark} restored backup {step.number}: {report.files:,} files in "
        f"{duration(report.seconds)}; compared every byte and attribute: {found}"
    )


def _fields(step: Step) -> dict[str, Field]:
    fields: dict[str, Field]
    match step:
        case Made():
            fields = {"folder": step.folder, "files": step.files, "bytes": step.bytes}
        case Initialised() | Destroyed():
            fields = {"folder": step.folder}
        case Saved():
            report = step.report
            fields = {
                "number": step.number,
                "snapshot_id": report.snapshot.id,
                "bytes_read": report.bytes_read,
                "data_added_packed": report.data_added_packed,
            }
        case Changed():
            fields = {"files": step.files}
        case Restored():
            found = [f"{path_fields(path)['path']}: {what}" for path, what in step.differences]
            fields = {"number": step.number, "files": step.report.files, "differences": found}
        case Verified():
            fields = {"packs": step.packs, "damaged": step.damaged}
        case Kept():
            fields = {"repository": step.repository, "key_file": step.key_file}
    return fields
