"""The settings of an instance or a cluster: read from what AWS says, passed on, compared. Pure.

A restore to a moment takes over almost nothing by itself (RDS user guide, "Restoring a DB instance
to a specified time"): the new instance gets default groups and one zone. So each setting is read
from what ``Describe…`` says and called here as ``RestoreDBInstanceToPointInTime``,
``RestoreDBClusterToPointInTime`` or ``CreateDBInstance`` call it; what those do not take is called
as ``ModifyDBInstance`` and ``ModifyDBCluster`` do. Values are those of JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

Document = Mapping[str, Any]
Settings = dict[str, Any]

OWN_TAG: Final = "strongroom:recovery"
_RESERVED: Final = "aws:"
_GP3: Final = "gp3"
_STRIPED: Final = 400  # GiB from which gp3 takes IOPS and throughput, for PostgreSQL
_WITH_IOPS: Final = frozenset({"io1", "io2"})
_PLAIN: Final = (
    "DBInstanceClass",
    "AllocatedStorage",
    "MultiAZ",
    "StorageType",
    "PubliclyAccessible",
    "NetworkType",
    "CACertificateIdentifier",
    "DeletionProtection",
    "CopyTagsToSnapshot",
    "AutoMinorVersionUpgrade",
    "EngineLifecycleSupport",
    "BackupRetentionPeriod",
    "BackupTarget",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "DatabaseInsightsMode",
)
_PLAIN_OF_CLUSTERS: Final = (
    "Port",
    "NetworkType",
    "StorageType",
    "DeletionProtection",
    "CopyTagsToSnapshot",
    "EngineMode",
    "EngineLifecycleSupport",
    "BackupRetentionPeriod",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "DatabaseInsightsMode",
    "ServerlessV2ScalingConfiguration",
)
_PLAIN_OF_MEMBERS: Final = (
    "Engine",
    "DBInstanceClass",
    "PubliclyAccessible",
    "AutoMinorVersionUpgrade",
    "CACertificateIdentifier",
    "PromotionTier",
    "PreferredMaintenanceWindow",
    "MonitoringInterval",
    "MonitoringRoleArn",
)

# What only goes together: where one of them differs, ``Modify…`` gets all of them.
_TOGETHER: Final = (
    frozenset({"AllocatedStorage", "StorageType", "Iops", "StorageThroughput"}),
    frozenset({"MonitoringInterval", "MonitoringRoleArn"}),
    frozenset({"ManageMasterUserPassword", "MasterUserSecretKmsKeyId"}),
    frozenset(
        {
            "EnablePerformanceInsights",
            "PerformanceInsightsKMSKeyId",
            "PerformanceInsightsRetentionPeriod",
            "DatabaseInsightsMode",
        }
    ),
    frozenset(
        {
            "Domain",
            "DomainIAMRoleName",
            "DomainOu",
            "DomainFqdn",
            "DomainAuthSecretArn",
            "DomainDnsIps",
        }
    ),
)
_OTHERWISE: Final = {"Port": "DBPortNumber"}  # how ModifyDBInstance calls it
_LOGS: Final = "EnableCloudwatchLogsExports"
_SAID_OTHERWISE: Final = frozenset({"MasterUserSecretKmsKeyId"})  # an alias, or the ARN of the key


class Difference(NamedTuple):
    """A setting that is not as it should be; None where it is not there."""

    name: str
    wanted: Any
    found: Any


def instance_settings(document: Document) -> Settings:
    """Return the settings of an instance that is none of a cluster's."""
    found = _plain(document, _PLAIN)
    found |= _groups(document)
    found |= _common(document)
    found |= _storage(document)
    endpoint = document.get("Endpoint") or {}
    port = endpoint.get("Port") or document.get("DbInstancePort")
    if port:
        found["Port"] = port
    most = document.get("MaxAllocatedStorage")
    if most and most > document.get("AllocatedStorage", 0):
        found["MaxAllocatedStorage"] = most
    if document.get("ProcessorFeatures"):
        found["ProcessorFeatures"] = list(document["ProcessorFeatures"])
    for name, key in (
        ("DedicatedLogVolume", "DedicatedLogVolume"),
        ("EnableCustomerOwnedIp", "CustomerOwnedIpEnabled"),
    ):
        if document.get(key):  # where it is off, some classes do not even take a no
            found[name] = True
    return found


def cluster_settings(document: Document) -> Settings:
    """Return the settings of an Aurora cluster, without those of its instances."""
    found = _plain(document, _PLAIN_OF_CLUSTERS)
    found |= _common(document)
    for name, value in (
        ("DBSubnetGroupName", document.get("DBSubnetGroup")),
        ("DBClusterParameterGroupName", document.get("DBClusterParameterGroup")),
        ("ScalingConfiguration", document.get("ScalingConfigurationInfo")),
        ("BacktrackWindow", document.get("BacktrackWindow")),  # of MySQL only, else 0
        ("EnableHttpEndpoint", document.get("HttpEndpointEnabled")),
        ("Iops", document.get("Iops")),
    ):
        if value:
            found[name] = value
    groups = document.get("DBClusterOptionGroupMemberships") or []
    if groups:
        found["OptionGroupName"] = groups[0]["DBClusterOptionGroupName"]
    return found


def member_settings(document: Document) -> Settings:
    """Return the settings of an instance of a cluster: those that are not the cluster's."""
    found = _plain(document, _PLAIN_OF_MEMBERS)
    found |= _insights(document)
    groups = document.get("DBParameterGroups") or []
    if groups:
        found["DBParameterGroupName"] = groups[0]["DBParameterGroupName"]
    found["Tags"] = tags_of(document)
    return found


