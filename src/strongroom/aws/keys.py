"""Where the objects of a source lie in a snapshot."""

from __future__ import annotations

import re
from typing import Final

TOP: Final = b"s3"
_OBJECTS: Final = b"/objects/"
_CONFIGURATION: Final = b"/bucket.json"
_IN_OBJECTS: Final = re.compile(rb"/?(s3/[^/]+/objects/)(.*)", re.DOTALL)


def source_path(source: str) -> bytes:
    """Return the folder of a snapshot that holds what a source saved."""
    return TOP + b"/" + source.encode("utf-8", "surrogateescape")


def objects_path(source: str) -> bytes:
    """Return what the paths of objects begin with; their keys follow, byte for byte."""
    return source_path(source) + _OBJECTS


def configuration_path(source: str) -> bytes:
    """Return where the set-up of the bucket is, which sorts before all objects."""
    return source_path(source) + _CONFIGURATION


def split_path(path: bytes) -> tuple[bytes, bytes] | None:
    """Return what comes before the key in the path of an object, and the key; None for others."""
    match = _IN_OBJECTS.fullmatch(path)
    return (match[1], match[2]) if match is not None else None
