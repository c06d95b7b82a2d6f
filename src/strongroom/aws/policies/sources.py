"""What a backup may read in AWS: buckets, parameters, secrets, stacks, and settings of RDS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.aws.policies.statements import (
    Place,
    Statement,
    allow,
    allow_asking,
    decrypt_via,
    literal,
    pattern_of,
)

_CONFIGURATION: Final = (
    "GetEncryptionConfiguration",
    "GetLifecycleConfiguration",
    "GetBucketPolicy",
    "GetBucketPublicAccessBlock",
    "GetBucketOwnershipControls",
    "GetBucketCORS",
    "GetBucketTagging",
    "GetBucketWebsite",
    "GetBucketNotification",
    "GetReplicationConfiguration",
    "GetBucketObjectLockConfiguration",
    "GetBucketLogging",
)
_RDS: Final = (
    "DescribeDBInstances",
    "DescribeDBInstanceAutomatedBackups",
    "DescribeDBSnapshots",
    "DescribeDBParameters",
    "DescribePendingMaintenanceActions",
)
_AURORA: Final = (
    "DescribeDBClusters",
    "DescribeDBClusterAutomatedBackups",
    "DescribeDBClusterSnapshots",
    "DescribeDBClusterParameters",
)
_RANDOM: Final = "-??????"  # what AWS puts behind the name of a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """A bucket, or what in it begins with ``prefix``; with tags, and how it is set up."""

    bucket: str
    prefix: str = ""
    tags: bool = True
    configuration: bool = True


def documents(place: Place, wanted: Documents) -> list[Statement]:
    """Allow to read objects, every version, and what is around them.

    Whether the bucket is there is asked without a prefix, so such a listing must be allowed.
    """
    bucket, objects = arns_of(place, wanted)
    begin = {"s3:prefix": [_begin(wanted)]}
    within = {"StringLikeIfExists": begin} if wanted.prefix else None
    reading = ["GetObject", "GetObjectVersion", "GetObjectRetention", "GetObjectLegalHold"]
    if wanted.tags:
        reading += ["GetObjectTagging", "GetObjectVersionTagging"]
    asked = ["GetBucketVersioning", *(_CONFIGURATION if wanted.configuration else ())]
    return [
        allow("DocumentsList", ["s3:ListBucket", "s3:ListBucketVersions"], [bucket], within),
        allow("DocumentsBucket", [f"s3:{name}" for name in asked], [bucket]),
        allow("DocumentsRead", [f"s3:{name}" for name in reading], [objects]),
        decrypt_via(place, "s3", [bucket, objects]),
    ]


def arns_of(place: Place, wanted: Documents) -> tuple[str, str]:
    """Return the names of the bucket, and of the objects that are meant."""
    return place.bucket(wanted.bucket), place.bucket(wanted.bucket, _begin(wanted))


def _begin(wanted: Documents) -> str:
    return f"{literal(wanted.prefix)}*"


def parameter_arns(place: Place, texts: Sequence[str]) -> list[str]:
    """Return the names of parameters; ``texts`` are names, paths and patterns."""
    return [_parameter(place, pattern_of(text)) for text in texts]


def secret_arns(place: Place, texts: Sequence[str]) -> list[str]:
    """Return the names of secrets; ``texts`` are names, paths and patterns."""
    return [_secret(place, pattern_of(text)) for text in texts]


def parameters(place: Place, texts: Sequence[str]) -> list[Statement]:
    """Allow to read parameters with their history; ``texts`` are names, paths and patterns."""
    if not texts:
        return []
    arns = parameter_arns(place, texts)
    reading = ["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:ListTagsForResource"]
    return [
        allow_asking(place, "ParametersList", ["ssm:DescribeParameters"]),
        allow("Parameters", reading, arns),
        decrypt_via(place, "ssm", arns),
    ]


def secrets(place: Place, texts: Sequence[str]) -> list[Statement]:
    """Allow to read secrets, every stage of them; ``texts`` are names, paths and patterns."""
    if not texts:
        return []
    arns = secret_arns(place, texts)
    calls = ("DescribeSecret", "GetSecretValue", "GetResourcePolicy")
    return [
        allow_asking(place, "SecretsList", ["secretsmanager:ListSecrets"]),
        allow("Secrets", [f"secretsmanager:{call}" for call in calls], arns),
        decrypt_via(place, "secretsmanager", arns),
    ]


def stacks(place: Place, texts: Sequence[str]) -> list[Statement]:
    """Allow to read stacks and their templates; AWS lists all of them or none."""
    if not texts:
        return []
    arns = [place.arn("cloudformation", f"stack/{pattern_of(text)}/*") for text in texts]
    calls = ("GetTemplate", "GetStackPolicy", "ListStackResources")
    return [
        allow_asking(place, "StacksList", ["cloudformation:DescribeStacks"]),
        allow("Stacks", [f"cloudformation:{call}" for call in calls], arns),
    ]


def rds(place: Place, kind: str) -> list[Statement]:
    """Allow to look at what RDS says of an ``instance``, or of a ``cluster`` and its instances.

    A cluster has instances of any name, each has groups of any name, and snapshots outlive both,
    so that no resource can be named.
    """
    names = [*_RDS, *(_AURORA if kind == "cluster" else ())]
    return [allow_asking(place, "Rds", [f"rds:{name}" for name in names])]


def rds_login(place: Place, user: str) -> list[Statement]:
    """Allow to connect as a user with a token; RDS knows instances by an id that AWS chose."""
    return [allow("RdsLogin", ["rds-db:connect"], [place.arn("rds-db", f"dbuser:*/{user}")])]


def parameter_value(place: Place, name: str) -> list[Statement]:
    """Allow to read the value of one parameter: by its name, or the ARN of somebody else's."""
    stem = literal(name.partition(":")[0])  # a version or a label may stand behind it
    arn = name if name.startswith("arn:") else _parameter(place, stem)
    return [
        allow("Value", ["ssm:GetParameter"], [arn]),
        decrypt_via(place, "ssm", [arn]),
    ]


def parameter_values(place: Place, path: str) -> list[Statement]:
    """Allow to read the values of the parameters right below a path."""
    above = _parameter(place, literal(path.rstrip("/")))
    return [
        allow("Values", ["ssm:GetParametersByPath"], [above, f"{above}/*"]),
        decrypt_via(place, "ssm", [f"{above}/*"]),
    ]


def secret_value(place: Place, name: str) -> list[Statement]:
    """Allow to read the value of one secret: by its name, or its ARN, whole or without its end."""
    whole = name.startswith("arn:")
    arns = [name, name + _RANDOM] if whole else [_secret(place, literal(name))]
    return [
        allow("SecretValue", ["secretsmanager:GetSecretValue"], arns),
        decrypt_via(place, "secretsmanager", arns),
    ]


def _parameter(place: Place, pattern: str) -> str:
    return place.arn("ssm", f"parameter/{pattern.removeprefix('/')}")


def _secret(place: Place, pattern: str) -> str:
    return place.arn("secretsmanager", f"secret:{pattern}{_RANDOM}")
