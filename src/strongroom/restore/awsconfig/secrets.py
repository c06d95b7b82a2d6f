"""What it takes that a secret is as in its record. Pure: nothing is asked of anybody.

The ids of versions are AWS's, so what counts is the value behind each stage. A secret is deleted
with a window in which it can be had back, never at once. See AWS Secrets Manager API Reference.
"""

from __future__ import annotations

import json
from typing import Any, Final

from strongroom.aws.records import Record, bytes_of
from strongroom.aws.secretsmanager import SERVICE
from strongroom.restore.awsconfig.steps import (
    RECOVERY_DAYS,
    Decision,
    Rules,
    Step,
    changed_tags,
    home_of,
    tags_as_sent,
)

_DEFAULT_KEY: Final = "alias/aws/secretsmanager"
_CURRENT: Final = "AWSCURRENT"
_PREVIOUS: Final = "AWSPREVIOUS"
_PENDING: Final = "AWSPENDING"

Value = dict[str, str | bytes]


def secret_decision(
    record: Record | None, live: Record | None, name: str, rules: Rules
) -> Decision:
    """Return what it takes; a record of None is a secret that should not be there."""
    if record is None or _is_deleted(record):
        there = live is not None and not _is_deleted(live)
        return Decision([deletion(name)] if there else [])
    described = record["Described"]
    if owner := described.get("OwningService"):
        return Decision(refused=f"it belongs to {owner}, which alone may write it")
    if described.get("PrimaryRegion") not in {None, home_of(record)}:
        return Decision(refused=f"it is a replica; restore the one in {described['PrimaryRegion']}")
    try:
        return _Work(record, live, name, rules).decide()
    except ValueError as error:
        return Decision(refused=str(error))


def deletion(name: str) -> Step:
    """Return the step that deletes a secret, so that it can be had back."""
    given = {"SecretId": name, "RecoveryWindowInDays": RECOVERY_DAYS}
    note = f"can be had back for {RECOVERY_DAYS} days"
    return Step(SERVICE, "DeleteSecret", name, note, given)


def _is_deleted(record: Record) -> bool:
    return bool(record["Described"].get("DeletedDate"))


