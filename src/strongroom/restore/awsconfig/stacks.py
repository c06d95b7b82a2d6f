"""A stack restored by a change set: made, looked at, and carried out or discarded.

See AWS CloudFormation API Reference, ``CreateChangeSet``. CloudFormation itself rolls back what it
cannot finish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from strongroom.aws.asking import Found, Service
from strongroom.aws.cloudformation import NOTHING_YET, described, masked
from strongroom.aws.records import Record
from strongroom.errors import RefusedError, RestoreError, RolledBackError, UsageError
from strongroom.restore.awsconfig.steps import tags_as_sent

_LARGEST: Final = 51_200  # bytes of a template in a request
_MADE_SECONDS: Final = 900.0
_LOOK_SECONDS: Final = 3.0
_NO_CHANGE: Final = ("didn't contain changes", "No updates are to be performed")
_GOOD: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
_ROLLED_BACK: Final = frozenset({"ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"})
_AS_IS: Final = ("RoleARN", "NotificationARNs", "Capabilities")


class StackChange(NamedTuple):
    """What a change set would do to one resource of a stack."""

    action: str
    resource: str
    type: str
    replacement: str


def request_of(
    record: Record, template: bytes, name: str, live: Found | None, given: Mapping[str, str]
) -> Found:
    """Return the arguments of ``CreateChangeSet``; ``UsageError``, ``RefusedError``. Pure.

    ``given``: values of parameters by a person, which count first. One that nobody can read back is
    kept where the stack has it.
    """
    about = record["Described"]
    if about.get("ParentId"):
        raise RefusedError(
            f"stack {name} belongs to another one, which makes it",
            hint=f"Restore that one: {about.get('RootId') or about['ParentId']}.",
        )
    if len(template) > _LARGEST:
        raise RefusedError(
            f"the template of {name} has {len(template):,} bytes, and AWS takes more than "
            f"{_LARGEST:,} only from a bucket",
            hint="Write it out with 'strongroom dump', put it into a bucket, and make the change "
            "set there.",
        )
    unknown = given.keys() - record["Parameters"].keys()
    if unknown:
        raise UsageError(f"stack {name} has no parameter {', '.join(sorted(unknown))}")
    request: Found = {
        "StackName": name,
        "ChangeSetType": "CREATE" if live is None else "UPDATE",
        "TemplateBody": template.decode("utf-8", "surrogateescape"),
        "Parameters": _parameters(record, name, live, given),
        "Tags": tags_as_sent(record["Tags"]),
    }
    return request | {key: about[key] for key in _AS_IS if about.get(key)}


def _parameters(
    record: Record, name: str, live: Found | None, given: Mapping[str, str]
) -> list[dict[str, Any]]:
    there = {one["ParameterKey"] for one in (live or {}).get("Parameters") or ()}
    hidden = [key for key in masked(record) if key not in given]
    missing = [key for key in hidden if key not in there]
    if missing:
        raise UsageError(
            f"stack {name} takes {', '.join(missing)}, whose values AWS never tells (NoEcho)",
            hint='Write them into a file, {"NAME": "value"}, and give it with --stack-parameters.',
        )
    found: list[dict[str, Any]] = []
    for key, one in sorted(record["Parameters"].items()):
        if key in hidden:
            found.append({"ParameterKey": key, "UsePreviousValue": True})
        else:
            value = given.get(key, one.get("ParameterValue", ""))
            found.append({"ParameterKey": key, "ParameterValue": value})
    return found


class ChangeSet:
    """A change set of one stack."""

    def __init__(
        self, service: Service, request: Found, change_set: str, sleep: Callable[[float], None]
    ) -> None:
        """``change_set``: what it is called, which nothing else of the stack is."""
        self._service = service
        self._request = request
        self._name = str(request["StackName"])
        self._about: dict[str, Any] = {"StackName": self._name, "ChangeSetName": change_set}
        self._made = False
        self._sleep = sleep

    def make(self) -> list[StackChange]:
        """Make it and return what it would do, nothing if the stack is as it was.

        ``RefusedError`` if AWS cannot make it.
        """
        name = self._about["ChangeSetName"]
        arguments = {**self._request, "ChangeSetName": name}
        self._service.ask("CreateChangeSet", self._name, secret=True, **arguments)
        self._made = True
        waited = 0.0
        while True:
            answer = self._service.ask("DescribeChangeSet", self._name, **self._about)
            status, why = answer.get("Status", ""), str(answer.get("StatusReason") or "")
            if status == "CREATE_COMPLETE":
                break
            if status == "FAILED":
                if any(text in why for text in _NO_CHANGE):
                    return []
                raise RefusedError(f"AWS makes no change set of stack {self._name}: {why}")
            if waited >= _MADE_SECONDS:
                raise RefusedError(f"the change set {name} of {self._name} is not ready: {status}")
            self._sleep(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
        found = self._service.pages("DescribeChangeSet", "Changes", self._name, **self._about)
        return [_change(one) for one in found]

    def discard(self) -> None:
        """Delete it, and the empty stack that it may have made; nothing if it was not made."""
        if not self._made:
            return
        self._service.ask("DeleteChangeSet", self._name, **self._about)
        live = described(self._service, self._name)
        if live is not None and live.get("StackStatus") == NOTHING_YET:
            self._service.ask("DeleteStack", self._name, StackName=self._name)

    def execute(self, tell: Callable[[str], None]) -> None:
        """Carry it out and wait for the end; ``tell`` gets each new status.

        ``RolledBackError``, ``RestoreError``.
        """
        self._service.ask("ExecuteChangeSet", self._name, **self._about)
        last = ""
        while True:
            live = described(self._service, self._name)
            status = str(live.get("StackStatus", "")) if live is not None else "gone"
            if status != last:
                tell(status)
                last = status
            if not status.endswith("_IN_PROGRESS"):
                break
            self._sleep(_LOOK_SECONDS)
        if status in _GOOD:
            return
        why = str((live or {}).get("StackStatusReason") or "")
        text = f"stack {self._name} ended as {status}{f': {why}' if why else ''}"
        hint = "Its events say which resource failed: aws cloudformation describe-stack-events."
        if status in _ROLLED_BACK:
            raise RolledBackError(text, hint=hint)
        raise RestoreError(text, hint=hint)

    def finish(self, record: Record) -> list[str]:
        """Set what a change set cannot, the stack policy and termination protection; the calls."""
        done = []
        if record.get("StackPolicy"):
            policy = {"StackPolicyBody": record["StackPolicy"]}
            self._service.ask("SetStackPolicy", self._name, StackName=self._name, **policy)
            done.append("SetStackPolicy")
        if record["Described"].get("EnableTerminationProtection"):
            self._service.ask(
                "UpdateTerminationProtection",
                self._name,
                StackName=self._name,
                EnableTerminationProtection=True,
            )
            done.append("UpdateTerminationProtection")
        return done


def _change(one: Found) -> StackChange:
    what = one.get("ResourceChange") or {}
    return StackChange(
        str(what.get("Action", "")),
        str(what.get("LogicalResourceId", "")),
        str(what.get("ResourceType", "")),
        str(what.get("Replacement") or ""),
    )
