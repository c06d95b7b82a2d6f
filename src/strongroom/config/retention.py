"""What the configuration says about retention: ``[retention]`` and ``BACKUP_RETENTION_DAYS``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final

from strongroom.config.values import Value
from strongroom.config.zones import local_zone, parse_zone
from strongroom.errors import UsageError
from strongroom.policy.policy import Policy
from strongroom.policy.reading import RULES, read_policy, read_tags

_DAYS: Final = "days"


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """What was said about retention, as it was said.

    The table of the file was checked with the file. The variables are read when somebody asks: a
    senseless one must not be in the way of a restore.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    timezone: str | None = None
    days: Value[str] | None = None
    machine_zone: Value[str] | None = None

    def policy(self) -> Policy:
        """Return what is to be kept: everything, if nothing was said. UsageError."""
        texts = dict(self.texts)
        if self.days is not None:
            texts[_DAYS] = self.days.value
        return read_policy(texts, self._called, tags=self.tags)

    def zone(self) -> tzinfo:
        """Return the zone whose days and hours count, else that of this machine. UsageError."""
        if self.timezone is not None:
            return parse_zone(self.timezone, "timezone")
        return local_zone(self.machine_zone)

    def _called(self, rule: str) -> str:
        if rule == _DAYS and self.days is not None:
            return self.days.origin
        return f"retention.{rule}"


def retention_settings(
    table: Mapping[str, object], days: Value[str] | None, machine_zone: Value[str] | None
) -> RetentionSettings:
    """Return the settings of a table that has nothing wrong in it, and of the variables."""
    tags = table.get("tags")
    zone = table.get("timezone")
    return RetentionSettings(
        texts={rule: str(table[rule]) for rule in RULES if rule in table},
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
        timezone=None if zone is None else str(zone),
        days=days,
        machine_zone=machine_zone,
    )


def wrong_in(table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the keys of ``[retention]`` whose values mean nothing, and what is wrong with each."""
    for key, value in table.items():
        try:
            _check(key, value)
        except UsageError as error:
            yield key, f"{error.message.strip()}. {error.hint}"


def _check(key: str, value: object) -> None:
    if key == "tags":
        _check_tags(value)
    elif key == "timezone":
        parse_zone(str(value), "")
    elif key in RULES:
        RULES[key](str(value), "")  # what is neither text nor number is no rule as text either


def _check_tags(value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise UsageError("it should be a list of texts", hint='Write ["monthly", "nightly,full"].')
    for text in value:
        read_tags(text, "")
