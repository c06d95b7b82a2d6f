"""What is said about documents in S3: ``[sources.NAME]`` with ``type = "s3"``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_NAME: Final = re.compile(r"[a-z0-9{][a-z0-9.{}_-]{1,253}[a-z0-9}]")
_ALL: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentsSettings:
    """A source of objects; ``environment`` is the one whose account reads it, empty without one.

    ``most_vanished``: the percentage of what the last backup had that may be gone.
    """

    name: str
    environment: str
    bucket: str
    prefix: str = ""
    tags: bool = True
    configuration: bool = True
    most_vanished: int = 50


def wrong_in(
    top: tuple[str, ...], table: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the keys of a source of objects, which stands at ``top``, that mean nothing."""
    bucket = table.get("bucket")
    if isinstance(bucket, str) and not _NAME.fullmatch(bucket):
        yield (*top, "bucket"), f"{bucket!r} is no name of a bucket: no URL, no slash, no capitals"
    prefix = table.get("prefix")
    if isinstance(prefix, str) and prefix.startswith("/"):
        yield (*top, "prefix"), "keys begin without a slash"
    most = table.get("most_vanished")
    if isinstance(most, int) and not 0 <= most <= _ALL:
        yield (*top, "most_vanished"), "a percentage: a number from 0 to 100"
