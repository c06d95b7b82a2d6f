"""Who may do what with a repository in a bucket: an agent, a host that restores, a maintainer.

Nobody may pass by a retention (``s3:BypassGovernanceRetention``), or remove a version of a bucket
that keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.aws.policies.statements import Place, Statement, allow, decrypt_via, literal

_MULTI_REGION: Final = ":key/mrk-"
# Every object is put on the condition that its key is free, so nobody needs to overwrite one.
_ONLY_NEW: Final = {"Null": {"s3:if-none-match": "false"}}

_OF_BUCKET: Final = (  # what becomes of what is deleted in it
    "s3:GetBucketVersioning",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetLifecycleConfiguration",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository, as IAM knows it. ``prefix``: what its keys begin with, without the slash.

    ``sealed``: the bucket encrypts by a key of KMS. ``keys``: ARNs of the keys of KMS that open the
    repository, in the context ``context``.
    """

    place: Place
    bucket: str
    prefix: str = ""
    sealed: bool = False
    keys: Sequence[str] = ()
    context: Mapping[str, str] | None = None

    def objects(self, patterns: Sequence[str]) -> list[str]:
        """Return the names of objects; ``patterns`` are of keys in the repository."""
        return [self.place.bucket(self.bucket, key) for key in self.keys_in_bucket(patterns)]

    def keys_in_bucket(self, patterns: Sequence[str]) -> list[str]:
        """Return the patterns of keys in the bucket."""
        before = f"{literal(self.prefix)}/" if self.prefix else ""
        return [before + pattern for pattern in patterns]


def agent(repository: Repository, readable: Sequence[str], own: Sequence[str]) -> list[Statement]:
    """Allow to read what begins with ``readable``, and to add to what begins with ``own``."""
    reading = [_below(key) for key in readable]
    return [
        _listing(repository, reading),
        allow("Read", ["s3:GetObject"], repository.objects(reading)),
        _adding(repository, [_below(key) for key in own]),
        *_bucket_key(repository, seals=True),
    ]


def restore(repository: Repository) -> list[Statement]:
    """Allow to read everything, also as it was, and to open it with a key of KMS."""
    return [
        *_reading(repository, ["s3:GetBucketVersioning"]),
        *_bucket_key(repository, seals=False),
        *_opening(repository, ["kms:Decrypt"]),
    ]


def maintainer(repository: Repository) -> list[Statement]:
    """Allow to read, add, delete and hold everything, and to seal further keys with those of KMS.

    A retention can be extended, and never shortened: that would be to pass by it.
    """
    return [
        *_reading(repository, _OF_BUCKET),
        _adding(repository, ["*"]),
        allow("Delete", ["s3:DeleteObject"], repository.objects(["*"])),
        allow(
            "Hold",
            ["s3:GetObjectRetention", "s3:PutObjectRetention"],
            repository.objects(["*"]),
        ),
        *_bucket_key(repository, seals=True),
        *_opening(repository, ["kms:Decrypt", "kms:GenerateDataKey"]),
    ]


def _below(key: str) -> str:
    return f"{key}*" if key.endswith("/") else key


def _reading(repository: Repository, of_bucket: Sequence[str]) -> list[Statement]:
    """Allow to read everything, as it is and as it was; ``of_bucket``: what the bucket is asked."""
    return [
        _listing(repository, ["*"], ["s3:ListBucket", "s3:ListBucketVersions"]),
        allow("Bucket", of_bucket, [repository.place.bucket(repository.bucket)]),
        allow("Read", ["s3:GetObject", "s3:GetObjectVersion"], repository.objects(["*"])),
    ]


def _listing(
    repository: Repository, patterns: Sequence[str], actions: Sequence[str] = ("s3:ListBucket",)
) -> Statement:
    """Allow to list, and to be told that an object is missing: S3 says 403 to whoever may not.

    That question has no prefix, so one without any must be allowed.
    """
    bucket = [repository.place.bucket(repository.bucket)]
    prefixes = repository.keys_in_bucket(patterns)
    condition = None if prefixes == ["*"] else {"StringLikeIfExists": {"s3:prefix": prefixes}}
    return allow("List", actions, bucket, condition)


def _adding(repository: Repository, patterns: Sequence[str]) -> Statement:
    return allow("Add", ["s3:PutObject"], repository.objects(patterns), _ONLY_NEW)


def _bucket_key(repository: Repository, *, seals: bool) -> list[Statement]:
    """Allow S3 to use the key by which the bucket encrypts, for the objects of the repository.

    With a bucket key, the context names the bucket alone.
    """
    if not repository.sealed:
        return []
    arns = [repository.place.bucket(repository.bucket), *repository.objects(["*"])]
    return [decrypt_via(repository.place, "s3", arns, seals=seals)]


def _opening(repository: Repository, actions: Sequence[str]) -> list[Statement]:
    if not repository.keys:
        return []
    context = {
        f"kms:EncryptionContext:{name}": value for name, value in (repository.context or {}).items()
    }
    arns = [_everywhere(arn) for arn in repository.keys]
    return [allow("Open", actions, arns, {"StringEquals": context})]


def _everywhere(arn: str) -> str:
    """Return the ARN of a key; one of several regions is asked for in each of them."""
    if _MULTI_REGION not in arn:
        return arn
    parts = arn.split(":")
    parts[3] = "*"
    return ":".join(parts)
