"""What every store asks of the arguments it is given; ``ValueError`` where it is not so."""

from __future__ import annotations

from typing import Final

from strongroom.model.fs import Buffer
from strongroom.model.store import checked_key

TEMPORARY_PREFIX: Final = ".tmp-"  # of names that are no objects yet
MAX_COMPONENT_LENGTH: Final = 255  # of one name on every common file system


def object_key(key: str) -> str:
    """Return ``key`` if every store can hold, and list, an object under it."""
    checked_key(key)
    if TEMPORARY_PREFIX in key and f"/{TEMPORARY_PREFIX}" in f"/{key}":
        raise ValueError(f"the name of a temporary file, not of an object: {key!r}")
    if len(key) > MAX_COMPONENT_LENGTH and max(map(len, key.split("/"))) > MAX_COMPONENT_LENGTH:
        raise ValueError(f"a component has more than {MAX_COMPONENT_LENGTH} characters: {key!r}")
    return key


def listing_prefix(prefix: str) -> str:
    """Return ``prefix`` if it is empty, or the start of a key up to and with a ``/``."""
    if prefix:
        if not prefix.endswith("/"):
            raise ValueError(f"a prefix is empty or ends in a slash: {prefix!r}")
        checked_key(prefix[:-1])
    return prefix


def check_range(offset: int, length: int) -> None:
    """Raise ``ValueError`` for a range that no object can have."""
    if offset < 0 or length < 0:
        raise ValueError(f"not a range: {length} bytes from {offset}")


def flat(value: Buffer) -> memoryview:
    """Return the bytes of ``value`` as one row; copied only if they do not lie so."""
    view = memoryview(value)
    if view.format == "B" and view.ndim == 1 and view.c_contiguous:
        return view
    return memoryview(view.tobytes())
