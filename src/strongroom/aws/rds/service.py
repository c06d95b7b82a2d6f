"""Requests to RDS: each says in its error what was asked, and of whom."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError, refusals
from strongroom.aws.rds.record import CLUSTER, INSTANCE, Record, lasting
from strongroom.aws.rds.settings import OWN_TAG
from strongroom.aws.rds.window import Window, windows_of

_ABSENT: Final = frozenset(
    {
        "DBInstanceNotFound",
        "DBInstanceNotFoundFault",
        "DBClusterNotFoundFault",
        "DBSnapshotNotFound",
        "DBSnapshotNotFoundFault",
        "DBClusterSnapshotNotFoundFault",
        "DBInstanceAutomatedBackupNotFound",
        "DBClusterAutomatedBackupNotFoundFault",
    }
)
_DEFAULT_GROUP: Final = "default."

Answer = dict[str, Any]


class Rds:
    """RDS of one account and region; ``region`` is another than the account's."""

    def __init__(self, clients: Clients, region: str = "") -> None:
        self._clients = clients
        self.region = region or clients.region()
        self._region = region

    def call(self, doing: str, request: str, **said: Any) -> Answer:  # noqa: ANN401 - as boto3 has it
        """Make a request by boto3's name of it; ``AwsError`` for a no."""
        client = self._clients.client("rds", self._region)
        with refusals(doing, str(self._clients.account)):
            answer: Answer = getattr(client, request)(**said)
        return answer

    def takes(self, operation: str) -> Collection[str]:
        """Return what a request may say, by AWS's name of it, as this version of boto3 knows it."""
        model = self._clients.client("rds", self._region).meta.service_model
        return frozenset(model.operation_model(operation).input_shape.members)

    def pages(self, doing: str, request: str, key: str, **said: Any) -> list[Answer]:  # noqa: ANN401 - as above
        """Return all of a list that comes in pages; empty where what it is of is not there."""
        client = self._clients.client("rds", self._region)
        found: list[Answer] = []
        try:
            with refusals(doing, str(self._clients.account)):
                for page in client.get_paginator(request).paginate(**said):
                    found += page.get(key, [])
        except AwsError as error:
            if error.said in _ABSENT:
                return []
            raise
        return found

    def described(self, kind: str, identifier: str) -> Answer | None:
        """Return what AWS says of an instance or a cluster; None if there is none."""
        request, key, name = {
            INSTANCE: ("describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
            CLUSTER: ("describe_db_clusters", "DBClusters", "DBClusterIdentifier"),
        }[kind]
        found = self.pages(f"looking at {identifier}", request, key, **{name: identifier})
        return found[0] if found else None

    def record(self, kind: str, identifier: str) -> Record | None:
        """Return all that is known of an instance or a cluster; None if there is none."""
        document = self.described(kind, identifier)
        if document is None:
            return None
        order = sorted(
            document.get("DBClusterMembers") or [],
            key=lambda one: (
                not one.get("IsClusterWriter"),
                one.get("PromotionTier", 1),
                one["DBInstanceIdentifier"],
            ),
        )
        found = [self.described(INSTANCE, one["DBInstanceIdentifier"]) for one in order]
        members = [lasting(one) for one in found if one is not None]
        return Record(
            kind=kind,
            identifier=identifier,
            region=self.region,
            document=lasting(document),
            members=members,
            parameters=self._parameters([document, *members]),
        )

    def windows(self, kind: str, identifier: str) -> list[Window]:
        """Return what automated backups reach, those of the live one first."""
        request, key, name, resource = {
            INSTANCE: (
                "describe_db_instance_automated_backups",
                "DBInstanceAutomatedBackups",
                "DBInstanceIdentifier",
                "DbiResourceId",
            ),
            CLUSTER: (
                "describe_db_cluster_automated_backups",
                "DBClusterAutomatedBackups",
                "DBClusterIdentifier",
                "DbClusterResourceId",
            ),
        }[kind]
        doing = f"looking at the automated backups of {identifier}"
        return windows_of(self.pages(doing, request, key, **{name: identifier}), resource)

    def snapshots(self, kind: str, identifier: str) -> list[Answer]:
        """Return the snapshots of an instance or a cluster, the newest first."""
        request, key, name = {
            INSTANCE: ("describe_db_snapshots", "DBSnapshots", "DBInstanceIdentifier"),
            CLUSTER: (
                "describe_db_cluster_snapshots",
                "DBClusterSnapshots",
                "DBClusterIdentifier",
            ),
        }[kind]
        found = self.pages(f"listing snapshots of {identifier}", request, key, **{name: identifier})
        return sorted(found, key=lambda one: str(one.get("SnapshotCreateTime", "")), reverse=True)

    def snapshot(self, kind: str, name: str) -> Answer | None:
        """Return a snapshot by its name or ARN; None if there is none."""
        request, key, by = {
            INSTANCE: ("describe_db_snapshots", "DBSnapshots", "DBSnapshotIdentifier"),
            CLUSTER: (
                "describe_db_cluster_snapshots",
                "DBClusterSnapshots",
                "DBClusterSnapshotIdentifier",
            ),
        }[kind]
        found = self.pages(f"looking at snapshot {name}", request, key, **{by: name})
        return found[0] if found else None

    def maintenance(self, arn: str) -> list[str]:
        """Return what maintenance waits, in AWS's words."""
        found = self.pages(
            f"looking at the maintenance of {arn}",
            "describe_pending_maintenance_actions",
            "PendingMaintenanceActions",
            ResourceIdentifier=arn,
        )
        details = [one for of in found for one in of.get("PendingMaintenanceActionDetails", [])]
        return [f"{one.get('Action', '')}: {one.get('Description', '')}" for one in details]

    def _parameters(self, documents: list[Answer]) -> dict[str, dict[str, str]]:
        """Return what a person set in each parameter group that is in use."""
        found: dict[str, dict[str, str]] = {}
        for document in documents:
            for one in document.get("DBParameterGroups") or []:
                name = one["DBParameterGroupName"]
                self._group(found, name, "describe_db_parameters", "DBParameterGroupName")
            cluster = document.get("DBClusterParameterGroup")
            if isinstance(cluster, str) and "DBClusterIdentifier" in document:
                by = "DBClusterParameterGroupName"
                self._group(found, cluster, "describe_db_cluster_parameters", by)
        return found

    def _group(self, found: dict[str, dict[str, str]], name: str, request: str, by: str) -> None:
        if name in found or name.startswith(_DEFAULT_GROUP):
            return
        doing = f"reading the parameter group {name}"
        rows = self.pages(doing, request, "Parameters", **{by: name, "Source": "user"})
        found[name] = {
            one["ParameterName"]: one["ParameterValue"] for one in rows if "ParameterValue" in one
        }


def own_tag(document: Answer | None) -> str:
    """Return which recovery made what is described; empty if none did."""
    tags = (document or {}).get("TagList") or []
    return next((one.get("Value", "") for one in tags if one["Key"] == OWN_TAG), "")
