"""The whole program below the command line, on folders of a test and on any file system."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from strongroom.app.backup import BackupReport, BackupRequest
from strongroom.app.backup import backup as app_backup
from strongroom.app.machine import Machine, Run
from strongroom.clock import ManualClock, SystemClock
from strongroom.config.places import Place, SecretKind, SecretSetting
from strongroom.config.settings import Settings, SourceSettings
from strongroom.config.values import Level, Value
from strongroom.crypto.keytext import key_to_text
from strongroom.model.events import Event
from strongroom.model.fs import Fs
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from strongroom.system.spawn import SystemSpawn
from tests.faults.workloads import Files
from tests.support.kit import SECRET

TREE = "tree"
AN_HOUR_NS = 3600 * 1_000_000_000  # so that the files of a test are old enough to be trusted


class Host:
    """A host with ``repository``, ``state``, ``cache`` and ``key`` below ``folder``.

    Its key is that of ``Kit``; ``tree`` is what it backs up. ``fs`` is all that it sees of disks.
    """

    def __init__(self, folder: Path, tree: Path, fs: Fs | None = None) -> None:
        self.folder = folder
        self.events: list[Event] = []
        key = folder / "key"
        if not key.exists():
            folder.mkdir(parents=True, exist_ok=True)
            key.write_text(key_to_text(SECRET.value) + "\n")
            key.chmod(0o600)
        machine = Machine(
            fs=fs or PosixFs(),
            clock=ManualClock(SystemClock().now_ns() + AN_HOUR_NS),
            randomness=SystemRandomness(),
            spawn=SystemSpawn(),
            host="host",
            user="user",
        )
        self.run = Run(_settings(folder, tree), machine, self.events.append)

    def backup(self) -> BackupReport:
        """Back up the tree."""
        return app_backup(self.run, BackupRequest(names=(TREE,)), totals=False)


def _settings(folder: Path, tree: Path) -> Settings:
    key = Value(str(folder / "key"), "--key-file", Level.FLAG)
    return Settings(
        place=Place(str(folder / "repository"), folder, "-r"),
        secrets=(SecretSetting(SecretKind.KEY_FILE, key),),
        cache_dir=folder / "cache",
        state_dir=folder / "state",
        config_file=None,
        sources={TREE: SourceSettings(TREE, (tree,))},
        folder=folder,
        no_color=True,
    )


def write_files(folder: Path, files: Files) -> None:
    """Write files by path."""
    for name, data in files.items():
        path = folder / name.decode()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def files_as_saved(tree: Path) -> Files:
    """Return what a snapshot of ``tree`` must hold: bytes by path without the first slash."""
    return {
        bytes(path)[1:]: path.read_bytes()
        for path in sorted(tree.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def below(folder: Path, inside: object) -> Fs:
    """Return the real file system, but below ``folder`` (absolute) it is ``inside``."""
    return cast("Fs", _Routed(bytes(folder), inside))


class _Routed:
    """Knows by path, and then by descriptor, which file system a call is for."""

    def __init__(self, prefix: bytes, inside: object) -> None:
        self._prefix = prefix
        self._inside = inside
        self._outside = PosixFs()
        self._inside_fds: set[int] = set()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of Fs
        def call(first: bytes | int, *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - any call
            if isinstance(first, bytes):
                inside = first.startswith(self._prefix)
            else:
                inside = first in self._inside_fds
            within = self._inside if inside else self._outside
            answer = getattr(within, name)(first, *rest, **named)
            if inside and name == "open":
                self._inside_fds.add(answer)
            elif name == "close":
                self._inside_fds.discard(first)
            return answer

        return call
