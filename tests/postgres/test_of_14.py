"""What PostgreSQL 14 does in another way than newer ones. Tried with a real one by hand."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.clock import ManualClock
from strongroom.errors import SourceError, StrongroomError
from strongroom.postgres.basebackup import stream_of
from strongroom.postgres.basetar import BaseTar
from strongroom.postgres.connection import Connection
from strongroom.postgres.walstream import Place, WalStream
from strongroom.postgres.wire import ServerError, Wire, connected
from tests.support.postgres_stub import Answer, copied, failure, message, postgres_stub, rows

pytestmark = pytest.mark.spec("C5", "C6", "C9")

MANIFEST = b'{"PostgreSQL-Backup-Manifest-Version": 1}'
FILES = {"PG_VERSION": b"14\n", "base/1/1259": b"page" * 2048}


def tar(files: dict[str, bytes]) -> bytes:
    """Return an archive as 14 sends it: without the blocks that end it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    end = sum(512 + -(-len(data) // 512) * 512 for data in files.values())
    return made.getvalue()[:end]


@contextmanager
def server(folder: Path, answer: Answer, version: str = "14.23") -> Iterator[Wire]:
    """Give a replication connection to a server that answers so."""
    with (
        postgres_stub(folder, 5432, version, answer),
        connected(Connection(host=str(folder), user="backup"), replication=True) as wire,
    ):
        yield wire


def backup(command: str) -> bytes:
    """Answer with a backup of a data directory and of a tablespace."""
    assert command == (
        "BASE_BACKUP LABEL 'it''s' PROGRESS FAST NOWAIT TABLESPACE_MAP "
        "MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"
    )
    data, space = tar(FILES), tar({"PG_14_202107181/5/9": b"row"})
    return (
        rows(["0/9000028", "1"])
        + rows(["16388", "/srv/space", "4"], [None, None, "40"])
        + copied(space)
        + copied(data[:700], b"", data[700:])
        + copied(MANIFEST[:9], MANIFEST[9:])
        + rows(["0/9000100", "1"])
        + message(b"C", b"BASE_BACKUP\0")
    )


def test_an_archive_after_the_other(tmp_path: Path) -> None:
    """Each has its members, and the manifest comes last; then where it ends is known."""
    with server(tmp_path, backup) as wire:
        stream = stream_of(wire)
        began = stream.begin("it's", with_wal=False)
        assert (began.lsn, began.timeline) == (0x9000028, 1)
        assert [(one.oid, one.size) for one in began.tablespaces] == [(16388, 4096), (0, 40_960)]
        found: dict[tuple[int, bytes], bytes] = {}
        manifest = b""
        for part in stream.parts():
            if part.is_manifest:
                manifest = b"".join(iter(stream.read, b""))
                continue
            archive = BaseTar(stream.read)
            for member in archive.members():
                found[part.oid, member.name] = b"".join(map(bytes, iter(archive.piece, b"")))
        ended = stream.end()
    assert found == {
        (16388, b"PG_14_202107181/5/9"): b"row",
        **{(0, name.encode()): data for name, data in FILES.items()},
    }
    assert manifest == MANIFEST
    assert (ended.lsn, ended.timeline, ended.corrupt) == (0x9000100, 1, "")


def test_what_is_not_read_is_passed_over(tmp_path: Path) -> None:
    """Whoever asks for the next part gets it, wherever in the one before it stopped."""
    with server(tmp_path, backup) as wire:
        stream = stream_of(wire)
        stream.begin("it's", with_wal=False)
        assert [(part.oid, part.is_manifest) for part in stream.parts()] == [
            (16388, False),
            (0, False),
            (0, True),
        ]
        assert stream.end().lsn == 0x9000100


@pytest.mark.parametrize(
    ("goes_on", "error", "said"),
    [
        (copied(MANIFEST) + rows(["0/9000100", "1"]), SourceError, "it is cut off"),
        (failure("58030", "could not read file"), ServerError, "could not read file"),
    ],
    ids=["as if it were whole", "with a failure"],
)
def test_an_archive_that_is_cut_short(
    tmp_path: Path, goes_on: bytes, error: type[StrongroomError], said: str
) -> None:
    """The blocks of the end that we add take the place of nothing; why is what the server says."""

    def cut(_command: str) -> bytes:
        began = rows(["0/9000028", "1"]) + rows([None, None, "40"])
        return began + copied(tar(FILES)[:-2048]) + goes_on

    with server(tmp_path, cut) as wire:
        stream = stream_of(wire)
        stream.begin("x", with_wal=True)
        next(stream.parts())
        archive = BaseTar(stream.read)
        with pytest.raises(error, match=said):
            for _ in archive.members():
                pass


def test_a_failure_between_two_archives(tmp_path: Path) -> None:
    """What the server says ends the backup, and is no end of an archive."""

    def failing(_command: str) -> bytes:
        began = rows(["0/9000028", "1"]) + rows(["16388", "/srv/space", "4"], [None, None, "40"])
        return began + copied(tar({"a": b"1"})) + failure("58030", "could not read file")

    with server(tmp_path, failing) as wire:
        stream = stream_of(wire)
        stream.begin("x", with_wal=False)
        with pytest.raises(ServerError, match="could not read file"):
            list(stream.parts())


def test_corrupt_pages_are_told_at_the_end(tmp_path: Path) -> None:
    """As by newer servers: an error after all that came."""

    def corrupt(_command: str) -> bytes:
        began = rows(["0/9000028", "1"]) + rows([None, None, "40"])
        ends = rows(["0/9000100", "1"]) + failure("XX001", "checksum verification failure")
        return began + copied(tar(FILES)) + copied(MANIFEST) + ends

    with server(tmp_path, corrupt) as wire:
        stream = stream_of(wire)
        stream.begin("x", with_wal=False)
        assert len(list(stream.parts())) == 2
        assert "checksum verification failure" in stream.end().corrupt


@pytest.mark.parametrize(
    ("row", "place"),
    [
        (None, None),
        (["physical", None], Place(0, 0)),
        (["physical", "0/4000000"], Place(1, 0x4000000)),
        (["physical", "0/5000000"], Place(3, 0x5000000)),
        (["physical", "0/7000000"], Place(3, 0x7000000)),
    ],
)
def test_where_a_slot_begins(
    tmp_path: Path, row: list[str | None] | None, place: Place | None
) -> None:
    """A replication connection to 14 cannot ask, so SQL does, and the history has the timeline."""

    def answer(command: str) -> bytes:
        if command == "IDENTIFY_SYSTEM":
            return rows(["7712995295388680924", "3", "0/8000000", None])
        if command == "SHOW wal_segment_size":
            return rows(["16MB"])
        if command == "TIMELINE_HISTORY 3":
            return rows(["00000003.history", "1\t0/5000000\tx\n"])
        assert command == (
            "SELECT slot_type, restart_lsn, NULL FROM pg_replication_slots WHERE slot_name = 'ours'"
        )
        empty = message(b"T", b"\0\0") + message(b"C", b"SELECT 0\0")
        return empty if row is None else rows([*row, None])

    with server(tmp_path, answer) as wire:
        assert WalStream(wire, ManualClock()).slot("ours") == place


def test_a_slot_of_another_kind(tmp_path: Path) -> None:
    """A logical slot is refused."""
    with (
        server(tmp_path, lambda _command: rows(["logical", "0/1", None])) as wire,
        pytest.raises(SourceError, match="not a physical one"),
    ):
        WalStream(wire, ManualClock()).slot("ours")


def test_older_ones_are_refused(tmp_path: Path) -> None:
    """13 has other forms again, and is not supported by anybody."""
    with (
        pytest.raises(StrongroomError, match="for PostgreSQL 14 and newer, and the server is of"),
        server(tmp_path, backup, "13.22"),
    ):
        pass
