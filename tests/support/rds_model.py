"""RDS where moto is not like it: moments are checked, nothing is there at once, defaults count.

What a restore is not told is what AWS gives by default, never what the source has. States go on
with every look. From AWS's API reference and user guide of RDS.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

ACCOUNT: Final = "123456789012"
EARLIEST: Final = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)
LATEST: Final = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
Said = dict[str, Any]
Document = dict[str, Any]


class Fault(Exception):  # noqa: N818 - as the API calls it
    """A no of the service, by its name."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass
class Region:
    """What there is in a region; ``slow``: how many looks something takes to become ready.

    ``ignores``: settings that requests take and do not set. ``waiting``: looks that are left.
    """

    name: str = "eu-west-2"
    slow: int = 0
    instances: dict[str, Document] = field(default_factory=dict)
    clusters: dict[str, Document] = field(default_factory=dict)
    snapshots: dict[str, Document] = field(default_factory=dict)
    cluster_snapshots: dict[str, Document] = field(default_factory=dict)
    instance_backups: list[Document] = field(default_factory=list)
    cluster_backups: list[Document] = field(default_factory=list)
    parameters: dict[str, dict[str, str]] = field(default_factory=dict)
    maintenance: dict[str, list[Document]] = field(default_factory=dict)
    ignores: set[str] = field(default_factory=set)
    waiting: dict[str, tuple[int, Said]] = field(default_factory=dict)
    made: int = 0

    # -- time goes on

    def look(self, key: str, document: Document) -> Document:
        """Return what is said of something now, one look later."""
        if key in self.waiting:
            left, then = self.waiting[key]
            if left > 0:
                self.waiting[key] = (left - 1, then)
            else:
                del self.waiting[key]
                if then.pop("gone", False):
                    document["gone"] = True
                document.update(then)
        return document

    def later(self, key: str, then: Said) -> None:
        """Say what something becomes after some looks."""
        self.waiting[key] = (self.slow, then)

    def id(self, kind: str) -> str:
        """Return an id that was never given before."""
        self.made += 1
        return f"{kind}-{self.made:026d}"

    def arn(self, kind: str, name: str) -> str:
        """Return an ARN."""
        return f"arn:aws:rds:{self.name}:{ACCOUNT}:{kind}:{name}"

    # -- instances

    def describe_instances(self, said: Said) -> Said:
        """See the API."""
        found = []
        for name, document in list(self.instances.items()):
            if said.get("DBInstanceIdentifier", name) != name:
                continue
            self.look(f"db:{name}", document)
            if document.get("gone"):
                del self.instances[name]
                continue
            found.append(document)
        if "DBInstanceIdentifier" in said and not found:
            raise Fault("DBInstanceNotFound", f"DBInstance {said} not found.", 404)
        return {"DBInstances": found}

    def instance(self, name: str, status: str | None = None) -> Document:
        """Return an instance; a no if there is none, or it has another status."""
        if name not in self.instances:
            raise Fault("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
        document = self.instances[name]
        if status is not None and document["DBInstanceStatus"] != status:
            raise Fault("InvalidDBInstanceState", f"{name} is {document['DBInstanceStatus']}")
        return document

    def add_instance(self, name: str, **more: Any) -> Document:  # noqa: ANN401 - a document
        """Make an instance that is available, with AWS's defaults but for ``more``."""
        resource = self.id("db")
        document = {
            "DBInstanceIdentifier": name,
            "DbiResourceId": resource,
            "DBInstanceArn": self.arn("db", name),
            "DBInstanceStatus": "available",
            "InstanceCreateTime": EARLIEST,
            "Engine": "postgres",
            "EngineVersion": "16.4",
            "MasterUsername": "postgres",
            "DBInstanceClass": "db.m6g.large",
            "AllocatedStorage": 20,
            "StorageType": "gp2",
            "MultiAZ": False,
            "PubliclyAccessible": False,
            "DeletionProtection": False,
            "CopyTagsToSnapshot": False,
            "AutoMinorVersionUpgrade": True,
            "IAMDatabaseAuthenticationEnabled": False,
            "BackupRetentionPeriod": 1,
            "PreferredBackupWindow": "03:00-03:30",
            "PreferredMaintenanceWindow": "sun:05:00-sun:05:30",
            "MonitoringInterval": 0,
            "PerformanceInsightsEnabled": False,
            "NetworkType": "IPV4",
            "BackupTarget": "region",
            "CACertificateIdentifier": "rds-ca-rsa2048-g1",
            "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
            "StorageEncrypted": False,
            "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-default", "Status": "active"}],
            "DBSubnetGroup": {"DBSubnetGroupName": "default"},
            "DBParameterGroups": [_group("default.postgres16")],
            "OptionGroupMemberships": [
                {"OptionGroupName": "default:postgres-16", "Status": "in-sync"}
            ],
            "AssociatedRoles": [],
            "TagList": [],
            "Endpoint": {"Address": self.host(name), "Port": 5432, "HostedZoneId": "Z1"},
            **more,
        }
        self.instances[name] = document
        return document

    def host(self, name: str) -> str:
        """Return where an instance or a cluster is reached."""
        return f"{name}.c1a2b3.{self.name}.rds.amazonaws.com"

    def back_up(
        self, name: str, *, earliest: datetime = EARLIEST, latest: datetime = LATEST
    ) -> None:
        """Let an instance have automated backups."""
        document = self.instances[name]
        document["LatestRestorableTime"] = latest
        self.instance_backups.append(
            {
                "DBInstanceIdentifier": name,
                "DbiResourceId": document["DbiResourceId"],
                "Status": "active",
                "RestoreWindow": {"EarliestTime": earliest, "LatestTime": latest},
                "copied": copy.deepcopy(document),
            }
        )

    def lose(self, name: str) -> None:
        """Delete an instance, whose automated backups are retained."""
        document = self.instances.pop(name)
        for backup in self.instance_backups:
            if backup["DbiResourceId"] == document["DbiResourceId"]:
                backup["Status"] = "retained"

    def restore_instance(self, said: Said) -> Said:
        """See the API."""
        by = "DbiResourceId" if "SourceDbiResourceId" in said else "DBInstanceIdentifier"
        wanted = said.get("SourceDbiResourceId") or said.get("SourceDBInstanceIdentifier")
        backups = [
            one
            for one in self.instance_backups
            if one[by] == wanted and (by == "DbiResourceId" or one["Status"] == "active")
        ]
        if not backups:
            raise Fault("DBInstanceNotFound", f"no automated backups of {wanted}", 404)
        self._check_time(backups[0], said, "RestoreTime")
        name = said["TargetDBInstanceIdentifier"]
        self._refuse_taken(name)
        source = backups[0]["copied"]
        kept = ("Engine", "EngineVersion", "MasterUsername", "AllocatedStorage", "StorageType",
                "StorageEncrypted", "KmsKeyId", "DBInstanceClass", "DBName")  # fmt: skip
        document = self.add_instance(name, **{key: source[key] for key in kept if key in source})
        self._set(document, said)
        self._begin(document)
        return {"DBInstance": document}

    def create_instance(self, said: Said) -> Said:
        """See the API; instances of clusters only."""
        cluster = self.cluster(said["DBClusterIdentifier"])
        if cluster["Status"] != "available":
            raise Fault("InvalidDBClusterStateFault", f"the cluster is {cluster['Status']}")
        name = said["DBInstanceIdentifier"]
        self._refuse_taken(name)
        document = self.add_member(cluster, name)
        self._set(document, said)
        self._begin(document)
        return {"DBInstance": document}

    def _begin(self, document: Document) -> None:
        endpoint = document.pop("Endpoint")
        document["DBInstanceStatus"] = "creating"
        then = {"DBInstanceStatus": "available", "Endpoint": endpoint}
        self.later(f"db:{document['DBInstanceIdentifier']}", then)

    def _refuse_taken(self, name: str) -> None:
        if name in self.instances:
            raise Fault("DBInstanceAlreadyExists", f"DB instance {name} already exists")

    def _check_time(self, backup: Document, said: Said, key: str) -> None:
        window = backup["RestoreWindow"]
        latest = said.get("UseLatestRestorableTime", False)
        if (key in said) == latest:
            raise Fault("InvalidParameterCombination", "give one of time and latest")
        if not latest and not window["EarliestTime"] <= said[key] < window["LatestTime"]:
            raise Fault("InvalidRestoreFault", f"{said[key]} is outside of {window}")

    def modify_instance(self, said: Said) -> Said:
        """See the API; what is not applied at once is never."""
        name = said["DBInstanceIdentifier"]
        document = self.instance(name, "available")
        assert said.get("ApplyImmediately"), said
        then = copy.deepcopy(document)
        self._set(then, said)
        group = said.get("DBParameterGroupName")
        if group is not None:
            then["DBParameterGroups"] = [_group(group, "pending-reboot")]
        document["DBInstanceStatus"] = "modifying"
        self.later(f"db:{name}", then)
        return {"DBInstance": document}

    def reboot(self, said: Said) -> Said:
        """See the API."""
        name = said["DBInstanceIdentifier"]
        document = self.instance(name, "available")
        document["DBInstanceStatus"] = "rebooting"
        groups = [_group(one["DBParameterGroupName"]) for one in document["DBParameterGroups"]]
        self.later(f"db:{name}", {"DBInstanceStatus": "available", "DBParameterGroups": groups})
        return {"DBInstance": document}

    def delete_instance(self, said: Said) -> Said:
        """See the API."""
        name = said["DBInstanceIdentifier"]
        document = self.instance(name)
        if document["DeletionProtection"]:
            raise Fault("InvalidParameterCombination", "Cannot delete protected DB Instance")
        final = said.get("FinalDBSnapshotIdentifier")
        if "DBClusterIdentifier" not in document and (final is None) == (
            not said.get("SkipFinalSnapshot")
        ):
            raise Fault("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required")
        if final is not None:
            self.create_snapshot({"DBSnapshotIdentifier": final, "DBInstanceIdentifier": name})
        cluster = self.clusters.get(document.get("DBClusterIdentifier", ""))
        if cluster is not None:
            cluster["DBClusterMembers"] = [
                one for one in cluster["DBClusterMembers"] if one["DBInstanceIdentifier"] != name
            ]
        document["DBInstanceStatus"] = "deleting"
        self.later(f"db:{name}", {"gone": True})
        return {"DBInstance": document}

    def add_role_to_instance(self, said: Said) -> Said:
        """See the API."""
        document = self.instance(said["DBInstanceIdentifier"], "available")
        role = {"RoleArn": said["RoleArn"], "FeatureName": said["FeatureName"], "Status": "ACTIVE"}
        document["AssociatedRoles"].append(role)
        return {}

    def add_tags(self, said: Said) -> Said:
        """See the API."""
        for document in [*self.instances.values(), *self.clusters.values()]:
            if said["ResourceName"] in {
                document.get("DBInstanceArn"),
                document.get("DBClusterArn"),
            }:
                document["TagList"] += said["Tags"]
        return {}

    # -- clusters

    def add_cluster(self, name: str, **more: Any) -> Document:  # noqa: ANN401 - a document
        """Make a cluster that is available and has no instances, with AWS's defaults."""
        document = {
            "DBClusterIdentifier": name,
            "DbClusterResourceId": self.id("cluster"),
            "DBClusterArn": self.arn("cluster", name),
            "Status": "available",
            "Engine": "aurora-postgresql",
            "EngineVersion": "16.4",
            "EngineMode": "provisioned",
            "MasterUsername": "postgres",
            "Port": 5432,
            "Endpoint": self.host(f"{name}.cluster"),
            "ReaderEndpoint": self.host(f"{name}.cluster-ro"),
            "BackupRetentionPeriod": 1,
            "PreferredBackupWindow": "03:00-03:30",
            "PreferredMaintenanceWindow": "sun:05:00-sun:05:30",
            "DeletionProtection": False,
            "CopyTagsToSnapshot": False,
            "StorageEncrypted": False,
            "IAMDatabaseAuthenticationEnabled": False,
            "NetworkType": "IPV4",
            "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
            "DBSubnetGroup": "default",
            "DBClusterParameterGroup": "default.aurora-postgresql16",
            "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-default", "Status": "active"}],
            "DBClusterMembers": [],
            "AssociatedRoles": [],
            "TagList": [],
            **more,
        }
        self.clusters[name] = document
        return document

    def add_member(self, cluster: Document, name: str, **more: Any) -> Document:  # noqa: ANN401
        """Make an instance of a cluster; the first one writes."""
        of = cluster["DBClusterIdentifier"]
        plain = {"PromotionTier": 1, "DBClusterIdentifier": of, "Engine": cluster["Engine"]}
        document = self.add_instance(name, **{**plain, **more})
        member = {
            "DBInstanceIdentifier": name,
            "IsClusterWriter": not cluster["DBClusterMembers"],
            "PromotionTier": document["PromotionTier"],
        }
        cluster["DBClusterMembers"].append(member)
        return document

    def cluster(self, name: str) -> Document:
        """Return a cluster; a no if there is none."""
        if name not in self.clusters:
            raise Fault("DBClusterNotFoundFault", f"DBCluster {name} not found.", 404)
        return self.clusters[name]

    def back_up_cluster(self, name: str) -> None:
        """Let a cluster have automated backups."""
        document = self.clusters[name]
        self.cluster_backups.append(
            {
                "DBClusterIdentifier": name,
                "DbClusterResourceId": document["DbClusterResourceId"],
                "Status": "active",
                "RestoreWindow": {"EarliestTime": EARLIEST, "LatestTime": LATEST},
                "copied": copy.deepcopy(document),
            }
        )

    def describe_clusters(self, said: Said) -> Said:
        """See the API."""
        found = []
        for name, document in list(self.clusters.items()):
            if said.get("DBClusterIdentifier", name) != name:
                continue
            self.look(f"cluster:{name}", document)
            if document.get("gone"):
                del self.clusters[name]
                continue
            found.append(document)
        if "DBClusterIdentifier" in said and not found:
            raise Fault("DBClusterNotFoundFault", "DBCluster not found.", 404)
        return {"DBClusters": found}

    def restore_cluster(self, said: Said) -> Said:
        """See the API: the new cluster has no instances."""
        by = "DbClusterResourceId" if "SourceDbClusterResourceId" in said else "DBClusterIdentifier"
        wanted = said.get("SourceDbClusterResourceId") or said.get("SourceDBClusterIdentifier")
        backups = [one for one in self.cluster_backups if one[by] == wanted]
        if not backups:
            raise Fault("DBClusterNotFoundFault", f"no backups of {wanted}", 404)
        self._check_time(backups[0], said, "RestoreToTime")
        name = said["DBClusterIdentifier"]
        if name in self.clusters:
            raise Fault("DBClusterAlreadyExistsFault", f"DB cluster {name} already exists")
        source = backups[0]["copied"]
        kept = ("Engine", "EngineVersion", "MasterUsername", "StorageEncrypted", "KmsKeyId")
        document = self.add_cluster(name, **{key: source[key] for key in kept if key in source})
        self._set_cluster(document, said)
        document["Status"] = "creating"
        self.later(f"cluster:{name}", {"Status": "available"})
        return {"DBCluster": document}

    def modify_cluster(self, said: Said) -> Said:
        """See the API."""
        name = said["DBClusterIdentifier"]
        document = self.cluster(name)
        then = copy.deepcopy(document)
        self._set_cluster(then, said)
        document["Status"] = "modifying"
        self.later(f"cluster:{name}", {**then, "Status": "available"})
        return {"DBCluster": document}

    def delete_cluster(self, said: Said) -> Said:
        """See the API."""
        name = said["DBClusterIdentifier"]
        document = self.cluster(name)
        if document["DeletionProtection"]:
            raise Fault("InvalidParameterCombination", "Cannot delete protected Cluster")
        if document["DBClusterMembers"]:
            raise Fault("InvalidDBClusterStateFault", "it has instances")
        final = said["FinalDBSnapshotIdentifier"]
        self.create_snapshot({"DBClusterSnapshotIdentifier": final, "DBClusterIdentifier": name})
        document["Status"] = "deleting"
        self.later(f"cluster:{name}", {"gone": True})
        return {"DBCluster": document}

    # -- snapshots

    def create_snapshot(self, said: Said) -> Said:
        """See the API, for instances and clusters."""
        is_cluster = "DBClusterIdentifier" in said
        key = "DBClusterSnapshotIdentifier" if is_cluster else "DBSnapshotIdentifier"
        shelf = self.cluster_snapshots if is_cluster else self.snapshots
        name = said[key]
        if name in shelf:
            raise Fault("DBSnapshotAlreadyExists", f"{name} exists")
        of = (
            self.cluster(said["DBClusterIdentifier"])
            if is_cluster
            else self.instance(said["DBInstanceIdentifier"])
        )
        document = {
            key: name,
            "SnapshotType": "manual",
            "Status": "creating",
            "SnapshotCreateTime": LATEST,
            "Engine": of["Engine"],
            "EngineVersion": of["EngineVersion"],
            "AllocatedStorage": of.get("AllocatedStorage", 1),
            "MasterUsername": of["MasterUsername"],
            "Port": 5432,
            "TagList": said.get("Tags", []),
        }
        if is_cluster:
            document["DBClusterIdentifier"] = of["DBClusterIdentifier"]
            document["DBClusterSnapshotArn"] = self.arn("cluster-snapshot", name)
            document["StorageEncrypted"] = of["StorageEncrypted"]
        else:
            document["DBInstanceIdentifier"] = of["DBInstanceIdentifier"]
            document["DBSnapshotArn"] = self.arn("snapshot", name)
            document["Encrypted"] = of["StorageEncrypted"]
        shelf[name] = document
        self.later(f"snapshot:{name}", {"Status": "available"})
        return {"DBClusterSnapshot" if is_cluster else "DBSnapshot": document}

    def describe_snapshots(self, said: Said, *, of_clusters: bool) -> Said:
        """See the API, for instances or clusters."""
        what = "DBCluster" if of_clusters else "DB"
        by = f"{what}SnapshotIdentifier"
        of = "DBClusterIdentifier" if of_clusters else "DBInstanceIdentifier"
        shelf = self.cluster_snapshots if of_clusters else self.snapshots
        found = [
            self.look(f"snapshot:{name}", document)
            for name, document in shelf.items()
            if said.get(by, name) in {name, document[f"{what}SnapshotArn"]}
            and said.get(of, document[of]) == document[of]
        ]
        if by in said and not found:
            raise Fault(f"{what}SnapshotNotFound" + ("Fault" if of_clusters else ""), "none", 404)
        return {f"{what}Snapshots": found}

    # -- what requests set

    def _set(self, document: Document, said: Said) -> None:
        if (said.get("Iops") or said.get("StorageThroughput")) and (
            said.get("StorageType") == "gp3" and said.get("AllocatedStorage", 0) < 400
        ):
            raise Fault("InvalidParameterCombination", "IOPS with a storage size less than 400")
        for name, value in said.items():
            if name in self.ignores or name == "DBClusterIdentifier":
                continue
            setter = _SETTERS.get(name)
            if setter is not None:
                setter(document, value)
            elif name in document or name in _PLAIN:
                document[name] = value

    def _set_cluster(self, document: Document, said: Said) -> None:
        for name, value in said.items():
            if name in self.ignores or name == "DBClusterIdentifier":
                continue
            setter = _OF_CLUSTERS.get(name) or _SETTERS.get(name)
            if setter is not None:
                setter(document, value)
            elif name in document or name in _PLAIN_OF_CLUSTERS:
                document[name] = value


