"""How much memory may be taken, and the folder whose files are memory (tmpfs).

``MemAvailable`` is what can be had without swapping (proc_meminfo(5)); a control group may have
less (cgroups(7): ``memory.max`` and ``memory.current`` of version 2, of each up to the root).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_FOLDER: Final = "dev/shm"
_KIBIBYTE: Final = 1024
_GROUPS: Final = "sys/fs/cgroup"
_OWN_GROUP: Final = "0::/"


def available_memory(root: Path = Path("/")) -> int:
    """Return the bytes that may be taken now; 0 where the system does not say."""
    for line in _lines(root / "proc/meminfo"):
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return max(min([int(rest.split()[0]) * _KIBIBYTE, *_left_in_groups(root)]), 0)
    return 0


def memory_folder(root: Path = Path("/")) -> Path | None:
    """Return the folder whose files are memory, if there is one that this process can write."""
    folder = root / _FOLDER
    mounted = any(
        line.split()[1:3] == [f"/{_FOLDER}", "tmpfs"] for line in _lines(root / "proc/self/mounts")
    )
    return folder if mounted and os.access(folder, os.W_OK | os.X_OK) else None


def _left_in_groups(root: Path) -> Iterator[int]:
    groups = [line for line in _lines(root / "proc/self/cgroup") if line.startswith(_OWN_GROUP)]
    for group in groups:
        place = Path(group.removeprefix(_OWN_GROUP))
        for one in (place, *place.parents):
            most = _lines(root / _GROUPS / one / "memory.max")
            taken = _lines(root / _GROUPS / one / "memory.current")
            if most and taken and most[0].isdigit():
                yield int(most[0]) - int(taken[0])


def _lines(file: Path) -> list[str]:
    """Return the lines of a file of the kernel; none where it is not there."""
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
