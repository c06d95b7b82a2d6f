"""Records of AWS configuration in a snapshot: read, and compared."""

from __future__ import annotations

from collections.abc import Iterator

from strongroom.app.awsconfig import source_of
from strongroom.app.awsconfig_found import (
    configurations_in,
    holds_secrets,
    is_record,
    require_configurations,
)
from strongroom.app.machine import Run
from strongroom.aws.explaining import differences, text_differences
from strongroom.aws.records import Record, decoded
from strongroom.errors import UsageError
from strongroom.model.entry import Entry
from strongroom.model.snapshot import ListedSnapshot, SourceRecord
from strongroom.operations.changes import Change, DiffResult, Modifier
from strongroom.operations.diff import Take
from strongroom.operations.diff_disk import Living, diff_disk
from strongroom.operations.listing import dump_entry
from strongroom.operations.restore import tree_of
from strongroom.repository.reader import Reader
from strongroom.repository.repository import Repository
from strongroom.sources.awsconfig.source import ConfigurationSource


def records_of(
    reader: Reader, listed: ListedSnapshot, source: SourceRecord
) -> Iterator[tuple[bytes, Record]]:
    """Yield every record of a source, and its path; ``DamageError``."""
    for batch in tree_of(reader, listed, source).entries(b""):
        for entry in batch:
            if is_record(entry.path):
                yield entry.path, decoded(read(reader, listed, entry), entry.path.decode())


def read(reader: Reader, listed: ListedSnapshot, entry: Entry) -> bytes:
    """Return the bytes of a small file; ``DamageError``."""
    data = bytearray()
    dump_entry(reader.fetch, listed, entry, data.extend)
    return bytes(data)


def explained(repository: Repository, old: ListedSnapshot, new: ListedSnapshot, take: Take) -> Take:
    """Return ``take`` for changes that say what is different in a record."""
    if not any(configurations_in(one) for one in (old, new)):
        return take
    reader = repository.reader()

    def told(change: Change) -> None:
        before, after = change.before, change.after
        if change.modifier is Modifier.CONTENT and before is not None and after is not None:
            path = change.entry.path
            if holds_secrets(old, path) and holds_secrets(new, path):
                both = read(reader, old, before), read(reader, new, after)
                change = change._replace(details=_details(path, *both))
        take(change)

    return told


def _details(path: bytes, before: bytes, after: bytes) -> tuple[str, ...]:
    if not is_record(path):
        return tuple(text_differences(before, after))
    shown = path.decode("utf-8", "backslashreplace")
    return tuple(differences(decoded(before, shown), decoded(after, shown)))


# -- a snapshot and the account


def diff_live(
    run: Run, repository: Repository, listed: ListedSnapshot, name: str, take: Take
) -> DiffResult:
    """Give every difference between the records of a snapshot and the account to ``take``.

    ``name``: a source, empty for every source of configuration that the snapshot has.
    """
    found = require_configurations(listed, name)
    reader = repository.reader()
    result = DiffResult()
    for record in found:
        source = _source_like(run, record)

        def told(change: Change, source: ConfigurationSource = source) -> None:
            before = change.before
            if change.modifier is Modifier.METADATA:
                return  # of who runs this, and not of the account
            if change.modifier is Modifier.CONTENT and before is not None:
                path = change.entry.path
                both = read(reader, listed, before), source.looked_at[path]
                change = change._replace(details=_details(path, *both))
            result.add(change)
            take(change)

        living = Living(record, source, [source.top], whole=True, wanted=lambda _entry: True)
        one = diff_disk(repository, listed, [living], told, read_content=True)
        result.damaged += one.damaged
        result.problems += one.problems
    return result


def _source_like(run: Run, record: SourceRecord) -> ConfigurationSource:
    name = record.name.decode("utf-8", "surrogateescape")
    settings = run.settings.configurations.get(name)
    if settings is None:
        raise UsageError(
            f"which names of the account '{name}' meant is not in the configuration",
            hint=f'Describe it: [sources.{name.rpartition(".")[2]}] with type = "aws-config".',
        )
    return source_of(run, settings)
