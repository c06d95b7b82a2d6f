"""What the options of a restore say of a bucket, a database, and configuration in AWS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from strongroom.cli.consent import Consent


class Objects(NamedTuple):
    """Options that only objects have."""

    bucket: str
    in_place: bool
    prefix: str
    at: str


def taken_from(given: dict[str, Any]) -> Objects:
    """Take the options of objects out of all that were given."""
    texts = [given.pop(name) or "" for name in ("to_bucket", "prefix", "at")]
    return Objects(texts[0], given.pop("in_place"), *texts[1:])


class ToBucket(NamedTuple):
    """What the options say of a restore into a bucket."""

    objects: Objects
    delete: bool
    verify: bool
    environment: str
    dry_run: bool
    consent: Consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """What the options say of a database."""

    database: str | None
    to_database: str | None
    source: str | None
    server: str | None
    environment: str | None
    replace: bool
    undo: bool
    resume: bool
    globals_: bool
    tables: Sequence[str]
    schemas: Sequence[str]
    dry_run: bool
    no_owner: bool
    consent: Consent

    @property
    def partial(self) -> bool:
        """Whether only some tables or schemas are wanted."""
        return bool(self.tables or self.schemas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the options say of configuration in AWS."""

    configuration: bool
    stack: str | None
    to_stack: str | None
    stack_parameters: str | None
    parameters: Sequence[str]
    secrets: Sequence[str]
    mapped: Sequence[str]
    region: str | None
    kms_key: str | None
    no_pre_backup: bool
    source: str | None
    environment: str | None
    delete: bool
    undo: bool
    dry_run: bool
    consent: Consent
