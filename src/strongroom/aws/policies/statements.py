"""The language of IAM policies: ARNs, patterns, statements and documents.

See the AWS Identity and Access Management User Guide, "IAM JSON policy elements reference". What
an action is called, and which resource and condition key goes with it, is in the Service
Authorization Reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Statement = dict[str, Any]
Document = dict[str, Any]
Condition = Mapping[str, Mapping[str, str | list[str]]]

VERSION: Final = "2012-10-17"
_PARTITIONS: Final = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"))
_SPECIAL: Final = re.compile(r"[*?$]")
_CLASS: Final = re.compile(r"\[[^]]+\]")
_BOUND: Final = {"s3": "aws:s3:arn", "ssm": "PARAMETER_ARN", "secretsmanager": "SecretARN"}
_SEALING: Final = {
    "s3": ("kms:GenerateDataKey",),
    "ssm": ("kms:Encrypt", "kms:GenerateDataKey"),  # the latter of an advanced parameter
    "secretsmanager": ("kms:GenerateDataKey",),
}
_OWNER: Final = re.compile(r"arn:[^:]+:iam::([0-9]{12}):")


@dataclass(frozen=True, slots=True)
class Place:
    """Where resources are; ``*`` stands for what is not known: of a role, its own account."""

    region: str = "*"
    account: str = "*"

    @property
    def partition(self) -> str:
        """The part of AWS that a region belongs to."""
        return next((name for begin, name in _PARTITIONS if self.region.startswith(begin)), "aws")

    def arn(self, service: str, resource: str) -> str:
        """Return the name of a resource of this region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def bucket(self, name: str, keys: str = "") -> str:
        """Return the name of a bucket, or of what is in it: ``keys`` is a pattern."""
        return f"arn:{self.partition}:s3:::{name}" + (f"/{keys}" if keys else "")


def place_of(region: str, role: str) -> Place:
    """Return where the resources of an account are; ``role``: the ARN of one that is assumed."""
    match = _OWNER.match(role)
    return Place(region or "*", match[1] if match else "*")


def literal(text: str) -> str:
    """Return a pattern that means this very text."""
    return _SPECIAL.sub(lambda match: f"${{{match[0]}}}", text)


def pattern_of(text: str) -> str:
    """Return what a name, a path or a pattern of the configuration is in IAM, or a bit wider.

    ``[a-c]``, which IAM has not, is any one character.
    """
    pattern = _CLASS.sub("?", text.replace("$", "${$}"))
    return f"{pattern}*" if text.endswith("/") else pattern


def allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Condition | None = None
) -> Statement:
    """Return a statement; each list is without doubles, in its order."""
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(dict.fromkeys(actions)),
        "Resource": list(dict.fromkeys(resources)),
    }
    if condition:
        statement["Condition"] = condition
    return statement


def allow_asking(place: Place, sid: str, actions: Sequence[str]) -> Statement:
    """Allow requests that name no resource, in the region that is known."""
    here = {"StringEquals": {"aws:RequestedRegion": place.region}}
    return allow(sid, actions, ["*"], None if place.region == "*" else here)


def decrypt_via(
    place: Place, service: str, arns: Sequence[str], *, seals: bool = False
) -> Statement:
    """Allow a service to open what it keeps for us, with whatever key: that of these things alone.

    ``seals``: it may also seal new data. In the context of a key each service says whose the data
    is, under a name of its own.
    """
    actions = ["kms:Decrypt", *(_SEALING[service] if seals else ())]
    region = "*" if service == "s3" else place.region  # a bucket may be in another one
    keys = f"arn:{place.partition}:kms:{region}:*:key/*"
    through = {
        "kms:ViaService": [f"{service}.{region}.amazonaws.com*"],
        f"kms:EncryptionContext:{_BOUND[service]}": list(dict.fromkeys(arns)),
    }
    return allow(f"Keys{service.capitalize()}", actions, [keys], {"StringLike": through})


def document(statements: Iterable[Statement]) -> Document:
    """Return a policy of different statements, each with a name of its own."""
    found: list[Statement] = []
    for statement in statements:
        if statement not in found:
            found.append(statement)
    names = [one["Sid"] for one in found]
    numbered = [
        {**one, "Sid": _numbered(one["Sid"], names[:at].count(one["Sid"]))}
        for at, one in enumerate(found)
    ]
    return {"Version": VERSION, "Statement": numbered}


def _numbered(sid: str, before: int) -> str:
    return f"{sid}{before + 1}" if before else sid
