"""GNU tar restores what we write, and we read what GNU tar writes, in everything."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import msgspec
import pytest

from strongroom.archive.headers import NOBODY
from strongroom.archive.tarwriting import TarWriter
from strongroom.model.entry import SPARSE, EntryKind
from tests.archive.making import (
    Seen,
    Sink,
    archive_of,
    extract,
    made_by_tar,
    members_of,
    tar_of,
    thing,
)
from tests.support.compare_trees import compare_trees, describe
from tests.support.file_trees import every_kind

pytestmark = pytest.mark.spec("A1")

_KINDS = {
    EntryKind.FILE: "file",
    EntryKind.DIRECTORY: "directory",
    EntryKind.SYMLINK: "link",
    EntryKind.FIFO: "fifo",
    EntryKind.CHARACTER_DEVICE: "character device",
    EntryKind.BLOCK_DEVICE: "block device",
}


def _without_sockets(tree: Path) -> None:
    for path, _, names in os.walk(tree):
        for name in names:
            if stat.S_ISSOCK(os.lstat(Path(path) / name).st_mode):
                (Path(path) / name).unlink()


@pytest.mark.parametrize("large", [1 << 20, 1])
def test_gnu_tar_restores_every_kind_of_thing(tmp_path: Path, large: int) -> None:
    """Type, mode, owner, ns time, attributes, access lists, links, holes and names of any bytes."""
    every_kind(tmp_path / "tree")
    _without_sockets(tmp_path / "tree")
    archived = archive_of(tmp_path / "tree", large=large)
    assert archived.tally.problems == []
    extract(archived.data, tmp_path / "copy")

    assert compare_trees(tmp_path / "tree", tmp_path / "copy", ignore={"top"}) == []


def test_plain_extraction_needs_no_options(tmp_path: Path) -> None:
    """``tar -xf`` alone restores names, bytes, links and holes, and prints nothing."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a ä").write_bytes(b"text")
    (tree / ("long" * 40)).write_bytes(b"more")
    (tree / "link").symlink_to("x" * 200)
    with (tree / "sparse").open("wb") as file:
        file.truncate(10 << 20)
        file.seek(5 << 20)
        file.write(b"island")
    (tmp_path / "copy").mkdir()
    done = subprocess.run(
        ["tar", "-xf", "-", "-C", tmp_path / "copy"],
        input=archive_of(tree).data,
        check=True,
        capture_output=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")
    assert compare_trees(tree, tmp_path / "copy", ignore={"top"}) == []


def test_gnu_tar_restores_numbers_that_a_plain_header_cannot_say(tmp_path: Path) -> None:
    """Owners above 2,097,151, times before 1970 and after 2242, sizes above 8 GiB."""
    entry = msgspec.structs.replace(
        thing(b"old"), uid=3_000_000, gid=4_000_000, user=b"u" * 40, mtime_ns=-1_500_000_000
    )
    later = msgspec.structs.replace(thing(b"later"), mtime_ns=(8**11 + 5) * 10**9 + 7)
    huge = thing(b"huge", size=9 << 30)
    out = Sink()
    tar = TarWriter(out.write)
    tar.add(entry)
    tar.add(later)
    extents = [(0, 9 << 30, False), (9 << 30, 4, True)]
    found = tar.add_large(huge, extents, lambda _offset, view: _filled(view, b"last"))
    tar.finish()
    assert found == ((9 << 30) + 4, (9 << 30) + 4)
    extract(out.data, tmp_path / "copy", "--numeric-owner")
    seen = describe(tmp_path / "copy")
    if os.geteuid() == 0:
        assert seen[b"old"].owner == (3_000_000, 4_000_000)
    assert seen[b"old"].mtime_ns == -1_500_000_000
    assert seen[b"later"].mtime_ns == later.mtime_ns
    assert seen[b"huge"].size == (9 << 30) + 4
    with (tmp_path / "copy" / "huge").open("rb") as file:
        file.seek(9 << 30)
        assert file.read() == b"last"


def _filled(view: memoryview, data: bytes) -> int:
    view[: len(data)] = data
    return len(data)


def test_a_reader_that_knows_no_pax_gives_nobody_the_file() -> None:
    """A large owner must not become root for old programs."""
    data = tar_of(msgspec.structs.replace(thing(b"x"), uid=3_000_000, gid=1 << 31))
    with tarfile.open(fileobj=BytesIO(data), format=tarfile.USTAR_FORMAT) as tar:
        assert (tar.getmembers()[0].uid, tar.getmembers()[0].gid) == (3_000_000, 1 << 31)
    plain = data[1024:1536]
    assert int(plain[108:115], 8) == int(plain[116:123], 8) == NOBODY


def test_python_reads_the_same(tmp_path: Path) -> None:
    """Another reader than GNU's sees the same names, links, sizes and bytes, sparse ones too."""
    every_kind(tmp_path / "tree")
    _without_sockets(tmp_path / "tree")
    data = archive_of(tmp_path / "tree", large=4096).data
    ours = members_of(data)
    with tarfile.open(fileobj=BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        theirs = tar.getmembers()
        assert [os.fsencode(one.name) for one in theirs] == [one.entry.path for one in ours]
        for mine, other in zip(ours, theirs, strict=True):
            assert other.mode == mine.entry.mode
            assert os.fsencode(other.linkname) == mine.entry.target or mine.entry.link
            file = tar.extractfile(other) if other.isreg() else None
            if file is not None:
                assert file.read() == mine.data


def _check(tree: Path, found: list[Seen], *, exact: bool) -> None:
    """Compare members with what is on the disk; ``exact``: with nanoseconds and attributes."""
    there = describe(tree)
    del there[b""]
    assert {one.entry.path for one in found} == there.keys()
    first: dict[bytes, bytes] = {}
    for entry, data in found:
        seen = there[entry.path]
        if entry.link:
            assert first[seen.link] == entry.link
            continue
        if seen.link:
            first[seen.link] = entry.path
        assert _KINDS[EntryKind(entry.kind)] == seen.kind
        assert (entry.mode, (entry.uid, entry.gid)) == (seen.mode, seen.owner)
        assert (entry.target, entry.rdev) == (seen.target, seen.device)
        assert entry.mtime_ns == (seen.mtime_ns if exact else seen.mtime_ns // 10**9 * 10**9)
        if seen.kind == "file":
            on_disk = (Path(os.fsdecode(os.fsencode(tree) + b"/" + entry.path))).read_bytes()
            assert entry.size == len(data) == len(on_disk)
            assert hashlib.sha256(data).digest() == hashlib.sha256(on_disk).digest()
        if exact:
            assert [(key.decode(), value) for key, value in entry.xattrs] == list(seen.xattrs)


@pytest.mark.parametrize("sparse", ["", "0.0", "0.1", "1.0"])
def test_reads_pax_of_gnu_tar(tmp_path: Path, sparse: str) -> None:
    """Everything comes out as it is on the disk, whatever format its holes are kept in."""
    every_kind(tmp_path / "tree")
    _without_sockets(tmp_path / "tree")
    options = ["--format=pax", "--xattrs", "--xattrs-include=*"]
    if sparse:
        options += ["-S", f"--sparse-version={sparse}"]
    found = members_of(made_by_tar(tmp_path / "tree", *options))
    _check(tmp_path / "tree", found, exact=True)
    assert any(one.entry.flags & SPARSE for one in found) == bool(sparse)


@pytest.mark.parametrize("dialect", ["gnu", "oldgnu"])
@pytest.mark.parametrize("sparse", [[], ["-S"]])
def test_reads_gnus_own_dialects(tmp_path: Path, dialect: str, sparse: list[str]) -> None:
    """Long names, binary numbers and sparse files of the dialects that GNU tar had before pax."""
    every_kind(tmp_path / "tree")
    _without_sockets(tmp_path / "tree")
    (tmp_path / "tree" / ("deep" * 30)).mkdir()
    (tmp_path / "tree" / ("deep" * 30) / ("name" * 30)).write_text("far down")
    found = members_of(made_by_tar(tmp_path / "tree", f"--format={dialect}", *sparse))
    _check(tmp_path / "tree", found, exact=False)
    assert any(one.entry.flags & SPARSE for one in found) == bool(sparse)


@pytest.mark.parametrize("dialect", ["ustar", "v7"])
def test_reads_the_oldest_dialects(tmp_path: Path, dialect: str) -> None:
    """What a tar of forty years ago could say is read; a directory by the slash after its name."""
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder" / "file").write_bytes(b"data" * 1000)
    os.link(tree / "folder" / "file", tree / "second")
    (tree / "link").symlink_to("folder/file")
    if dialect == "ustar":
        (tree / ("d" * 90)).mkdir()
        (tree / ("d" * 90) / ("f" * 90)).write_text("name in two fields")
        os.mkfifo(tree / "fifo")
    _check(tree, members_of(made_by_tar(tree, f"--format={dialect}")), exact=False)


def test_reads_what_python_writes(tmp_path: Path) -> None:
    """Python's own module makes pax with decimals of its own."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / ("ä" * 80)).write_bytes(b"text")
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(tmp_path / "tree", arcname="./")
    found = members_of(out.getvalue())
    assert [one.entry.path for one in found] == [b"", ("ä" * 80).encode()]
    assert found[1].data == b"text"


def test_names_begin_without_a_dot(tmp_path: Path) -> None:
    """``tar -C FOLDER .`` names things ``./a``; they are ``a``, and hard links agree."""
    (tmp_path / "a").write_text("x")
    os.link(tmp_path / "a", tmp_path / "b")
    found = members_of(made_by_tar(tmp_path, names=["."]))
    assert sorted(one.entry.path for one in found) == [b"", b"a", b"b"]
    assert [one.entry.link for one in found if one.entry.link] in ([b"a"], [b"b"])


def test_incremental_archives_and_labels_of_gnu_tar(tmp_path: Path) -> None:
    """A directory that lists what it held is a directory; a label is nothing to extract."""
    (tmp_path / "tree" / "folder").mkdir(parents=True)
    (tmp_path / "tree" / "folder" / "a").write_text("x")
    options = ["--format=gnu", "--label=a label", f"--listed-incremental={tmp_path / 'snar'}"]
    found = members_of(made_by_tar(tmp_path / "tree", *options))
    assert [(one.entry.path, one.entry.kind) for one in found] == [
        (b"folder", EntryKind.DIRECTORY),
        (b"folder/a", EntryKind.FILE),
    ]
    assert found[1].data == b"x"