def tags_of(document: Document) -> dict[str, str]:
    """Return the tags that a person gave; neither AWS's own nor ours."""
    return {
        one["Key"]: one.get("Value", "")
        for one in document.get("TagList") or []
        if not one["Key"].startswith(_RESERVED) and one["Key"] != OWN_TAG
    }


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as requests have them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def request_of(settings: Settings, takes: Collection[str], own: str) -> dict[str, Any]:
    """Return what a request that makes something new says of the settings that it takes.

    ``own``: what the new thing is known by, as a tag.
    """
    request = {name: value for name, value in settings.items() if name in takes}
    request["Tags"] = tag_list({**settings.get("Tags", {}), OWN_TAG: own})
    return request


def differences(wanted: Settings, found: Settings) -> list[Difference]:
    """Return what of the wanted settings is not so; what was not asked for is not looked at."""
    return [
        Difference(name, value, found.get(name))
        for name, value in wanted.items()
        if name not in _SAID_OTHERWISE and not _same(name, value, found.get(name))
    ]


def changes(wanted: Settings, found: Settings, takes: Collection[str]) -> dict[str, Any]:
    """Return what ``ModifyDBInstance`` or ``ModifyDBCluster`` has to say, as far as it takes it.

    Empty where nothing is to be changed. Tags are no part of it.
    """
    differing = {one.name for one in differences(wanted, found)}
    for together in _TOGETHER:
        if differing & together:
            differing |= together & wanted.keys()
    said: dict[str, Any] = {}
    for name in sorted(differing):
        if name == _LOGS:
            said["CloudwatchLogsExportConfiguration"] = _logs(wanted[name], found.get(name) or [])
            continue
        called = name if name in takes else _OTHERWISE.get(name, name)
        if called in takes:
            said[called] = wanted[name]
    return said


def _same(name: str, wanted: Any, found: Any) -> bool:  # noqa: ANN401 - values of JSON
    if name == "Tags":
        return all((found or {}).get(key) == value for key, value in wanted.items())
    if isinstance(wanted, list):
        return sorted(map(str, wanted)) == sorted(map(str, found or []))
    if isinstance(wanted, bool) or wanted == 0:  # what is off is often not said
        return bool(wanted) == bool(found)
    if isinstance(wanted, str) and isinstance(found, str):
        return wanted.lower() == found.lower()
    return bool(wanted == found)


def _logs(wanted: list[str], found: list[str]) -> dict[str, list[str]]:
    said = {
        "EnableLogTypes": sorted(set(wanted) - set(found)),
        "DisableLogTypes": sorted(set(found) - set(wanted)),
    }
    return {key: value for key, value in said.items() if value}


def _plain(document: Document, names: Collection[str]) -> Settings:
    return {name: document[name] for name in names if document.get(name) is not None}


def _groups(document: Document) -> Settings:
    """Return the names of the groups that an instance belongs to."""
    subnets = (document.get("DBSubnetGroup") or {}).get("DBSubnetGroupName")
    found: Settings = {"DBSubnetGroupName": subnets} if subnets else {}
    for name, key, one in (
        ("DBParameterGroupName", "DBParameterGroups", "DBParameterGroupName"),
        ("OptionGroupName", "OptionGroupMemberships", "OptionGroupName"),
    ):
        groups = document.get(key) or []
        if groups:
            found[name] = groups[0][one]
    return found


def _common(document: Document) -> Settings:
    """Return what instances and clusters say in the same way."""
    found: Settings = {
        "EnableIAMDatabaseAuthentication": bool(document.get("IAMDatabaseAuthenticationEnabled")),
        _LOGS: sorted(document.get("EnabledCloudwatchLogsExports") or []),
        "Tags": tags_of(document),
    }
    groups = [one["VpcSecurityGroupId"] for one in document.get("VpcSecurityGroups") or []]
    if groups:
        found["VpcSecurityGroupIds"] = sorted(groups)
    secret = document.get("MasterUserSecret")
    if secret:
        found["ManageMasterUserPassword"] = True
        if secret.get("KmsKeyId"):
            found["MasterUserSecretKmsKeyId"] = secret["KmsKeyId"]
    return found | _insights(document) | _domain(document)


def _insights(document: Document) -> Settings:
    on = document.get("PerformanceInsightsEnabled")
    if on is None:
        return {}
    found: Settings = {"EnablePerformanceInsights": bool(on)}
    if on:
        found |= _plain(
            document, ("PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod")
        )
    return found


def _domain(document: Document) -> Settings:
    memberships = document.get("DomainMemberships") or []
    if not memberships:
        return {}
    first = memberships[0]
    called = {
        "Domain": "Domain",
        "DomainIAMRoleName": "IAMRoleName",
        "DomainOu": "OU",
        "DomainFqdn": "FQDN",
        "DomainAuthSecretArn": "AuthSecretArn",
        "DomainDnsIps": "DnsIps",
    }
    found = {name: first[key] for name, key in called.items() if first.get(key)}
    if "DomainAuthSecretArn" not in found:  # AWS's own directory: it knows the name by itself
        found.pop("DomainFqdn", None)
    return found


def _storage(document: Document) -> Settings:
    """Return IOPS and throughput where a request may say them.

    What a small gp3 volume has is what every one has, and AWS refuses to be told so.
    """
    kind, size = document.get("StorageType"), document.get("AllocatedStorage", 0)
    found: Settings = {}
    if document.get("Iops") and (kind in _WITH_IOPS or (kind == _GP3 and size >= _STRIPED)):
        found["Iops"] = document["Iops"]
    if document.get("StorageThroughput") and kind == _GP3 and size >= _STRIPED:
        found["StorageThroughput"] = document["StorageThroughput"]
    return found
