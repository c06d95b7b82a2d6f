"""Stacks of CloudFormation, as records, with their templates beside them.

See AWS CloudFormation API Reference, ``DescribeStacks`` and ``GetTemplate``. Values of parameters
with ``NoEcho`` come masked, as asterisks: nobody can read them back.
"""

from __future__ import annotations

import json
from typing import Any, Final

from strongroom.aws.asking import Found, Service
from strongroom.aws.errors import AwsError
from strongroom.aws.patterns import Patterns
from strongroom.aws.records import STACK, Captured, Record, record_of

SERVICE: Final = "cloudformation"
ORIGINAL: Final = ".template"
PROCESSED: Final = ".processed"
NOTHING_YET: Final = "REVIEW_IN_PROGRESS"  # a change set waits that would make it
_MISSING: Final = "ValidationError"


def listed(service: Service, patterns: Patterns) -> dict[str, Found]:
    """Return what ``DescribeStacks`` says of each stack that is meant, by name."""
    return {
        one["StackName"]: one
        for one in service.pages("DescribeStacks", "Stacks")
        if patterns.fit(one["StackName"]) and one.get("StackStatus") != NOTHING_YET
    }


def captured(service: Service, described: Found) -> Captured:
    """Return the record of a stack and its templates; ``AwsError`` if it has no template."""
    name = described["StackName"]
    original = service.ask("GetTemplate", name, StackName=name, TemplateStage="Original")
    files = [(ORIGINAL, text_of(original["TemplateBody"]).encode())]
    lacks: list[str] = []
    processed = _or_lack(service, "GetTemplate", name, lacks, TemplateStage="Processed")
    if processed is not None:
        files.append((PROCESSED, text_of(processed["TemplateBody"]).encode()))
    policy = _or_lack(service, "GetStackPolicy", name, lacks)
    resources: list[Found] | None = None
    try:
        pages = service.pages("ListStackResources", "StackResourceSummaries", name, StackName=name)
        resources = list(pages)
    except AwsError as error:
        if error.is_of_credentials:
            raise
        lacks.append(f"its resources are missing: {error.message}")
    record = record_of(
        STACK,
        name,
        Described={key: one for key, one in described.items() if key not in _ELSEWHERE},
        Outputs=_by(described.get("Outputs"), "OutputKey"),
        Parameters=_by(described.get("Parameters"), "ParameterKey"),
        Resources=None if resources is None else _by(resources, "LogicalResourceId"),
        StackPolicy=None if policy is None else policy.get("StackPolicyBody") or "",
        Tags={one["Key"]: one["Value"] for one in described.get("Tags") or ()},
    )
    return Captured(record, lacks, files)


_ELSEWHERE: Final = frozenset({"StackName", "Outputs", "Parameters", "Tags"})


def _or_lack(
    service: Service,
    call: str,
    name: str,
    lacks: list[str],
    **arguments: Any,  # noqa: ANN401 - as asked
) -> Found | None:
    try:
        return service.ask(call, name, StackName=name, **arguments)
    except AwsError as error:
        if error.is_of_credentials:
            raise
        lacks.append(f"what {call} would say is missing: {error.message}")
        return None


def _by(found: Any, key: str) -> dict[str, Found]:  # noqa: ANN401 - JSON
    return {one[key]: {k: v for k, v in one.items() if k != key} for one in found or ()}


def text_of(template: object) -> str:
    """Return a template as text; botocore gives one that is JSON as what it means."""
    return template if isinstance(template, str) else f"{json.dumps(template, indent=2)}\n"


def described(service: Service, name: str) -> Found | None:
    """Return what ``DescribeStacks`` says of one stack; None if there is none."""
    try:
        answer = service.ask("DescribeStacks", name, StackName=name)
    except AwsError as error:
        if error.said == _MISSING and "does not exist" in error.message:
            return None
        raise
    found: list[Found] = answer["Stacks"]
    return found[0] if found else None


def masked(record: Record) -> list[str]:
    """Return the parameters whose values nobody can read back."""
    values = {key: one.get("ParameterValue", "") for key, one in record["Parameters"].items()}
    return sorted(key for key, value in values.items() if value and set(value) == {"*"})
