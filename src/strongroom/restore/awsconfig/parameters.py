"""What it takes that a parameter is as in its record. Pure: nothing is asked of anybody.

The number of a version cannot be set, so what counts is the current version and where labels lead
to. See AWS Systems Manager API Reference, ``PutParameter``: tags go only with what is new, a type
cannot be changed, and from the advanced tier there is no way back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from strongroom.aws.records import SECURE, Record
from strongroom.aws.ssm import SERVICE
from strongroom.restore.awsconfig.steps import (
    Decision,
    Rules,
    Step,
    changed_tags,
    home_of,
    tags_as_sent,
)

_DEFAULT_KEY: Final = "alias/aws/ssm"
_TEXT: Final = "text"
_ADVANCED: Final = "Advanced"
_TIERS: Final = {"Standard": 0, "Intelligent-Tiering": 1, _ADVANCED: 2}

Version = dict[str, Any]


def parameter_decision(
    record: Record | None, live: Record | None, name: str, rules: Rules
) -> Decision:
    """Return what it takes; a record of None is a parameter that should not be there."""
    if record is None:
        return Decision([deletion(name)] if live is not None else [])
    work = _Work(record, live, name, rules)
    try:
        return work.decide()
    except ValueError as error:
        return Decision(refused=str(error))


def deletion(name: str) -> Step:
    """Return the step that deletes a parameter, with its history."""
    return Step(SERVICE, "DeleteParameter", name, "with its history", {"Name": name})


class _Work:
    def __init__(self, record: Record, live: Record | None, name: str, rules: Rules) -> None:
        self.record = record
        self.live = live
        self.name = name
        self.rules = rules
        self.wanted: Version = record["Current"]
        self.steps: list[Step] = []
        self.notes: list[str] = []

    def decide(self) -> Decision:
        self._type()
        puts = self._puts()
        for version in puts:
            self._put(version)
            if labels := version.get("Labels"):
                self._label(labels)
        if not puts and self.live is not None:
            known = self.live["Current"].get("Labels") or []
            if missing := [one for one in self.wanted.get("Labels") or [] if one not in known]:
                self._label(missing)
        if self.live is not None:
            self._tags(self.live)
            if self.rules.exact:
                self._unlabel(self.live)
        return Decision(self.steps, self.notes)

    def _type(self) -> None:
        """A type is changed by deleting; what that loses is in the earlier backup."""
        if self.live is None or self.live["Current"]["Type"] == self.wanted["Type"]:
            return
        types = f"{self.live['Current']['Type']} now and {self.wanted['Type']} in the snapshot"
        if not self.rules.exact:
            msg = f"it is {types}, which AWS changes only by deleting it: --delete allows that"
            raise ValueError(msg)
        self.notes.append(f"it is {types}: it is deleted and made anew, and loses its history")
        self.steps.append(deletion(self.name))
        self.live = None

    def _puts(self) -> list[Version]:
        """Return the versions to put, the current one last: those that labels lead to, and it."""
        labelled = [one for one in self.record.get("Earlier") or [] if one.get("Labels")]
        if self.live is None:
            return [*labelled, self.wanted]
        there = _by_label(self.live)
        astray = [
            one
            for one in labelled
            if any(_text(there.get(label)) != _text(one) for label in one["Labels"])
        ]
        same = self._state(self.live["Current"]) == self._state(self.wanted)
        return [*astray, self.wanted] if astray or not same else []

    def _state(self, version: Version) -> tuple[object, ...]:
        """Return what of a version is compared."""
        key = version.get("KeyId") or _DEFAULT_KEY
        if version is self.wanted:
            key = self._key(version)
        return (
            _text(version),
            key if version["Type"] == SECURE else "",
            version.get("Description") or "",
            version.get("AllowedPattern") or "",
            version.get("DataType") or _TEXT,
            self._tier(version) == _ADVANCED,
            sorted(json.dumps(one, sort_keys=True) for one in self._policies(version)),
        )

    def _key(self, version: Version) -> str:
        if version["Type"] != SECURE:
            return ""
        return self.rules.key_for(version.get("KeyId") or _DEFAULT_KEY, home_of(self.record))

    def _tier(self, version: Version) -> str:
        """Return the tier that a version has or will have: never lower than now."""
        tiers = [str(version.get("Tier") or "Standard")]
        if self.live is not None:
            tiers.append(str(self.live["Current"].get("Tier") or "Standard"))
        return max(tiers, key=lambda tier: _TIERS.get(tier, 0))

    def _policies(self, version: Version) -> list[Any]:
        """Return the policies as AWS takes them, without an expiration that is over."""
        found = []
        for one in version.get("Policies") or []:
            try:
                policy = json.loads(one["PolicyText"])
            except (ValueError, KeyError, TypeError) as error:
                msg = "a policy of it cannot be read"
                raise ValueError(msg) from error
            when = str(policy.get("Attributes", {}).get("Timestamp", ""))
            if policy.get("Type") == "Expiration" and when <= self.rules.now:
                note = f"its expiration of {when} is over, so it is left out"
                self.notes += [note] if note not in self.notes else []
                continue
            found.append(policy)
        return found

    def _put(self, version: Version) -> None:
        first = self.live is None and not any(one.call == "PutParameter" for one in self.steps)
        policies = self._policies(version)
        tier = self._tier(version)
        given: dict[str, Any] = {
            "Name": self.name,
            "Value": version["Value"],
            "Type": version["Type"],
            "Description": version.get("Description") or "",
            "Tier": tier,
        }
        if pattern := version.get("AllowedPattern"):
            given["AllowedPattern"] = pattern
        elif self.live is not None and self.live["Current"].get("AllowedPattern"):
            given["AllowedPattern"] = ""
        if version["Type"] == SECURE:
            given["KeyId"] = self._key(version)
        if version.get("DataType") not in {None, _TEXT}:
            given["DataType"] = version["DataType"]
        if policies:
            given["Policies"] = json.dumps(policies)
        elif self.live is not None and self.live["Current"].get("Policies"):
            given["Policies"] = "[{}]"
        tags = tags_as_sent(self.record.get("Tags") or {})
        if first and tags:
            given["Tags"] = tags
        elif not first:
            given["Overwrite"] = True
        if tier != version.get("Tier", tier) and tier == _ADVANCED:
            self.notes.append("it stays in the advanced tier, which AWS does not take back")
        self.steps.append(
            Step(
                SERVICE,
                "PutParameter",
                self.name,
                self._said(version, new=first),
                given,
                secret=True,
            )
        )

    def _said(self, version: Version, *, new: bool) -> str:
        what = "a new one" if new else "a new version of it"
        parts = [what, version["Type"]]
        if version["Type"] == SECURE:
            parts.append(f"key {self._key(version)}")
        if version is not self.wanted:
            parts.append(f"as version {version['Version']} was")
        return ", ".join(parts)

    def _label(self, labels: Sequence[str]) -> None:
        """Labels without a version go to the newest."""
        given = {"Name": self.name, "Labels": list(labels)}
        self.steps.append(
            Step(SERVICE, "LabelParameterVersion", self.name, ", ".join(labels), given)
        )

    def _unlabel(self, live: Record) -> None:
        wanted = {label for one in _versions(self.record) for label in one.get("Labels") or []}
        for one in _versions(live):
            if extra := [label for label in one.get("Labels") or [] if label not in wanted]:
                given = {"Name": self.name, "ParameterVersion": one["Version"], "Labels": extra}
                note = ", ".join(extra)
                self.steps.append(Step(SERVICE, "UnlabelParameterVersion", self.name, note, given))

    def _tags(self, live: Record) -> None:
        if self.record.get("Tags") is None:
            return
        to_set, to_remove = changed_tags(self.record["Tags"], live.get("Tags") or {})
        about = {"ResourceType": "Parameter", "ResourceId": self.name}
        if to_set:
            note = ", ".join(one["Key"] for one in to_set)
            given = {**about, "Tags": to_set}
            self.steps.append(Step(SERVICE, "AddTagsToResource", self.name, note, given))
        if to_remove:
            given = {**about, "TagKeys": to_remove}
            note = ", ".join(to_remove)
            self.steps.append(Step(SERVICE, "RemoveTagsFromResource", self.name, note, given))


def _versions(record: Record) -> list[Version]:
    return [*(record.get("Earlier") or []), record["Current"]]


def _by_label(record: Record) -> dict[str, Version]:
    return {label: one for one in _versions(record) for label in one.get("Labels") or []}


def _text(version: Version | None) -> tuple[object, ...]:
    return () if version is None else (version["Type"], version["Value"])
