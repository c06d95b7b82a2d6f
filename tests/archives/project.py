"""A project with archives: by the command line, or below it with a clock and a disk of a test."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

from strongroom.app.archives.making import Made, MakeRequest, make_archive
from strongroom.app.archives.place import ArchivePlace, place_of, shelf_of
from strongroom.app.archives.restoring import (
    RestorePlan,
    RestoreReport,
    RestoreRequest,
    restore_archive,
)
from strongroom.app.machine import Machine, Run
from strongroom.archive.shelf import Shelf, Shelved
from strongroom.clock import ManualClock, SystemClock
from strongroom.config.archives import ArchiveSettings
from strongroom.config.settings import Settings
from strongroom.model.events import Event, Notice
from strongroom.model.fs import Fs
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from strongroom.system.spawn import SystemSpawn
from tests.cli.harness import Program, Result
from tests.support.compare_trees import Seen, describe

DAY: Final = 86_400
_AHEAD: Final = 3600  # seconds, so that files are old enough to be known again
OURS: Final = ("backup", ".strongroom-restore")
FILES: Final[Mapping[str, bytes]] = {
    "README.md": b"A project.\n",
    "lib/code.sh": b"echo code\n" * 300,
    "lib/deep/er/data.bin": bytes(range(256)) * 40,
    "config/app.toml": b"name = 'app'\n",
    "config/empty": b"",
}


Tree = dict[bytes, Seen]


class QuickFs(PosixFs):
    """A disk that makes nothing durable, so that a test does not wait for one."""

    def fsync(self, fd: int) -> None:
        os.fstat(fd)

    def syncfs(self, fd: int) -> None:
        os.fstat(fd)


def within(folder: Path, inside: object) -> Fs:
    """Return a sound disk which below ``folder`` is ``inside``."""
    return cast("Fs", _Routed(bytes(folder), inside))


class _Routed:
    """Knows by path, and then by descriptor, which disk a call is for."""

    def __init__(self, prefix: bytes, inside: object) -> None:
        self._prefix = prefix
        self._inside = inside
        self._outside = QuickFs()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of Fs
        def call(first: bytes | int, *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - any call
            fd = named.get("dir_fd", named.get("old_dir_fd", first))
            where = first if isinstance(first, bytes) else b""
            if isinstance(fd, int) and not where.startswith(b"/"):
                where = os.fsencode(Path(f"/proc/self/fd/{fd}").readlink()) + b"/" + where
            chosen = self._inside if where.startswith(self._prefix) else self._outside
            return getattr(chosen, name)(first, *rest, **named)

        return call


class Project:
    """A project in ``folder``, and everything that a person does with its archives."""

    def __init__(self, base: Path, files: Mapping[str, bytes] = FILES) -> None:
        self.base = base
        self.program = Program(base)
        self.folder = base / "project"
        self.folder.mkdir()
        self.program.folder = self.folder
        del self.program.environment["STRONGROOM_REPOSITORY"]
        del self.program.environment["STRONGROOM_KEY_FILE"]
        self.write(files)
        self.clock = ManualClock(SystemClock().now_ns() // 10**9 * 10**9 + _AHEAD * 10**9)
        self.events: list[Event] = []
        self.settings = ArchiveSettings()

    @property
    def backup(self) -> Path:
        """The folder of the archives."""
        return self.folder / "backup"

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files by path."""
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def names(self) -> set[str]:
        """Return what is in the folder of the archives, but for the logs of other runs."""
        there = names_in(self.backup) if self.backup.exists() else []
        return {name for name in there if not name.endswith(".log")}

    # -- by the command line

    def cli(
        self,
        *arguments: object,
        env: Mapping[str, str | None] | None = None,
        answer: str = "",
        code: int = 0,
    ) -> Result:
        """Run a command in the project, which must end with this code."""
        result = self.program.run(*map(str, arguments), env=env, answer=answer)
        assert result.code == code, result
        assert "Traceback" not in result.err, result
        return result

    def create(
        self, *arguments: object, env: Mapping[str, str | None] | None = None, code: int = 0
    ) -> Path:
        """Make an archive by the command line; its folder."""
        before = self.names()
        self.cli("archive", "create", *arguments, env=env, code=code)
        (new,) = self.names() - before
        return self.backup / new

    # -- below it

    @property
    def place(self) -> ArchivePlace:
        """Where its archives are."""
        return place_of(self.run(), str(self.folder), None)

    def run(self, fs: Fs | None = None, spawn: SystemSpawn | None = None) -> Run:
        """Return what a command works with, on any disk and with the clock of this project."""
        machine = Machine(
            fs=fs or QuickFs(),
            clock=self.clock,
            randomness=SystemRandomness(),
            spawn=spawn or SystemSpawn(),
            host="host",
            user="user",
        )
        settings = Settings(
            place=None,
            secrets=(),
            cache_dir=self.base / "cache",
            state_dir=self.base / "state",
            config_file=None,
            sources={},
            folder=self.folder,
            no_color=True,
            archives=self.settings,
        )
        return Run(settings, machine, self.events.append)

    def shelf(self, fs: Fs | None = None) -> Shelf:
        """Return the archives."""
        return shelf_of(self.run(fs), self.place)

    def make(
        self,
        *scope: str,
        fs: Fs | None = None,
        incremental: bool = False,
        **more: Any,  # noqa: ANN401 - as MakeRequest has it
    ) -> Made:
        """Make an archive, one second after the one before."""
        self.clock.sleep(1)
        request = MakeRequest(scope=scope, incremental=incremental, **more)
        return make_archive(self.run(fs), self.place, request)

    def made(self, *scope: str, **more: Any) -> str:  # noqa: ANN401 - as above
        """Make an archive; its id."""
        return str(self.make(*scope, **more).id)

    def restore(
        self,
        name: str,
        *paths: str,
        fs: Fs | None = None,
        go_on: bool = True,
        plans: list[RestorePlan] | None = None,
        **more: Any,  # noqa: ANN401 - as RestoreRequest has it
    ) -> RestoreReport | None:
        """Restore an archive, one second later."""
        self.clock.sleep(1)

        def decide(plan: RestorePlan) -> bool:
            if plans is not None:
                plans.append(plan)
            return go_on

        request = RestoreRequest(name=name, paths=paths, **more)
        return restore_archive(self.run(fs), self.place, self.place.folder, request, decide)

    def listed(self) -> dict[str, Shelved]:
        """Return everything that is on the shelf."""
        return {str(one.id): one for one in self.shelf().listed()}

    def notices(self) -> str:
        """Return what was said, a line each."""
        return "\n".join(one.text for one in self.events if isinstance(one, Notice))

    # -- what is there

    def state(self, folder: Path | None = None) -> Tree:
        """Describe the project below its top, without archives; equal means untouched."""
        return tree_of(folder or self.folder)

    def metadata(self, name: str) -> dict[str, Any]:
        """Read the metadata of an archive."""
        return metadata_of(self.backup / name)