def _group(name: str, status: str = "in-sync") -> Document:
    return {"DBParameterGroupName": name, "ParameterApplyStatus": status}


def _logs(document: Document, value: Said) -> None:
    logs = set(document.get("EnabledCloudwatchLogsExports", []))
    logs |= set(value.get("EnableLogTypes", []))
    logs -= set(value.get("DisableLogTypes", []))
    document["EnabledCloudwatchLogsExports"] = sorted(logs)


def _as(
    key: str, made: Callable[[Any], Any] = lambda value: value
) -> Callable[[Document, Any], None]:
    def put(document: Document, value: Any) -> None:  # noqa: ANN401 - a value of JSON
        document[key] = made(value)

    return put


def _port(document: Document, value: int) -> None:
    document["Endpoint"] = {**document["Endpoint"], "Port": value}


def _domain(key: str) -> Callable[[Document, Any], None]:
    def put(document: Document, value: Any) -> None:  # noqa: ANN401 - a value of JSON
        memberships = document.setdefault("DomainMemberships", [{}])
        memberships[0][key] = value

    return put


_SETTERS: Final[dict[str, Callable[[Document, Any], None]]] = {
    "VpcSecurityGroupIds": _as(
        "VpcSecurityGroups",
        lambda ids: [{"VpcSecurityGroupId": one, "Status": "active"} for one in ids],
    ),
    "DBSubnetGroupName": _as("DBSubnetGroup", lambda name: {"DBSubnetGroupName": name}),
    "DBParameterGroupName": _as("DBParameterGroups", lambda name: [_group(name)]),
    "OptionGroupName": _as(
        "OptionGroupMemberships", lambda name: [{"OptionGroupName": name, "Status": "in-sync"}]
    ),
    "Port": _port,
    "DBPortNumber": _port,
    "EnableIAMDatabaseAuthentication": _as("IAMDatabaseAuthenticationEnabled"),
    "EnableCloudwatchLogsExports": _as("EnabledCloudwatchLogsExports"),
    "CloudwatchLogsExportConfiguration": _logs,
    "EnablePerformanceInsights": _as("PerformanceInsightsEnabled"),
    "Tags": _as("TagList"),
    "ManageMasterUserPassword": _as(
        "MasterUserSecret", lambda _: {"SecretArn": "arn:new", "SecretStatus": "active"}
    ),
    "EnableCustomerOwnedIp": _as("CustomerOwnedIpEnabled"),
    "Domain": _domain("Domain"),
    "DomainIAMRoleName": _domain("IAMRoleName"),
}
_OF_CLUSTERS: Final[dict[str, Callable[[Document, Any], None]]] = {
    "DBSubnetGroupName": _as("DBSubnetGroup"),
    "DBClusterParameterGroupName": _as("DBClusterParameterGroup"),
    "ScalingConfiguration": _as("ScalingConfigurationInfo"),
    "EnableHttpEndpoint": _as("HttpEndpointEnabled"),
    "Port": _as("Port"),
}
_PLAIN: Final = frozenset(
    {
        "MaxAllocatedStorage", "Iops", "StorageThroughput", "MonitoringRoleArn",
        "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod",
        "DatabaseInsightsMode", "ProcessorFeatures", "DedicatedLogVolume", "PromotionTier",
    }
)  # fmt: skip
_PLAIN_OF_CLUSTERS: Final = _PLAIN | {
    "ServerlessV2ScalingConfiguration",
    "MonitoringInterval",
    "StorageType",
}


def before(moment: datetime, **span: float) -> datetime:
    """Return a moment that is earlier."""
    return moment - timedelta(**span)
