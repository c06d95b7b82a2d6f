"""What a hostile server sends as a base backup is refused before its names are used."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator

import pytest

from strongroom.errors import SourceError, StrongroomError
from strongroom.postgres.basetar import BaseTar, Member
from strongroom.postgres.cluster import check_manifest

pytestmark = pytest.mark.spec("C5")


def archive(*members: tuple[str, bytes | None], **fields: object) -> bytes:
    """Return a tar as another program makes it; None: a directory."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            info.size = len(data or b"")
            info.mode = 0o600
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(data or b""))
    end = stream.getvalue().rstrip(b"\0")
    return end + bytes(-len(end) % 512) + bytes(1024)


def read(data: bytes, step: int = 700) -> list[tuple[Member, bytes]]:
    """Read an archive that comes in pieces."""
    pieces = iter([data[at : at + step] for at in range(0, len(data), step)])
    tar = BaseTar(lambda: next(pieces, b""))
    return [(member, b"".join(_content(tar))) for member in tar.members()]


def _content(tar: BaseTar) -> Iterator[bytes]:
    while data := tar.piece():
        yield bytes(data)


@pytest.mark.parametrize("step", [1, 511, 512, 700, 100_000])
def test_what_postgresql_writes_is_read(step: int) -> None:
    """Files and directories come with all that their headers say, however the pieces fall."""
    data = archive(("base", None), ("base/1", None), ("base/1/2", b"x" * 9000), ("e", b""))
    found = read(data, step)
    assert [(one.name, one.is_directory, len(bytes_)) for one, bytes_ in found] == [
        (b"base", True, 0),
        (b"base/1", True, 0),
        (b"base/1/2", False, 9000),
        (b"e", False, 0),
    ]
    assert found[2][1] == b"x" * 9000
    assert found[2][0].mode == 0o600


def test_what_is_not_read_of_a_member_is_passed_over() -> None:
    """The next member is found also where nobody wanted the bytes of the one before."""
    tar = BaseTar(iter([archive(("a", b"1" * 5000), ("b", b"2")), b""]).__next__)
    assert [one.name for one in tar.members()] == [b"a", b"b"]


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "base/../../x", "base//x", "..", "base/./x", "././x", "/", "a/.."],
)
def test_a_name_that_leads_elsewhere(name: str) -> None:
    """No absolute name, no ``..``, no empty component."""
    with pytest.raises(SourceError, match="is no name of something below a data directory"):
        read(archive((name, b"x")))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b"x", b"L"]
)
def test_anything_but_files_and_directories(kind: bytes) -> None:
    """Links are what an attacker would write through; a server sends none, since it gives a map."""
    with pytest.raises(SourceError, match="neither file nor directory"):
        read(archive(("pg_tblspc/1", b""), type=kind))


def test_a_link_target_of_a_file() -> None:
    """A header that says both is neither."""
    with pytest.raises(SourceError, match="neither file nor directory"):
        read(archive(("a", b""), linkname="/etc/passwd"))


def _flip(data: bytes) -> bytes:
    return data[:20] + b"!" + data[21:]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: data[:-600], "cut off"),
        (lambda data: data[:-1024], "cut off"),
        (lambda data: data[:700], "cut off"),
        (_flip, "checksum"),
        (lambda data: data + b"more", "behind its end"),
        (lambda data: data[:-512] + archive(("late", b"x")), "behind its end"),
        (lambda data: data.replace(b"ustar\x0000", b"ustar  \x00"), "checksum"),
    ],
)
def test_an_archive_that_is_not_whole(spoil: Callable[[bytes], bytes], why: str) -> None:
    """Cut anywhere, changed anywhere in a header, or with something after its end."""
    with pytest.raises(SourceError, match=why):
        read(spoil(archive(("a", b"x" * 900))))


def _manifest(files: list[dict[str, object]]) -> bytes:
    head = json.dumps({"PostgreSQL-Backup-Manifest-Version": 1, "Files": files})[:-1] + ",\n"
    checksum = hashlib.sha256(head.encode()).hexdigest()
    return f'{head}"Manifest-Checksum": "{checksum}"}}\n'.encode()


def test_the_manifest_decides_whether_all_came() -> None:
    """A file that did not come, or came shorter, ends the backup; so does a spoiled manifest."""
    files: list[dict[str, object]] = [
        {"Path": "base/1/2", "Size": 8192},
        {"Encoded-Path": b"odd\xff".hex(), "Size": 3},
    ]
    data = _manifest(files)
    came = {b"base/1/2": 8192, b"odd\xff": 3, b"pg_wal/0": 5}
    check_manifest(data, came)
    for wrong in ({**came, b"base/1/2": 8191}, {b"odd\xff": 3}, {b"base/1/2": 8192}):
        with pytest.raises(StrongroomError, match="not what the server says"):
            check_manifest(data, wrong)
    for spoiled in (data.replace(b"8192", b"8193"), data[:-90], b"", data[5:]):
        with pytest.raises(StrongroomError, match="manifest is not whole"):
            check_manifest(spoiled, came)
