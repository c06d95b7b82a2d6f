"""``strongroom key``."""

from __future__ import annotations

from typing import Final, Literal

import click

from strongroom.app.keys import (
    AddReport,
    KeyList,
    NewKey,
    SecretKind,
    add_key,
    export_agent,
    list_keys,
    remove_key,
)
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless
from strongroom.cli.output import Output
from strongroom.cli.quantities import counted, moment
from strongroom.cli.tables import table
from strongroom.clock import rfc3339

INCOMPLETE: Final = 3


def list_all() -> int:
    """List the keys and agents."""
    with job(stream=True) as one:
        found = list_keys(one.run)
        _records(one.output, found)
        if not one.output.json_lines:
            _table(one.output, found)
    return 0


def _records(output: Output, found: KeyList) -> None:
    for key in found.keys:
        output.record(
            "key",
            id=key.id,
            kind=key.kind.name.lower() if key.kind else None,
            role=key.role.name.lower() if key.role else None,
            made=rfc3339(key.made_ns),
            opened=key.opened,
            damage=key.damage or None,
        )
    for agent in found.agents:
        output.record(
            "agent",
            id=agent.id,
            name=agent.name,
            domain=agent.domain,
            made=rfc3339(agent.made_ns),
            damage=agent.damage or None,
        )
    output.record(
        "summary",
        keys=len(found.keys),
        agents=len(found.agents),
        unfinished=list(found.unfinished),
        unreadable=list(found.unreadable),
    )


def _table(output: Output, found: KeyList) -> None:
    rows = [("id", "kind", "role", "made", "")]
    for key in found.keys:
        kind = key.kind.name.lower().replace("_", " ") if key.kind else "?"
        role = key.role.name.lower() if key.role else "?"
        note = "opened now" if key.opened else "damaged" if key.damage else ""
        rows.append((key.id[:8], kind, role, moment(key.made_ns), note))
    for agent in found.agents:
        note = f"'{harmless(agent.name)}'" if not agent.damage else "damaged"
        made = moment(agent.made_ns) if not agent.damage else "?"
        rows.append((agent.id[:8], "agent", "agent", made, note))
    for line in table(rows):
        output.wanted(line)
    for broken in [key for key in found.keys if key.damage]:
        output.notice(f"warning: {broken.damage}")
    for text in found.unreadable:
        output.notice(f"warning: {text}; there may be more keys. Run 'strongroom verify'")
    for key_id in found.unfinished:
        output.notice(
            f"key {key_id[:8]} was removed and its object is still there: "
            f"strongroom key remove {key_id[:8]}"
        )
    output.line(f"{counted(len(found.keys), 'key')}, {counted(len(found.agents), 'agent')}")


def add(
    *,
    new_passphrase_file: str | None,
    new_key_file: str | None,
    recovery: bool,
    role: Literal["full", "reader"],
) -> int:
    """Add a key."""
    given = [one for one in (new_passphrase_file, new_key_file, recovery or None) if one]
    if "" in (new_passphrase_file, new_key_file):
        raise click.UsageError("the name of the new key's file is empty")
    if len(given) > 1:
        raise click.UsageError(
            "give one of --new-passphrase-file, --new-key-file and --recovery: one key a time"
        )
    kind = None
    if new_passphrase_file is not None:
        kind = SecretKind.PASSPHRASE_FILE
    elif new_key_file is not None:
        kind = SecretKind.KEY_FILE
    path = new_passphrase_file or new_key_file or ""
    with job() as one:
        _tell_added(one, add_key(one.run, NewKey(kind, path, recovery, role == "reader")))
    return 0


def _tell_added(one: Job, report: AddReport) -> None:
    output = one.output
    output.record(
        "key_added",
        id=report.id,
        kind=report.kind,
        role=report.role,
        recovery_key=report.recovery_key or None,
        key_file=report.key_file or None,
        key_file_made=report.key_file_made,
    )
    kind = report.kind.replace("_", " ")
    output.line(f"key {report.id[:8]} added: {kind}, {report.role}")
    if report.key_file_made:
        output.line(f"key file made: {report.key_file} (copy it to a safe place)")
    if report.recovery_key:
        output.wanted("recovery key, shown this once:")
        output.wanted(f"  {report.recovery_key}")
    output.line("next: strongroom key list")


def remove(key_id: str) -> int:
    """Remove a key."""
    with job() as one:
        report = remove_key(one.run, key_id)
        shown = report.id[:8]
        one.output.record(
            "key_removed", id=report.id, finished_before=report.before, kept=report.kept or None
        )
        if report.kept:
            one.output.line(f"key {shown} opens the repository no more, but its object stays")
            one.output.notice(
                f"warning: the object could not be deleted: {report.kept}. Run the same command "
                "where the store allows it"
            )
            return INCOMPLETE
        again = ", as an earlier command had decided" if report.before else ""
        one.output.line(f"key {shown} removed{again}")
        one.output.line(
            "whoever copied the repository before and has its secret can read that copy, and what "
            "is backed up later, too; if it is in wrong hands, back up into a new repository"
        )
    return 0


def export(*, name: str, to: str, domain: str | None) -> int:
    """Make an agent."""
    if not to:
        raise click.UsageError("--to is empty")
    with job() as one:
        report = export_agent(one.run, name, domain, to)
        one.output.record(
            "agent_exported",
            id=report.id,
            name=report.name,
            domain=report.domain,
            path=report.path,
            repository=report.url,
        )
        one.output.line(f"agent {report.name} made: it backs up and reads nothing")
        one.output.line(f"its key is in {report.path}; move it to that host, with mode 0600")
        one.output.line(
            f"next, there: strongroom -r {report.url} --key-file "
            f"{report.path.rpartition('/')[2]} backup ./FOLDER"
        )
    return 0
