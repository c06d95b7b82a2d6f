"""What can be seen of cached objects without a key, and without any library: for completion only.

Nothing here is verified, and nothing is decided by it.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

_BODY: Final = 28  # of an envelope, docs/format.md 3
_COMMIT: Final = struct.Struct(">BBBBQ")  # 12 fields, decision, purpose, 64-bit committed: 5
_FIELDS: Final = 0x9C
_DECISION: Final = 1
_BACKUP: Final = 1
_U64: Final = 0xCF
HEAD_SIZE: Final = _BODY + _COMMIT.size


def snapshot_time(head: bytes) -> int | None:
    """Return when the snapshot was committed that these first bytes of a commit are of.

    None if they are of anything else.
    """
    if len(head) < HEAD_SIZE:
        return None
    fields, decision, purpose, kind, committed = _COMMIT.unpack_from(head, _BODY)
    found: tuple[int, ...] = (fields, decision, purpose, kind)
    return int(committed) if found == (_FIELDS, _DECISION, _BACKUP, _U64) else None


def remembered_name(url: str) -> str:
    """Return the name of the file in the state folder that a repository at a URL is known by."""
    return f"known/{hashlib.sha256(url.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"
