"""``backup-metadata.json``: what an archive is, for people, ``jq`` and us.

The first nine fields are those of the backup procedures guide, so an archive that a script made by
it reads as well; all others are ours, and an archive without them is one of somebody else.
"""

from __future__ import annotations

from typing import Final

import msgspec

from strongroom.errors import DamageError

VERSION: Final = "1.0"
LARGEST: Final = 64 << 20
_CHECKSUM: Final = "sha256:"


class SystemInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that made an archive."""

    hostname: str = ""
    user: str = ""
    bash_version: str = ""
    os: str = ""
    os_version: str = ""


class ExportedSource(msgspec.Struct, frozen=True, kw_only=True):
    """A source of the snapshot that an archive was made of.

    ``position``: what a snapshot says of the moment or the place that it is of, in base64.
    """

    name: str
    kind: str
    paths: tuple[str, ...]
    status: str
    position: str = ""


class ExportedSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The snapshot that an archive was made of; times as RFC 3339.

    ``path``: what of it, from ``/``; names in the archive are relative to it. ``include`` and
    ``exclude``: patterns that chose among what is below.
    """

    id: str
    repository: str
    host: str
    user: str
    tags: tuple[str, ...]
    started: str
    ended: str
    program: str
    status: str
    sources: tuple[ExportedSource, ...]
    path: str = "/"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether everything is in the archive that the snapshot holds."""
        return self.path == "/" and not self.include and not self.exclude


class PlainFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file beside the archive, which holds something of it as other programs read it.

    ``form``: ``custom`` (pg_restore), ``sql`` or ``globals`` (psql). ``of``: what of the snapshot.
    ``size`` and ``sha256`` are those of the file. Of a dump: its database, ``lsn`` and ``time`` of
    its moment, and the versions that it was made by and of. ``verification``: what read it.
    """

    file: str
    form: str
    of: str
    size: int
    sha256: str
    verification: str
    source: str = ""
    database: str = ""
    time: str = ""
    lsn: str = ""
    server: str = ""
    client: str = ""
    tables: int = 0
    rows: int = 0


class Missing(msgspec.Struct, frozen=True):
    """Something that is not in the archive, or not as it should be, and why."""

    path: str
    cause: str


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes, times as RFC 3339; ``compression_ratio`` is 1 - size / original size.

    ``default_scope``: nobody said what it was to hold. ``ignored``: the patterns of the ignore file
    in the project. ``status``: ``done``, or ``incomplete`` if ``problems`` says what is missing.
    ``base``: the archive that this one holds the changes since; ``chain`` all that are needed, the
    oldest first and this one last. ``verified``: when it was read back; ``verification``:
    ``contents``, or ``checksum`` where it is encrypted for somebody else.
    ``snapshot`` is there where an archive was made of one, and ``plain_files`` where some of it
    lies beside the archive as well.
    """

    backup_timestamp: str
    backup_version: str = VERSION
    project_root: str = ""
    backup_scope: tuple[str, ...] = ()
    system_info: SystemInfo = msgspec.field(default_factory=SystemInfo)
    backup_checksum: str = ""
    backup_size: int = -1
    compression_ratio: float = 0.0

    program: str = ""
    status: str = ""
    archive: str = ""
    format: str = ""
    compression_level: int | None = None
    encrypted: bool = False
    created: str = ""
    verified: str = ""
    verification: str = ""
    duration_seconds: float = 0.0
    entries: int = 0
    files: int = 0
    original_size: int = 0
    tar_size: int = 0
    default_scope: bool = False
    excludes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    not_in_scope: tuple[str, ...] = ()
    base: str = ""
    chain: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    problems: tuple[Missing, ...] = ()
    snapshot: ExportedSnapshot | msgspec.UnsetType = msgspec.UNSET
    plain_files: tuple[PlainFile, ...] | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_ours(self) -> bool:
        """Whether this program made it, and so whether it comes with a manifest."""
        return self.program.startswith("strongroom ")

    @property
    def beside(self) -> tuple[PlainFile, ...]:
        """The plain files; none where nothing is said of them."""
        return self.plain_files if isinstance(self.plain_files, tuple) else ()

    @property
    def sha256(self) -> str:
        """The checksum of the archive in hexadecimal; empty if none is stated."""
        return self.backup_checksum.removeprefix(_CHECKSUM)


def checksum(hexadecimal: str) -> str:
    """Return a checksum as the metadata has it."""
    return f"{_CHECKSUM}{hexadecimal}"


def write_metadata(metadata: Metadata) -> bytes:
    """Return the text of the file."""
    return msgspec.json.format(msgspec.json.encode(metadata), indent=4) + b"\n"


def read_metadata(data: bytes, shown: str) -> Metadata:
    """Read the file; ``DamageError`` if it is not what it must be. ``shown``: its name."""
    try:
        return msgspec.json.decode(data, type=Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamageError(f"{shown} cannot be read: {error}") from error
