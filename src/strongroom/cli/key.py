"""``strongroom key``."""

from __future__ import annotations

from typing import Final, Literal

import click

from strongroom.app.keys import (
    AddReport,
    KeyInfo,
    KeyList,
    NewKey,
    SecretKind,
    add_key,
    dependence,
    export_agent,
    list_keys,
    remove_key,
    replace_kms_key,
    revoke_agent,
    rotate_keys,
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
            kms_key=key.kms.arn if key.kms else None,
            region=key.kms.region if key.kms else None,
        )
    for agent in found.agents:
        output.record(
            "agent",
            id=agent.id,
            name=agent.name,
            domain=agent.domain,
            made=rfc3339(agent.made_ns),
            damage=agent.damage or None,
            revoked=agent.revoked,
        )
    output.record(
        "summary",
        keys=len(found.keys),
        agents=len(found.agents),
        unfinished=list(found.unfinished),
        unreadable=list(found.unreadable),
        epoch=found.epoch,
        depends_on=dependence(found.keys) or None,
    )


def _table(output: Output, found: KeyList) -> None:
    rows = [("id", "kind", "role", "made", "")]
    for key in found.keys:
        kind = _kind(key)
        role = key.role.name.lower() if key.role else "?"
        note = "opened now" if key.opened else "damaged" if key.damage else ""
        if key.kms is not None:
            note = f"{key.kms.arn}{', ' if note else ''}{note}"
        rows.append((key.id[:8], kind, role, moment(key.made_ns), note))
    for agent in found.agents:
        note = f"'{harmless(agent.name)}'" if not agent.damage else "damaged"
        note += ", revoked" if agent.revoked else ""
        made = moment(agent.made_ns) if not agent.damage else "?"
        rows.append((agent.id[:8], "agent", "agent", made, note))
    for line in table(rows):
        output.wanted(line)
    if alone := dependence(found.keys):
        output.notice(
            f"warning: {alone} alone decides whether the repository opens with a full key. Add a "
            "recovery key, and keep it elsewhere: strongroom key add --recovery"
        )
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


def _kind(key: KeyInfo) -> str:
    if key.kms is not None:
        return f"KMS in {key.kms.region}"
    return key.kind.name.lower().replace("_", " ") if key.kind else "?"


def add(
    *,
    new_passphrase_file: str | None,
    new_key_file: str | None,
    kms: str | None,
    recovery: bool,
    role: Literal["full", "reader"],
) -> int:
    """Add a key."""
    given = [one for one in (new_passphrase_file, new_key_file, kms, recovery or None) if one]
    if "" in (new_passphrase_file, new_key_file, kms):
        raise click.UsageError("the name of the new key, or of its file, is empty")
    if len(given) > 1:
        raise click.UsageError(
            "give one of --new-passphrase-file, --new-key-file, --kms and --recovery: one key a "
            "time"
        )
    kind = None
    if new_passphrase_file is not None:
        kind = SecretKind.PASSPHRASE_FILE
    elif new_key_file is not None:
        kind = SecretKind.KEY_FILE
    path = new_passphrase_file or new_key_file or ""
    with job() as one:
        wanted = NewKey(kind, path, kms or "", recovery, role == "reader")
        _tell_added(one, add_key(one.run, wanted))
    return 0


def rotate(*, kms_slot: str | None, kms: str | None) -> int:
    """Begin an epoch, or replace a key of KMS."""
    if (kms_slot is None) != (kms is None) or "" in (kms_slot, kms):
        raise click.UsageError("--kms-slot ID says which key goes, and --kms KEY what comes for it")
    if kms_slot is not None and kms is not None:
        return _replace(kms_slot, kms)
    with job() as one:
        report = rotate_keys(one.run)
        one.output.record("keys_rotated", epoch=report.epoch, keys=report.keys)
        readers = counted(report.keys, "key")
        one.output.line(f"key epoch {report.epoch} began; {readers} can read what is stored in it")
        one.output.line("what was stored before stays as it is, and can be read as before")
    return 0


def _replace(kms_slot: str, kms: str) -> int:
    with job() as one:
        new, removed = replace_kms_key(one.run, kms_slot, kms)
        one.output.record("kms_key_replaced", id=new, removed=removed.id, kept=removed.kept or None)
        one.output.line(
            f"key {new[:8]} was made and opened; key {removed.id[:8]} opens nothing more"
        )
        if removed.kept:
            one.output.notice(
                f"warning: its object could not be deleted: {removed.kept}. Run 'strongroom key "
                f"remove {removed.id[:8]}' where the store allows it"
            )
            return INCOMPLETE
    return 0


def revoke(agent: str) -> int:
    """Revoke an agent."""
    with job() as one:
        report = revoke_agent(one.run, agent)
        one.output.record(
            "agent_revoked",
            id=report.id,
            accepted=report.accepted,
            late=list(report.late),
            revoked_before=report.before,
        )
        kept = counted(report.accepted, "snapshot")
        before = " was revoked before" if report.before else " is revoked"
        one.output.line(f"agent {report.id[:8]}{before}: {kept} of it count, and no later one")
        for snapshot in report.late:
            one.output.notice(
                f"warning: snapshot {snapshot[:8]} came at the same moment and does not count; if "
                f"it is good: strongroom undelete {snapshot[:8]}"
            )
        one.output.line("take its access to the store away as well")
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
            "is backed up later, too, until 'strongroom key rotate'; if it was a full key and is "
            "in wrong hands, back up into a new repository"
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
