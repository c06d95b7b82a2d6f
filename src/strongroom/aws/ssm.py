"""Parameters of the Systems Manager Parameter Store, as records.

See AWS Systems Manager API Reference, ``DescribeParameters`` and ``GetParameterHistory``: at most
100 versions are kept, each with its labels; pages may be empty and have a next one.
"""

from __future__ import annotations

from typing import Any, Final

from strongroom.aws.asking import Found, Service
from strongroom.aws.errors import AwsError
from strongroom.aws.patterns import Patterns, is_exact
from strongroom.aws.records import PARAMETER, Captured, Record, record_of

SERVICE: Final = "ssm"
_GONE: Final = "ParameterNotFound"
_NAMES_AT_ONCE: Final = 50


def listed(service: Service, patterns: Patterns) -> dict[str, Found]:
    """Return what ``DescribeParameters`` says of each parameter that is meant, by name."""
    found: dict[str, Found] = {}
    for filters in _filters(patterns):
        more: Found = {"ParameterFilters": filters} if filters else {}
        for one in service.pages("DescribeParameters", "Parameters", **more, MaxResults=50):
            if patterns.fit(one["Name"]):
                found[one["Name"]] = one
    return found


def _filters(patterns: Patterns) -> list[list[Found]]:
    """Return the filters of each listing; one without any where a pattern may mean everything."""
    below = [text for text in patterns.texts if text.endswith("/") and text != "/"]
    exact = [text for text in patterns.texts if is_exact(text)]
    if len(below) + len(exact) < len(patterns.texts) or any(text[0] != "/" for text in below):
        return [[]]
    found: list[list[Found]] = [
        [{"Key": "Path", "Option": "Recursive", "Values": [text.rstrip("/")]}] for text in below
    ]
    for start in range(0, len(exact), _NAMES_AT_ONCE):
        names = exact[start : start + _NAMES_AT_ONCE]
        found.append([{"Key": "Name", "Option": "Equals", "Values": names}])
    return found


def captured(service: Service, described: Found) -> Captured:
    """Return the record of a parameter; ``AwsError`` if its value cannot be had."""
    name = described["Name"]
    lacks: list[str] = []
    versions, lack = _versions(service, described)
    if lack:
        lacks.append(lack)
    tags: dict[str, str] | None = None
    try:
        answer = service.ask("ListTagsForResource", name, ResourceType="Parameter", ResourceId=name)
        tags = {one["Key"]: one["Value"] for one in answer.get("TagList", ())}
    except AwsError as error:
        if error.is_of_credentials:
            raise
        lacks.append(f"its tags are missing: {error.message}")
    *earlier, current = versions
    record = record_of(
        PARAMETER,
        name,
        Described={k: v for k, v in described.items() if k != "Name" and current.get(k) != v},
        Current=current,
        Earlier=None if lack else earlier,
        Tags=tags,
    )
    return Captured(record, lacks)


def _versions(service: Service, described: Found) -> tuple[list[Found], str]:
    """Return all versions, oldest first; or the current one, and why not the others."""
    name = described["Name"]
    try:
        pages = service.pages(
            "GetParameterHistory", "Parameters", name, Name=name, WithDecryption=True, MaxResults=50
        )
        versions = sorted((_version(one) for one in pages), key=lambda one: int(one["Version"]))
    except AwsError as error:
        if error.said == _GONE or error.is_of_credentials:
            raise
        why = f"its history is missing: {error.message}"
    else:
        if versions:
            return versions, ""
        why = "its history is missing: AWS lists no version"
    # An older version may be sealed with a key that is gone, and fails the whole history.
    answer = service.ask("GetParameter", name, Name=name, WithDecryption=True)
    current = {key: value for key, value in described.items() if key != "ARN"}
    return [_version({**current, **answer["Parameter"]})], why


def _version(one: Found) -> Found:
    labels = sorted(one.get("Labels") or ())
    return {**{key: value for key, value in one.items() if key != "Name"}, "Labels": labels}


def live(service: Service, name: str) -> Record | None:
    """Return a parameter as it is now, None if there is none; ``AwsError`` if not all is known."""
    described: Any = listed(service, Patterns([name])).get(name)
    if described is None:
        return None
    found = captured(service, described)
    for lack in found.lacks:
        raise AwsError(f"{name} cannot be read as a whole: {lack}", said="Incomplete")
    return found.record
