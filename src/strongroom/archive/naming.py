"""What an archive is called: a moment, and the names of the files that belong to it.

An id is the local time at which the archive was begun, ``YYYYMMDD_HHMMSS``. ``pre-restore-`` before
it says that a restore made it, of what it was about to replace.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_BEFORE_RESTORE: Final = "pre-restore-"
_ID: Final = re.compile(r"(pre-restore-)?([0-9]{8}_[0-9]{6})", re.ASCII)
_FAILED: Final = "-failed"
_PARTIAL: Final = ".partial-"
_BEGINNING: Final = ".beginning-"
_REPLACED: Final = ".replaced-"
_REMOVED: Final = ".removed-"
SEALED: Final = ".age"


class ArchiveId(NamedTuple):
    """``stamp`` is the moment; ``before_restore`` whether a restore made the archive."""

    stamp: str
    before_restore: bool = False

    def __str__(self) -> str:
        """Return the id as people and folders have it."""
        return f"{_BEFORE_RESTORE if self.before_restore else ''}{self.stamp}"

    @property
    def _stem(self) -> str:
        return "pre-restore" if self.before_restore else "backup"

    def archive(self, suffix: str) -> str:
        """Return the name of the archive itself; ``suffix`` is that of its codec (``.tar.gz``)."""
        return f"{self._stem}-{self.stamp}{suffix}"

    def is_archive(self, name: str) -> bool:
        """Whether a file of the folder is the archive, however it is compressed."""
        return name.startswith(f"{self._stem}-{self.stamp}.tar")

    @property
    def checksum(self) -> str:
        """The file that ``sha256sum -c`` reads."""
        return f"{self._stem}-checksum.sha256"

    @property
    def metadata(self) -> str:
        """The file that says what the archive is."""
        return f"{self._stem}-metadata.json"

    @property
    def manifest(self) -> str:
        """The list of everything in it."""
        return f"{self._stem}-manifest.jsonl.gz"

    @property
    def damage(self) -> str:
        """What a verification found that was not there when the archive was made."""
        return f"{self._stem}-damage.log"

    @property
    def log(self) -> str:
        """What the run that made it had to say."""
        return f"{self._stem}-{self.stamp}.log"

    @property
    def folder(self) -> str:
        """Where it lies when it is done."""
        return str(self)

    @property
    def partial(self) -> str:
        """Where it lies while it is being made."""
        return f"{_PARTIAL}{self}"

    @property
    def beginning(self) -> str:
        """Where it lies until the run that makes it holds it."""
        return f"{_BEGINNING}{self}"

    @property
    def removed(self) -> str:
        """Where one lies that is being removed."""
        return f"{_REMOVED}{self}"

    @property
    def replaced(self) -> str:
        """Where the one lies that another takes the place of."""
        return f"{_REPLACED}{self}"

    @property
    def failed(self) -> str:
        """Where the log of a run lies that made no archive."""
        return f"{self}{_FAILED}"


def archive_id(text: str) -> ArchiveId | None:
    """Read an id; None if it is none."""
    found = _ID.fullmatch(text)
    return None if found is None else ArchiveId(found[2], found[1] is not None)


def partial_id(name: str) -> ArchiveId | None:
    """Read the name of a folder that is, or was, being filled."""
    return archive_id(name.removeprefix(_PARTIAL)) if name.startswith(_PARTIAL) else None


def replaced_id(name: str) -> ArchiveId | None:
    """Read the name of a folder that another one takes the place of."""
    return archive_id(name.removeprefix(_REPLACED)) if name.startswith(_REPLACED) else None


def is_removed(name: str) -> bool:
    """Whether a folder is the rest of what was being removed."""
    return name.startswith(_REMOVED) and archive_id(name.removeprefix(_REMOVED)) is not None


def failed_id(name: str) -> ArchiveId | None:
    """Read the name of the folder of a run that failed."""
    return archive_id(name.removesuffix(_FAILED)) if name.endswith(_FAILED) else None


def beginning_id(name: str) -> ArchiveId | None:
    """Read the name of a folder that nobody holds yet, or that a run left that was killed."""
    return archive_id(name.removeprefix(_BEGINNING)) if name.startswith(_BEGINNING) else None
