"""The programs that are compared, each as the shell commands a user would type."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

STRONGROOM = Path(sys.executable).parent / "strongroom"


@dataclass(frozen=True)
class Program:
    """Commands with ``{data}``, ``{repo}``, ``{out}`` and ``{home}``; an empty one is not compared.

    ``version`` is a command whose first line of output names the version.
    """

    name: str
    version: str
    prepare: str
    backup: str
    unchanged: str
    restore: str
    verify: str

    @property
    def installed(self) -> bool:
        """Whether the program is on this machine."""
        return shutil.which(self.version.split()[0]) is not None

    def version_line(self) -> str:
        """Return the version as the program says it."""
        result = subprocess.run(
            ["sh", "-c", self.version], capture_output=True, text=True, check=True
        )
        return result.stdout.strip().splitlines()[0]


_RESTIC = "restic -q --cache-dir {home}/cache -p {home}/password -r {repo}"
_BORG = "env BORG_BASE_DIR={home} BORG_PASSPHRASE=password borg"
_OURS = (
    f"env STRONGROOM_CACHE_DIR={{home}}/cache STRONGROOM_PASSPHRASE_FILE={{home}}/password "
    f"{STRONGROOM} -r {{repo}}"
)

PROGRAMS = (
    Program(
        "strongroom",
        f"{STRONGROOM} --version",
        f"{_OURS} init",
        f"{_OURS} backup -q {{data}}",
        f"{_OURS} backup -q {{data}}",
        f"{_OURS} restore -q latest --to {{out}}",
        f"{_OURS} verify -q --read-data",
    ),
    Program(
        "restic",
        "restic version",
        f"{_RESTIC} init",
        f"{_RESTIC} backup {{data}}",
        f"{_RESTIC} backup {{data}}",
        f"{_RESTIC} restore latest --target {{out}}",
        f"{_RESTIC} check --read-data",
    ),
    Program(
        "borg",
        "borg --version",
        f"{_BORG} init -e repokey-blake2 {{repo}}",
        f"{_BORG} create -C zstd,3 {{repo}}::one {{data}}",
        f"{_BORG} create -C zstd,3 {{repo}}::two {{data}}",
        f"mkdir {{out}} && cd {{out}} && {_BORG} extract {{repo}}::one",
        f"{_BORG} check --verify-data {{repo}}",
    ),
    Program(
        "tar | zstd -3 -T2",
        "zstd --version",
        "mkdir {repo}",
        "tar -C {data} -cf - . | zstd -q -3 -T2 -o {repo}/one.tar.zst",
        "",
        "mkdir {out} && zstd -q -dc {repo}/one.tar.zst | tar -C {out} -xf -",
        "zstd -q -t {repo}/one.tar.zst",
    ),
)
