"""Who restored things are to belong to, from the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from strongroom.app.named_files import read_named
from strongroom.errors import UsageError
from strongroom.restore.files.owners import (
    IdOf,
    OwnerMap,
    Owners,
    Ownership,
    group_id,
    owner_map,
    user_id,
)

_LARGEST: Final = 1 << 20


def owners_of(
    ownership: Ownership, users: Sequence[str], groups: Sequence[str], folder: Path
) -> Owners:
    """Read what ``--owner-map`` and ``--group-map`` say; ``UsageError``.

    Each is a pair ``OLD:NEW``, or a file with a pair a line, in which ``#`` begins a comment.
    """
    return Owners(
        ownership,
        users=_map("--owner-map", "user", users, folder, user_id),
        groups=_map("--group-map", "group", groups, folder, group_id),
    )


def _map(option: str, what: str, texts: Sequence[str], folder: Path, id_of: IdOf) -> OwnerMap:
    pairs = [pair for text in texts for pair in _pairs(option, text, folder)]
    try:
        return owner_map(pairs, id_of)
    except ValueError as error:
        raise UsageError(
            f"{option} names the {what} '{error}', who is not on this machine",
            hint=f"Give the name of a {what} here, or a number.",
        ) from error


def _pairs(option: str, text: str, folder: Path) -> Iterator[tuple[bytes, bytes]]:
    if ":" in text:
        yield _pair(option, text, text)
        return
    what = f"{option} '{text}', which is no pair OLD:NEW, as a file"
    data = read_named(folder / text, what, _LARGEST)
    for number, line in enumerate(data.split(b"\n"), 1):
        content = line.partition(b"#")[0].strip()
        if content:
            yield _pair(option, os.fsdecode(content), f"{text}, line {number}")


def _pair(option: str, text: str, where: str) -> tuple[bytes, bytes]:
    old, colon, new = text.partition(":")
    if not colon:
        old, _, new = text.partition(" ")
    old, new = old.strip(), new.strip()
    if not old or not new:
        raise UsageError(
            f"{option} {where}: '{text}' is no pair",
            hint="Write OLD:NEW with names or numbers; OLD may be * for all others.",
        )
    return os.fsencode(old), os.fsencode(new)
