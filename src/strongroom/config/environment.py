"""The one door to the environment of the process."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from strongroom.config.values import Level, Value
from strongroom.errors import UsageError

REPOSITORY: Final = "STRONGROOM_REPOSITORY"
PASSPHRASE_FILE: Final = "STRONGROOM_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable
PASSPHRASE_COMMAND: Final = "STRONGROOM_PASSPHRASE_COMMAND"  # noqa: S105 - as above
KEY_FILE: Final = "STRONGROOM_KEY_FILE"
CACHE_DIR: Final = "STRONGROOM_CACHE_DIR"
STATE_DIR: Final = "STRONGROOM_STATE_DIR"
CONFIG: Final = "STRONGROOM_CONFIG"
BACKUP_BUCKET: Final = "S3_BACKUP_BUCKET"
RETENTION_DAYS: Final = "BACKUP_RETENTION_DAYS"
TZ: Final = "TZ"
BACKUP_SCOPE: Final = "BACKUP_SCOPE"
PARALLEL_JOBS: Final = "PARALLEL_JOBS"
COMPRESSION_LEVEL: Final = "COMPRESSION_LEVEL"


KNOWN: Final = (
    REPOSITORY,
    PASSPHRASE_FILE,
    PASSPHRASE_COMMAND,
    KEY_FILE,
    CACHE_DIR,
    STATE_DIR,
    CONFIG,
)
_PREFIX: Final = "STRONGROOM_"


class Environment:
    """Variables as they were when it was made; a variable set to nothing counts as not set."""

    def __init__(self, variables: Mapping[str, str], folder: Path) -> None:
        """Take variables, and the folder that relative paths start from."""
        self._variables = dict(variables)
        self.folder = folder

    def get(self, name: str) -> str | None:
        """Return a variable, or None."""
        return self._variables.get(name) or None

    def variables(self) -> dict[str, str]:
        """Return all variables."""
        return dict(self._variables)

    def unknown(self) -> list[str]:
        """Return the names of variables that look like ours, and that nothing reads."""
        return sorted(n for n in self._variables if n.startswith(_PREFIX) and n not in KNOWN)

    def value(self, name: str) -> Value[str] | None:
        """Return a variable as a setting."""
        text = self.get(name)
        return None if text is None else Value(text, name, Level.ENVIRONMENT)

    def home(self) -> Path:
        """Return ``$HOME``, else what the password file says; UsageError if neither is a path."""
        text = self.get("HOME")
        if text is None or not text.startswith("/"):
            try:
                text = pwd.getpwuid(os.getuid()).pw_dir
            except KeyError:
                text = ""
        if not text.startswith("/"):
            raise UsageError(
                "this user has no home folder, so nothing says where caches and state are kept",
                hint=f"Set {CACHE_DIR} and {STATE_DIR}.",
            )
        return Path(text)

    def base_folder(self, variable: str, below_home: str) -> Path:
        """Return one of the XDG base folders; a relative value of the variable counts as none."""
        text = self.get(variable)
        if text is not None and text.startswith("/"):
            return Path(text)
        return self.home() / below_home

    def expanded(self, text: str, folder: Path) -> Path:
        """Return an absolute path: ``~`` is a home folder, the rest starts from ``folder``."""
        if text == "~" or text.startswith("~/"):
            return self.home() / text[2:]
        if text.startswith("~"):
            user, _, rest = text[1:].partition("/")
            try:
                return Path(pwd.getpwnam(user).pw_dir) / rest
            except KeyError:
                pass
        return folder / text


def read_environment() -> Environment:
    """Read the environment of this process, and the folder it is in."""
    try:
        folder = Path.cwd()
    except FileNotFoundError:
        folder = Path("/")
    return Environment(os.environ, folder)


def quiet_libraries() -> None:
    """Before numpy is loaded: its linear algebra, which nothing uses, is to start no threads."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
