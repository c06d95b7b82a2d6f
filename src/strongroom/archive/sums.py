"""``backup-checksum.sha256``: a line for each file, as ``sha256sum`` writes it and checks it.

The archive comes first, so that whoever takes the first word of the file gets its checksum; then
the manifest and the metadata, which nothing else would notice a changed byte in. One that a script
made by the guide names the archive alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from strongroom.errors import DamageError

_LINE: Final = re.compile(r"([0-9a-f]{64})  ([^/\0]+)")
_FOREIGN: Final = re.compile(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)")


def write_sums(sums: Mapping[str, str]) -> bytes:
    """Return the file for checksums in hexadecimal by the names of files."""
    return "".join(f"{sha256}  {name}\n" for name, sha256 in sums.items()).encode()


def read_sums(data: bytes, shown: str, *, ours: bool) -> dict[str, str]:
    """Read the file; ``DamageError``. ``ours``: not a byte may be other than we write it."""
    line = _LINE if ours else _FOREIGN
    try:
        *lines, rest = data.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise DamageError(f"{shown} is no list of checksums") from error
    if rest and not ours:
        lines, rest = [*lines, rest], ""
    found = [line.fullmatch(text.removesuffix("\r") if not ours else text) for text in lines]
    if rest or not found or None in found:
        raise DamageError(f"{shown} is no list of checksums")
    sums = {one[2]: one[1].lower() for one in found if one is not None}
    if len(sums) != len(found):
        raise DamageError(f"{shown} names a file twice")
    return sums