def tree_of(folder: Path, without: Sequence[str] = OURS) -> Tree:
    """Describe everything below a folder."""
    tops = [os.fsencode(name) for name in without]
    found = describe(folder)
    del found[b""]
    return {
        path: replace(seen, allocated=0)
        for path, seen in found.items()
        if not any(path == top or path.startswith(top + b"/") for top in tops)
    }


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def metadata_of(folder: Path) -> dict[str, Any]:
    """Read the metadata in the folder of an archive."""
    (path,) = folder.glob("*-metadata.json")
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files of one folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def foreign(project: Project, stamp: str, *names: str) -> Path:
    """Make an archive as a script by the guide does: with tar, sha256sum and jq."""
    folder = project.backup / stamp
    folder.mkdir(parents=True)
    listed = " ".join(names or ("lib/", "config/", "README.md"))
    script = f"""
set -e
tar -czf {project.base}/made.tar.gz {listed}
mv {project.base}/made.tar.gz {folder}/backup-{stamp}.tar.gz
cd {folder}
sha256sum backup-{stamp}.tar.gz > backup-checksum.sha256
sum=$(cut -d' ' -f1 backup-checksum.sha256)
size=$(stat -c %s backup-{stamp}.tar.gz)
jq -n --arg sum "sha256:$sum" --argjson size "$size" '{{backup_timestamp: "{stamp}",
  backup_version: "1.0", project_root: "{project.folder}", backup_scope: ["lib/", "config/",
  "README.md"], system_info: {{hostname: "h", user: "u", bash_version: "5", os: "Linux",
  os_version: "6"}}, backup_checksum: $sum, backup_size: $size, compression_ratio: 0.85}}' \\
  > backup-metadata.json
"""
    subprocess.run(["bash", "-c", script], cwd=project.folder, check=True)
    assert metadata_of(folder)["backup_size"] > 0
    return folder


def key_file(project: Project, name: str) -> Path:
    """Return a key file as age-keygen makes it: a passphrase takes a second each time."""
    path = project.base / f"{name}.key"
    subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    return path


def public_of(key: Path) -> str:
    """Return the recipient of a key file."""
    lines = key.read_text().splitlines()
    return next(line.split(": ")[1] for line in lines if "public key" in line)
