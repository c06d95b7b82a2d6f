"""What is known of an instance or a cluster, as a record that outlives it. Pure.

It is JSON: all that ``DescribeDBInstances`` and ``DescribeDBClusters`` say, but for what changes
every minute, and the parameters that a person set. No secret is in it: AWS tells none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from strongroom.aws.rds.settings import (
    Document,
    Settings,
    cluster_settings,
    instance_settings,
    member_settings,
)
from strongroom.errors import DamageError

KIND: Final = "rds"
JOURNAL_KIND: Final = "rds-recovery"
SETTINGS_FILE: Final = "settings.json"
FORMAT: Final = 1
INSTANCE: Final = "instance"
CLUSTER: Final = "cluster"
WRITER: Final = "writer"
READER: Final = "reader"
_PASSING: Final = frozenset(
    {
        "LatestRestorableTime",
        "EarliestRestorableTime",
        "Capacity",
        "PercentProgress",
        "BacktrackConsumedChangeRecords",
        "StorageOperationPercentProgress",
    }
)


class Role(msgspec.Struct, frozen=True):
    """A role that a database may use, such as for imports from S3."""

    arn: str
    feature: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An instance, or a cluster with its instances, the writer first.

    ``parameters``: of each parameter group that is in use, by its name, what a person set.
    """

    format: int = FORMAT
    kind: str
    identifier: str
    region: str = ""
    document: dict[str, Any]
    members: list[dict[str, Any]] = []
    parameters: dict[str, dict[str, str]] = {}

    @property
    def resource(self) -> str:
        """The id that AWS gives once and never again."""
        key = "DbiResourceId" if self.kind == INSTANCE else "DbClusterResourceId"
        return str(self.document.get(key, ""))

    @property
    def arn(self) -> str:
        """The name that is unique in all of AWS."""
        key = "DBInstanceArn" if self.kind == INSTANCE else "DBClusterArn"
        return str(self.document.get(key, ""))

    @property
    def engine(self) -> str:
        """The engine and its version, such as ``postgres 16.4``."""
        return f"{self.document.get('Engine', '')} {self.document.get('EngineVersion', '')}".strip()

    @property
    def status(self) -> str:
        """What AWS says that it does."""
        key = "DBInstanceStatus" if self.kind == INSTANCE else "Status"
        return str(self.document.get(key, ""))

    @property
    def settings(self) -> Settings:
        """Its settings, as ``settings.py`` calls them."""
        read = instance_settings if self.kind == INSTANCE else cluster_settings
        return read(self.document)

    @property
    def roles(self) -> list[Role]:
        """The roles that it may use."""
        return roles_of(self.document)

    @property
    def endpoints(self) -> dict[str, str]:
        """Where clients reach it, in small letters: ``writer``, of a cluster also ``reader``."""
        return endpoints_of(self.kind, self.document)

    def members_settings(self) -> list[Settings]:
        """Return the settings of the instances of a cluster, the writer first."""
        return [member_settings(one) for one in self.members]

    def encoded(self) -> bytes:
        """Return it as JSON for people and programs."""
        text = json.dumps(msgspec.to_builtins(self), indent=2, sort_keys=True, ensure_ascii=False)
        return f"{text}\n".encode()


def roles_of(document: Document) -> list[Role]:
    """Return the roles that what is described may use."""
    return [
        Role(one["RoleArn"], one.get("FeatureName", ""))
        for one in document.get("AssociatedRoles") or []
        if one.get("RoleArn")
    ]


def endpoints_of(kind: str, document: Document) -> dict[str, str]:
    """Return where clients reach what is described; empty while it has no address yet."""
    if kind == INSTANCE:
        address = (document.get("Endpoint") or {}).get("Address", "")
        return {WRITER: address.lower()} if address else {}
    found = {WRITER: document.get("Endpoint"), READER: document.get("ReaderEndpoint")}
    return {name: address.lower() for name, address in found.items() if address}


def settings_path(source: str) -> str:
    """Return where a snapshot keeps the record of a source."""
    return f"{KIND}/{source}/{SETTINGS_FILE}"


def decoded(data: bytes, where: str) -> Record:
    """Read a record; ``DamageError`` if it is none."""
    try:
        record = msgspec.json.decode(data, type=Record)
    except msgspec.DecodeError as error:
        raise DamageError(f"{where} is no record of an instance: {error}") from error
    if record.format != FORMAT:
        raise DamageError(
            f"{where} is a record of form {record.format}, which this version does not know",
            hint="A newer version of strongroom wrote it.",
        )
    return record


def lasting(document: Document) -> dict[str, Any]:
    """Return what AWS said as values of JSON, without what changes by itself."""
    return {key: _plain(value) for key, value in document.items() if key not in _PASSING}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever AWS says
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value
