"""What a person may mean who has typed a part of it: from files of this host alone.

The repository is never opened, no key is asked for, and no library of the engine is loaded.
"""

from __future__ import annotations

import heapq
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.config.environment import Environment
from strongroom.config.glance import Glance, glance
from strongroom.config.places import Flags
from strongroom.errors import UsageError
from strongroom.repository.peek import HEAD_SIZE, remembered_name, snapshot_time
from strongroom.storage.url import parse

_MOST: Final = 50
_SHORT: Final = 8
_ID: Final = re.compile(r"[0-9a-f]{32}")


class KnownSnapshot(NamedTuple):
    """A snapshot that a command of this host has seen, by when it was committed (ns)."""

    committed_ns: int
    id: str


def known_names(flags: Flags, environment: Environment) -> tuple[list[str], list[str]]:
    """Return the names of repositories and of sources in the configuration."""
    seen = _seen(flags, environment)
    return (list(seen.repositories), list(seen.sources)) if seen else ([], [])


def known_snapshots(flags: Flags, environment: Environment, begin: str) -> list[KnownSnapshot]:
    """Return the latest snapshots whose ids begin so, the newest first."""
    seen = _seen(flags, environment)
    folder = _cache_of_repository(seen) if seen else None
    if folder is None:
        return []
    files = heapq.nlargest(_MOST, _commits(folder, begin))
    found = []
    for _, path in files:
        with suppress(OSError):
            head = _head(path)
            committed = snapshot_time(head)
            if committed is not None:
                found.append(KnownSnapshot(committed, Path(path).name))
    return sorted(found, reverse=True)


def shortest(found: list[KnownSnapshot]) -> list[str]:
    """Return as much of each id as tells it apart from the others, and eight digits at least."""
    ids = [one.id for one in found]
    length = _SHORT
    while len({one[:length] for one in ids}) < len(ids):
        length += 1
    return [one[:length] for one in ids]


def _seen(flags: Flags, environment: Environment) -> Glance | None:
    try:
        return glance(flags, environment)
    except UsageError:  # no home folder, so nothing is known
        return None


def _cache_of_repository(seen: Glance) -> Path | None:
    if seen.place is None:
        return None
    try:
        url = str(parse(seen.place.url, str(seen.place.folder)))
        known = json.loads((seen.state_dir / remembered_name(url)).read_bytes())
        repository = known["repository_id"]
    except (UsageError, OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(repository, str) or not _ID.fullmatch(repository):
        return None
    return seen.cache_dir / repository / "commits"


def _commits(folder: Path, begin: str) -> Iterator[tuple[int, str]]:
    """Yield (time of the file, path) of the commits in a cache."""
    with suppress(OSError):
        for writer in os.scandir(folder):
            for entry in os.scandir(writer.path):
                if entry.name.startswith(begin) and _ID.fullmatch(entry.name):
                    with suppress(OSError):
                        yield entry.stat().st_mtime_ns, entry.path


def _head(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - one of many
        return file.read(HEAD_SIZE)
