"""Secrets of the Secrets Manager, as records: every version with a stage, and what is around it.

See AWS Secrets Manager API Reference, ``DescribeSecret`` and ``GetSecretValue``.
"""

from __future__ import annotations

from typing import Final

from strongroom.aws.asking import Found, Service
from strongroom.aws.errors import AwsError
from strongroom.aws.patterns import Patterns
from strongroom.aws.records import SECRET, Captured, Record, plain, record_of

SERVICE: Final = "secretsmanager"
GONE: Final = "ResourceNotFoundException"
_PENDING: Final = "AWSPENDING"
# It changes each day that a program reads the secret, and says nothing of the secret.
_NOISE: Final = frozenset({"Name", "LastAccessedDate", "Tags", "VersionIdsToStages"})


def listed(service: Service, patterns: Patterns) -> dict[str, Found]:
    """Return what ``ListSecrets`` says of each secret that is meant; none that is being deleted."""
    pages = service.pages("ListSecrets", "SecretList", MaxResults=100)
    return {one["Name"]: one for one in pages if patterns.fit(one["Name"])}


def captured(service: Service, described: Found) -> Captured:
    """Return the record of a secret; ``AwsError`` if a version of it cannot be read."""
    name = described["Name"]
    about = service.ask("DescribeSecret", name, SecretId=name)
    lacks: list[str] = []
    versions = [] if about.get("DeletedDate") else _versions(service, about, lacks)
    policy: str | None = None
    try:
        answer = service.ask("GetResourcePolicy", name, SecretId=name)
        policy = answer.get("ResourcePolicy") or ""
    except AwsError as error:
        if error.is_of_credentials:
            raise
        if not about.get("DeletedDate"):
            lacks.append(f"its resource policy is missing: {error.message}")
    record = record_of(
        SECRET,
        name,
        Described={key: value for key, value in about.items() if key not in _NOISE},
        Tags={one["Key"]: one["Value"] for one in about.get("Tags") or ()},
        ResourcePolicy=policy,
        Versions=versions,
    )
    return Captured(record, lacks)


def _versions(service: Service, about: Found, lacks: list[str]) -> list[Found]:
    """Return the versions that have a stage; without a value where rotation has made none yet."""
    name, found = about["Name"], []
    staged = [one for one in (about.get("VersionIdsToStages") or {}).items() if one[1]]
    for version, stages in sorted(staged):
        one: Found = {"VersionId": version, "VersionStages": sorted(stages)}
        try:
            answer = service.ask("GetSecretValue", name, SecretId=name, VersionId=version)
        except AwsError as error:
            if error.is_of_credentials or "AWSCURRENT" in stages:
                raise
            if not (error.said == GONE and stages == [_PENDING]):
                lacks.append(f"its version {'/'.join(stages)} is missing: {error.message}")
            continue
        for key in ("SecretString", "SecretBinary", "CreatedDate"):
            if answer.get(key) is not None:
                one[key] = plain(answer[key])
        found.append(one)
    return found


def live(service: Service, name: str) -> Record | None:
    """Return a secret as it is now, also one that is being deleted; None if there is none."""
    try:
        found = captured(service, {"Name": name})
    except AwsError as error:
        if error.said == GONE:
            return None
        raise
    for lack in found.lacks:
        raise AwsError(f"{name} cannot be read as a whole: {lack}", said="Incomplete")
    return found.record
