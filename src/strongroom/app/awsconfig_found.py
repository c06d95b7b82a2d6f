"""AWS configuration in a snapshot: found, and shown without its secrets."""

from __future__ import annotations

from typing import Final

from strongroom.app.machine import Run
from strongroom.aws.records import KIND, decoded, encoded, redacted
from strongroom.errors import NotFoundError
from strongroom.model.snapshot import ListedSnapshot, SourceRecord
from strongroom.repository.tree import is_below

_RECORD: Final = b".json"


def is_record(path: bytes) -> bool:
    """Whether a file of a source of configuration is a record."""
    return path.endswith(_RECORD)


def configurations_in(listed: ListedSnapshot, name: str = "") -> list[SourceRecord]:
    """Return the sources of configuration of a snapshot, or the one of a name."""
    return [
        one
        for one in listed.snapshot.sources
        if one.kind == KIND.encode() and name.encode() in {b"", one.name}
    ]


def require_configurations(listed: ListedSnapshot, name: str = "") -> list[SourceRecord]:
    """Return them as ``configurations_in`` does; ``NotFoundError`` if there are none."""
    found = configurations_in(listed, name)
    if not found:
        which = f" called '{name}'" if name else ""
        raise NotFoundError(
            f"snapshot {listed.short_id} has no source of AWS configuration{which}",
            hint="See what it holds with 'strongroom snapshots'.",
        )
    return found


def holds_secrets(listed: ListedSnapshot, top: bytes) -> bool:
    """Whether what is at or below a path may be a record with a secret in it, or hold one."""
    places = [path.strip(b"/") for one in configurations_in(listed) for path in one.paths]
    return any(is_below(top, path) or is_below(path, top) for path in places)


def warn_of_secrets(run: Run, listed: ListedSnapshot, top: bytes) -> None:
    """Say that what is written out holds secrets in clear, if it may."""
    if holds_secrets(listed, top):
        run.warn("records of AWS configuration are among this, with their secrets in clear")


def shown_record(data: bytes, path: bytes) -> bytes:
    """Return what is shown of a file of a source of configuration: no secret in it."""
    if not is_record(path):
        return data
    record = decoded(data, path.decode("utf-8", "backslashreplace"))
    return encoded(redacted(record))
