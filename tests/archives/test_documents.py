"""Manifest and metadata: what was written comes back, and anything else is damage."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.archive.manifest import Row, read_manifest, write_manifest
from strongroom.archive.metadata import Metadata, Missing, read_metadata, write_metadata
from strongroom.errors import DamageError
from strongroom.model.entry import EntryKind, sort_key

ID = "20241219_143022"
_NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: not {b"/", b"\0"} & {name[n : n + 1] for n in range(len(name))}
)
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map(b"/".join)
_ROWS = st.builds(
    Row,
    path=_PATHS,
    kind=st.sampled_from(EntryKind),
    size=st.integers(0, (1 << 63) - 1),
    sha256=st.just(b"") | st.binary(min_size=32, max_size=32),
    token=st.binary(max_size=40),
    archive=st.sampled_from([ID, "20200101_000000"]),
)


def packed(data: bytes) -> bytes:
    """Compress data into the same bytes each time, so that the names of tests are the same."""
    return gzip.compress(data, mtime=0)


def _sorted(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: sort_key(row.path))


@pytest.mark.spec("A12")
@given(st.lists(_ROWS, max_size=20, unique_by=lambda row: row.path).map(_sorted))
def test_a_manifest_comes_back(rows: list[Row]) -> None:
    """Names of any bytes, sizes and hashes; and it is lines of JSON that everybody can read."""
    data = write_manifest(ID, rows)
    assert read_manifest(data, ID, "m") == rows
    lines = gzip.decompress(data).splitlines()
    assert json.loads(lines[0])["archive"] == ID
    assert [
        json.loads(line)["size"] if row.size else 0
        for line, row in zip(lines[1:], rows, strict=True)
    ] == [row.size for row in rows]


def _row(path: bytes, archive: str = ID) -> Row:
    return Row(path, EntryKind.FILE, 1, bytes(32), b"t", archive)


@pytest.mark.spec("A3")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not gzip",
        packed(b""),
        packed(b"{}\n"),
        packed(b"[]\n"),
        packed(b'{"manifest":1,"archive":"20200101_000000"}\n'),
        packed(b'{"manifest":2,"archive":"20241219_143022"}\n'),
        packed(b'{"manifest":1,"archive":"20241219_143022"}\n{"path":"a"'),
        packed(b'{"manifest":1,"archive":"20241219_143022"}\n{"path":"a"}\n'),
        packed(b'{"manifest":1,"archive":"20241219_143022"}\n{"path":"a","kind":"x"}\n'),
        packed(
            b'{"manifest":1,"archive":"20241219_143022"}\n{"path":"a","kind":"file","size":-1}\n'
        ),
        packed(
            b'{"manifest":1,"archive":"20241219_143022"}\n'
            b'{"path":"a","kind":"file","sha256":"zz"}\n'
        ),
        packed(b'{"manifest":1,"archive":"20241219_143022"}\n{"path":"","kind":"file"}\n'),
        write_manifest(ID, [_row(b"b"), _row(b"a")]),
        write_manifest(ID, [_row(b"a"), _row(b"a")]),
        write_manifest(ID, [_row(b"a")])[:-1],
        write_manifest(ID, [_row(b"a")]) + b"x",
    ],
)
def test_what_is_no_manifest_is_damage(data: bytes) -> None:
    """Cut, empty, of another archive, of another version, out of order: it is named."""
    with pytest.raises(DamageError, match="20241219_143022/m"):
        read_manifest(data, ID, f"{ID}/m")


@pytest.mark.spec("A3")
@given(st.data())
def test_a_flipped_bit_of_a_manifest_is_damage_or_harmless(data: st.DataObject) -> None:
    """It never reads as other rows, and nothing but damage is raised."""
    rows = [_row(b"a"), _row(b"b", archive="20200101_000000")]
    written = bytearray(write_manifest(ID, rows))
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(DamageError):
        assert read_manifest(bytes(written), ID, "m") == rows


@pytest.mark.spec("A1")
@given(
    st.builds(
        Metadata,
        backup_timestamp=st.text(),
        backup_scope=st.lists(st.text()).map(tuple),
        backup_size=st.integers(-1, 1 << 62),
        problems=st.lists(st.builds(Missing, st.text(), st.text())).map(tuple),
        compression_level=st.none() | st.integers(0, 30),
    )
)
def test_metadata_comes_back(metadata: Metadata) -> None:
    """And it is JSON as others write it, indented for people."""
    data = write_metadata(metadata)
    assert read_metadata(data, "m") == metadata
    assert json.loads(data)["backup_timestamp"] == metadata.backup_timestamp
    assert data.endswith(b"}\n")


@pytest.mark.spec("A3")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b'{"backup_timestamp": 7}',
        b'{"backup_timestamp": "x", "backup_size": "large"}',
        b'{"backup_timestamp": "x", "backup_scope": "lib"}',
        b'{"backup_timestamp": "x"} more',
        b"\xff\xfe",
        b'{"backup_timestamp": "\xff"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_metadata_is_damage(data: bytes) -> None:
    """Of whatever form; the file is named, and there is no traceback."""
    with pytest.raises(DamageError, match="x/m"):
        read_metadata(data, "x/m")


@pytest.mark.spec("A1")
def test_the_example_of_the_guide_is_read() -> None:
    """What the guide prints is metadata; it is not ours, so nothing of ours is expected of it."""
    text = """{
        "backup_timestamp": "20241219_143022", "backup_version": "1.0",
        "project_root": "/path/to/project", "backup_scope": ["scripts/", "lib/"],
        "system_info": {"hostname": "deployment-server", "user": "deploy-user",
            "bash_version": "3.x+", "os": "Linux", "os_version": "5.15.0"},
        "backup_checksum": "sha256:abc123", "backup_size": 15923456, "compression_ratio": 0.85
    }"""
    metadata = read_metadata(text.encode(), "m")
    assert not metadata.is_ours
    assert metadata.sha256 == "abc123"
    assert metadata.backup_size == 15_923_456
    assert msgspec.to_builtins(metadata)["chain"] == ()