class _Work:
    def __init__(self, record: Record, live: Record | None, name: str, rules: Rules) -> None:
        self.record = record
        self.live = live
        self.name = name
        self.rules = rules
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self.key = rules.key_for(record["Described"].get("KmsKeyId") or "", home_of(record))

    def decide(self) -> Decision:
        wanted = _stages(self.record)
        there = _stages(self.live) if self.live is not None else {}
        if self.live is None:
            self._create(wanted)
        elif _is_deleted(self.live):
            self._add("RestoreSecret", "it is being deleted")
        self._values(wanted, there)
        if self.live is not None:
            self._attributes(self.live)
            self._tags(self.live)
        self._policy()
        self._rotation()
        self._replicas()
        return Decision(self.steps, self.notes)

    def _add(self, call: str, note: str, *, secret: bool = False, **given: Any) -> None:  # noqa: ANN401 - as the request takes
        arguments = {"SecretId": self.name, **given}
        self.steps.append(Step(SERVICE, call, self.name, note, arguments, secret=secret))

    def _create(self, wanted: dict[str, Value]) -> None:
        """Make it with the earlier value, if there is one: the next makes that the previous."""
        value: Value = wanted.get(_PREVIOUS) or wanted.get(_CURRENT) or {}
        given: dict[str, Any] = {
            "Name": self.name,
            "Description": self.record["Described"].get("Description") or "",
            **value,
        }
        if self.key:
            given["KmsKeyId"] = self.key
        if tags := tags_as_sent(self.record.get("Tags") or {}):
            given["Tags"] = tags
        note = f"a new one, key {self.key or _DEFAULT_KEY}"
        self.steps.append(Step(SERVICE, "CreateSecret", self.name, note, given, secret=True))

    def _values(self, wanted: dict[str, Value], there: dict[str, Value]) -> None:
        if self.live is None:
            there = {_CURRENT: wanted.get(_PREVIOUS) or wanted.get(_CURRENT) or {}}
        current, previous = wanted.get(_CURRENT), wanted.get(_PREVIOUS)
        if current is not None and not self._are(there, current, previous):
            if previous is not None and there.get(_CURRENT) != previous:
                self._add("PutSecretValue", "the previous value", secret=True, **previous)
            self._add("PutSecretValue", "the current value", secret=True, **current)
        for stage, value in wanted.items():
            if stage in {_CURRENT, _PREVIOUS} or there.get(stage) == value:
                continue
            stages = {"VersionStages": [stage]}
            self._add("PutSecretValue", f"stage {stage}", secret=True, **stages, **value)

    @staticmethod
    def _are(there: dict[str, Value], current: Value, previous: Value | None) -> bool:
        if there.get(_CURRENT) != current:
            return False
        return previous is None or there.get(_PREVIOUS) == previous

    def _attributes(self, live: Record) -> None:
        wanted, there = self.record["Described"], live["Described"]
        given: dict[str, Any] = {}
        if (wanted.get("Description") or "") != (there.get("Description") or ""):
            given["Description"] = wanted.get("Description") or ""
        if (self.key or _DEFAULT_KEY) != (there.get("KmsKeyId") or _DEFAULT_KEY):
            given["KmsKeyId"] = self.key or _DEFAULT_KEY
        if given:
            self._add("UpdateSecret", ", ".join(given), **given)

    def _tags(self, live: Record) -> None:
        to_set, to_remove = changed_tags(self.record.get("Tags") or {}, live.get("Tags") or {})
        if to_set:
            self._add("TagResource", ", ".join(one["Key"] for one in to_set), Tags=to_set)
        if to_remove:
            self._add("UntagResource", ", ".join(to_remove), TagKeys=to_remove)

    def _policy(self) -> None:
        wanted = self.record.get("ResourcePolicy")
        there = (self.live or {}).get("ResourcePolicy") or ""
        if wanted is None or _parsed(wanted) == _parsed(there):
            return
        if wanted:
            self._add("PutResourcePolicy", "", ResourcePolicy=wanted)
        else:
            self._add("DeleteResourcePolicy", "")

    def _rotation(self) -> None:
        wanted = self.record["Described"]
        there = (self.live or {}).get("Described") or {}
        keys = ("RotationEnabled", "RotationLambdaARN", "RotationRules")
        if [wanted.get(key) or None for key in keys] == [there.get(key) or None for key in keys]:
            return
        if not wanted.get("RotationEnabled"):
            if there.get("RotationEnabled"):
                self._add("CancelRotateSecret", "")
            return
        if home_of(self.record) != self.rules.region:
            self.notes.append("it is not rotated here: what rotates it is in another region")
            return
        given = {key: wanted[key] for key in keys[1:] if wanted.get(key)}
        self._add("RotateSecret", "not at once", RotateImmediately=False, **given)

    def _replicas(self) -> None:
        wanted = {
            one["Region"]: one for one in self.record["Described"].get("ReplicationStatus") or ()
        }
        live = (self.live or {}).get("Described") or {}
        there = {one["Region"] for one in live.get("ReplicationStatus") or ()}
        missing = sorted(wanted.keys() - there - {self.rules.region})
        if missing and home_of(self.record) == self.rules.region:
            given = [
                {
                    key: wanted[region][key]
                    for key in ("Region", "KmsKeyId")
                    if wanted[region].get(key)
                }
                for region in missing
            ]
            self._add("ReplicateSecretToRegions", ", ".join(missing), AddReplicaRegions=given)
        elif missing:
            self.notes.append(f"it is not replicated to {', '.join(missing)}")


def _stages(record: Record) -> dict[str, Value]:
    """Return the value behind each stage; not what a rotation has only begun."""
    found: dict[str, Value] = {}
    for version in record.get("Versions") or []:
        value: Value = {}
        if "SecretString" in version:
            value["SecretString"] = version["SecretString"]
        if "SecretBinary" in version:
            value["SecretBinary"] = bytes_of(version["SecretBinary"])
        for stage in version["VersionStages"]:
            if stage != _PENDING and value:
                found[stage] = value
    return found


def _parsed(policy: str) -> object:
    try:
        return json.loads(policy) if policy else None
    except ValueError:
        return policy
