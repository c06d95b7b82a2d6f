"""A plan, step by step: each is one request to AWS, named as its API names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from strongroom.aws.records import Record

RECOVERY_DAYS: Final = 30
_ARN_PARTS: Final = 6
_REGION: Final = 3
_MULTI_REGION: Final = "key/mrk-"


@dataclass(frozen=True, slots=True)
class Step:
    """One request. ``note`` says what it does; ``arguments`` may be secret, and are never shown."""

    service: str
    call: str
    name: str
    note: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secret: bool = False

    def __str__(self) -> str:
        """Say it without a value."""
        return f"{self.service}:{self.call} {self.name}{f' ({self.note})' if self.note else ''}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one thing takes. ``notes``: what will not be as it was; ``refused``: why nothing is."""

    steps: Sequence[Step] = ()
    notes: Sequence[str] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a person decided, and where it goes.

    ``key`` takes the place of every KMS key. ``exact``: what the record does not have goes, also
    what AWS only changes by deleting it first. ``now`` is RFC 3339 in UTC.
    """

    region: str
    now: str
    key: str = ""
    exact: bool = False

    def key_for(self, key: str, came_from: str) -> str:
        """Return the KMS key to use; ``ValueError`` if it is one of another region.

        ``came_from``: the region of the record, empty if it is not known.
        """
        if self.key or not key or key.startswith("alias/") or _MULTI_REGION in f"key/{key}":
            return self.key or key
        region = region_of(key) or came_from
        if region and self.region and region != self.region:
            msg = (
                f"its KMS key is of {region}: say with --kms-key which one to use in {self.region}"
            )
            raise ValueError(msg)
        return key


def region_of(arn: str) -> str:
    """Return the region in an ARN, empty if it is none."""
    parts = arn.split(":", _ARN_PARTS - 1)
    return parts[_REGION] if len(parts) == _ARN_PARTS and parts[0] == "arn" else ""


def home_of(record: Record) -> str:
    """Return the region that a record is from, empty if it does not say."""
    current = record.get("Current") or {}
    described = record.get("Described") or {}
    return region_of(str(described.get("ARN") or current.get("ARN") or ""))


def changed_tags(
    wanted: Mapping[str, str], there: Mapping[str, str]
) -> tuple[list[dict[str, str]], list[str]]:
    """Return the tags to set, as AWS takes them, and the keys of those to remove."""
    to_set = tags_as_sent({k: v for k, v in wanted.items() if there.get(k) != v})
    return to_set, sorted(there.keys() - wanted.keys())


def tags_as_sent(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as AWS takes them; none of its own, which nobody else may set."""
    return [
        {"Key": key, "Value": value}
        for key, value in sorted(tags.items())
        if not key.startswith("aws:")
    ]
