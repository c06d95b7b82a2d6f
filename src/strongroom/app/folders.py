"""The folders of this host: caches, and what it remembers. All of it may be lost."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from typing import Final

from strongroom.app.machine import Machine, Run
from strongroom.model.fs import Buffer
from strongroom.repository.localfiles import FileCache, LocalFiles
from strongroom.system.causes import cause_of

_HOST_ID: Final = "host-id"
_HOST_ID_SIZE: Final = 16
_A_DAY_NS: Final = 86_400 * 1_000_000_000
_CACHE_TAG: Final = "CACHEDIR.TAG"
_CACHE_TAG_TEXT: Final = b"""Signature: 8a477f597d28d172789f06886806bc55
# This folder holds caches of strongroom; it can be removed at any time.
"""


class StateFiles(LocalFiles):
    """State that is worth keeping and not worth failing for: a folder that cannot be used warns.

    A home folder may be read-only, or belong to somebody else; a command then does its work and
    remembers nothing.
    """

    def __init__(self, run: Run, root: bytes) -> None:
        super().__init__(run.machine.fs, root, run.machine.randomness)
        self._run = run
        self._shown = os.fsdecode(root)

    def read_bounded(self, name: str, limit: int) -> bytes | None:
        """See ``LocalFiles``; None, with a warning, where that is not possible."""
        try:
            return super().read_bounded(name, limit)
        except OSError as error:
            self._warn(error)
            return None

    def write(self, name: str, data: Buffer, *, durable: bool = False) -> None:
        """See ``LocalFiles``; warns, once, where that is not possible."""
        try:
            super().write(name, data, durable=durable)
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        self._run.warn(
            f"nothing is remembered in {self._shown}: {cause_of(error)}. "
            "Set STRONGROOM_STATE_DIR to a folder that this user can write"
        )


def state_of(run: Run) -> StateFiles:
    """Return the state folder, whether or not it is there."""
    return StateFiles(run, os.fsencode(run.settings.state_dir))


def sweep_folders(run: Run) -> None:
    """Remove what processes that died more than a day ago left half written."""
    machine = run.machine
    for folder in (run.settings.state_dir, run.settings.cache_dir):
        files = LocalFiles(machine.fs, os.fsencode(folder), machine.randomness)
        files.sweep(machine.clock.now_ns() - _A_DAY_NS)


def cache_of(run: Run, repository_id: bytes) -> FileCache:
    """Return the cache for one repository; the folder of all caches is marked as one."""
    machine = run.machine
    files = LocalFiles(machine.fs, os.fsencode(run.settings.cache_dir), machine.randomness)
    with contextlib.suppress(OSError):
        if files.read_bounded(_CACHE_TAG, 1) is None:
            files.write(_CACHE_TAG, _CACHE_TAG_TEXT)
    return FileCache(files.below(repository_id.hex()))


def walks_of(run: Run, repository_id: bytes) -> LocalFiles:
    """Return where the last walks for one repository are kept."""
    return state_of(run).below(f"repositories/{repository_id.hex()}")


def host_id(run: Run) -> str:
    """Return the random id of this host, made when first asked for.

    Where it cannot be kept, an id that stays the same as long as the system is not installed anew.
    """
    state = state_of(run)
    known = (state.read_bounded(_HOST_ID, 64) or b"").decode("ascii", "replace").strip()
    if re.fullmatch(rf"[0-9a-f]{{{2 * _HOST_ID_SIZE}}}", known):
        return known
    made = run.machine.randomness.take(_HOST_ID_SIZE).hex()
    state.write(_HOST_ID, f"{made}\n".encode(), durable=True)
    kept = state.read_bounded(_HOST_ID, 64)
    return made if kept == f"{made}\n".encode() else _installed_id(run.machine)


def _installed_id(machine: Machine) -> str:
    system = b""
    with contextlib.suppress(OSError), open("/etc/machine-id", "rb") as file:  # noqa: PTH123
        system = file.read(64)
    text = b"strongroom host\0" + system + b"\0" + machine.host.encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[: 2 * _HOST_ID_SIZE]


def source_name(host: str, paths: list[bytes]) -> str:
    """Return the stable name of a source that is only paths: of the host's id and the paths."""
    digest = hashlib.sha256(b"strongroom paths\0" + host.encode())
    for path in sorted(set(paths)):
        digest.update(len(path).to_bytes(8) + path)
    return digest.hexdigest()[:32]
