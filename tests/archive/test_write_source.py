"""A folder becomes an archive: names, choice, what is told of it, and what goes wrong."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from pathlib import Path

import pytest

from strongroom.archive.tarwriting import TarWriter
from strongroom.archive.writing import Choice, below, write_source
from strongroom.errors import SourceError
from strongroom.model.entry import Entry, EntryKind
from strongroom.model.events import Advanced, Event, ProblemFound
from strongroom.model.source import Item
from tests.archive.making import Sink, archive_of, members_of
from tests.support.hook_fs import fails, hook_fs, once
from tests.support.memory_backup import files_source, later, tree_path

pytestmark = pytest.mark.spec("A1")

LARGE = 1000


def _project(folder: Path) -> None:
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts" / "a.sh").write_text("true\n")
    (folder / "scripts" / "large").write_bytes(bytes(range(256)) * 20)
    (folder / "README").write_text("read me")


def test_names_are_relative_to_the_folder(tmp_path: Path) -> None:
    """Neither the folder itself nor what is above it is in the archive; the order is the walk's."""
    _project(tmp_path / "project")
    archived = archive_of(tmp_path / "project", large=LARGE)
    found = members_of(archived.data)
    assert [one.entry.path for one in found] == [
        *(b"README", b"scripts", b"scripts/a.sh", b"scripts/large")
    ]
    assert found[3].data == bytes(range(256)) * 20
    tally = archived.tally
    assert (tally.entries, tally.files, tally.directories) == (4, 3, 1)
    assert tally.size == 7 + 5 + 5120
    assert (tally.problems, tally.sockets) == ([], [])


def test_without_a_folder_names_stay() -> None:
    """And a folder of nearly the same name is another one."""
    assert Choice().rename(b"srv/app/x") == b"srv/app/x"
    rename = below(b"srv/app")
    assert rename(b"srv/app/x/y") == b"x/y"
    assert [rename(path) for path in (b"srv", b"srv/app", b"srv/application/x")] == [None] * 3


def test_a_manifest_can_be_made_of_what_is_told(tmp_path: Path) -> None:
    """Every member in order with the digest of its bytes and what the next walk compares with."""
    _project(tmp_path / "project")
    (tmp_path / "project" / "zeros").write_bytes(b"")
    os.truncate(tmp_path / "project" / "zeros", 3 << 20)
    archived = archive_of(tmp_path / "project", large=LARGE)
    found = members_of(archived.data)
    assert [one.entry.path for one in archived.captured] == [one.entry.path for one in found]
    for captured, one in zip(archived.captured, found, strict=True):
        is_file = one.entry.kind == EntryKind.FILE
        assert captured.sha256 == (hashlib.sha256(one.data).digest() if is_file else b"")
        assert captured.entry.size == one.entry.size
        assert captured.token
    assert found[-1].data == bytes(3 << 20)
    assert len(archived.data) < 100_000


def test_only_what_is_wanted_is_written(tmp_path: Path) -> None:
    """The choice sees each name of the archive once, in order, with the token of now."""
    _project(tmp_path / "project")
    before = {one.entry.path: one.token for one in archive_of(tmp_path / "project").captured}
    (tmp_path / "project" / "README").write_text("changed")
    asked: list[bytes] = []

    def keep(path: bytes, item: Item) -> bool:
        asked.append(path)
        return item.token != before.get(path)

    choice = Choice(below(tree_path(tmp_path / "project")), keep, LARGE)
    archived = archive_of(tmp_path / "project", choice)
    assert asked == [b"README", b"scripts", b"scripts/a.sh", b"scripts/large"]
    assert [one.entry.path for one in members_of(archived.data)] == [b"README"]


@pytest.mark.parametrize("large", [1 << 20, 1])
def test_hard_links_lead_to_what_is_in_the_archive(tmp_path: Path, large: int) -> None:
    """The first that is written brings the bytes, wherever the first of the group may be."""
    for name in ("a", "b", "c"):
        (tmp_path / "x" / name).mkdir(parents=True)
    (tmp_path / "x" / "a" / "1").write_bytes(b"shared")
    for place in ("b/2", "b/3", "c/4"):
        os.link(tmp_path / "x" / "a" / "1", tmp_path / "x" / place)
    prefix = tree_path(tmp_path / "x")
    whole = archive_of(tmp_path / "x", large=large)
    links = {one.entry.path: (one.entry.link, one.data) for one in members_of(whole.data)}
    assert links[b"a/1"] == (b"", b"shared")
    assert links[b"b/2"] == links[b"b/3"] == links[b"c/4"] == (b"a/1", b"")
    assert whole.tally.size == 6
    digests = {one.sha256 for one in whole.captured if one.entry.kind == EntryKind.FILE}
    assert digests == {hashlib.sha256(b"shared").digest()}

    choice = Choice(below(prefix), lambda path, _item: path != b"a/1", large)
    part = members_of(archive_of(tmp_path / "x", choice).data)
    assert [
        (one.entry.path, one.entry.link, one.data) for one in part if b"/" in one.entry.path
    ] == [*((b"b/2", b"", b"shared"), (b"b/3", b"b/2", b""), (b"c/4", b"b/2", b""))]

    out = Sink()
    tar = TarWriter(out.write)
    with files_source(tmp_path / "x") as source:
        write_source(source, tar, Choice(below(prefix + b"/b"), large=large))
    tar.finish()
    below_b = members_of(out.data)
    assert [(one.entry.path, one.entry.link) for one in below_b] == [(b"2", b""), (b"3", b"2")]


def test_sockets_are_left_out_and_told_of(tmp_path: Path) -> None:
    """They are no problem, since nobody can restore one."""
    here = Path.cwd()
    os.chdir(tmp_path)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket")
    finally:
        os.chdir(here)
    archived = archive_of(tmp_path)
    assert (archived.tally.sockets, archived.tally.problems) == ([b"socket"], [])
    assert members_of(archived.data) == []


def _causes(problems: object) -> list[tuple[bytes, str, bool]]:
    assert isinstance(problems, list)
    return [(one.path, one.cause, one.missing) for one in problems]


@pytest.mark.parametrize("size", [100, 5000])
def test_what_vanishes_is_told_of(tmp_path: Path, size: int) -> None:
    """By the name that it would have had; the others are there."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "gone").write_bytes(b"x" * size)
    (project / "stays").write_bytes(b"y")
    fs = hook_fs({"open": once((project / "gone").unlink, b"gone")})
    archived = archive_of(project, large=LARGE, fs=fs)
    assert _causes(archived.tally.problems) == [(b"gone", "vanished while being read", True)]
    assert [one.entry.path for one in members_of(archived.data)] == [b"stays"]


@pytest.mark.parametrize("size", [100, 5000])
def test_a_file_that_shrinks_meanwhile_leaves_a_whole_archive(tmp_path: Path, size: int) -> None:
    """It is told of, has no token, and what follows is in its place."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "f").write_bytes(b"x" * 5000)
    (project / "next").write_bytes(b"y")
    shrink = once(lambda: os.truncate(project / "f", size))
    fs = hook_fs({"readinto": shrink})
    archived = archive_of(project, large=LARGE, fs=fs)
    assert _causes(archived.tally.problems) == [(b"f", "changed while being read", False)]
    found = members_of(archived.data)
    assert found[0].data == b"x" * size + bytes(5000 - size)
    assert found[1].data == b"y"
    assert [bool(one.token) for one in archived.captured] == [False, True]


def test_a_file_that_grows_meanwhile_is_cut(tmp_path: Path) -> None:
    """At the size that its header says."""
    (tmp_path / "f").write_bytes(b"x" * 5000)

    def grow() -> None:
        with (tmp_path / "f").open("ab") as file:
            file.write(b"more")

    archived = archive_of(tmp_path, large=LARGE, fs=hook_fs({"readinto": once(grow)}))
    assert _causes(archived.tally.problems) == [(b"f", "changed while being read", False)]
    assert members_of(archived.data)[0].data == b"x" * 5000


def test_a_file_that_is_another_one_when_it_is_opened_is_told_of(tmp_path: Path) -> None:
    """Its header was made of what the walk saw, so it may not count as captured."""
    (tmp_path / "f").write_bytes(b"x" * 5000)
    fs = hook_fs({"open": once(lambda: (tmp_path / "f").chmod(0o600), b"f")})
    archived = archive_of(tmp_path, large=LARGE, fs=fs)
    assert _causes(archived.tally.problems) == [(b"f", "changed while being read", False)]
    assert archived.captured[0].token == b""


def test_a_disk_error_within_a_large_file_becomes_zeros(tmp_path: Path) -> None:
    """The archive stays whole, and says which file is not."""
    (tmp_path / "f").write_bytes(b"x" * 5000)
    (tmp_path / "next").write_bytes(b"y")
    fs = hook_fs({"readinto": once(fails(errno.EIO))})
    archived = archive_of(tmp_path, large=LARGE, fs=fs)
    assert _causes(archived.tally.problems) == [
        (b"f", "only its first 0 bytes are saved: the disk reports an error", False)
    ]
    found = members_of(archived.data)
    assert [one.data for one in found] == [bytes(5000), b"y"]
    assert [bool(one.token) for one in archived.captured] == [False, True]


def test_events_tell_how_far_it_is(tmp_path: Path) -> None:
    """All bytes and items, and every problem."""
    _project(tmp_path / "project")
    fs = hook_fs({"readinto": once(fails(errno.EIO))})
    events: list[Event] = []
    tar = TarWriter(Sink().write)
    project = tmp_path / "project"
    with files_source(project, fs=fs) as source:
        choice = Choice(below(tree_path(project)), large=LARGE)
        write_source(source, tar, choice, sink=events.append)
    advanced = [event for event in events if isinstance(event, Advanced)]
    assert sum(event.items for event in advanced) == 4
    assert sum(event.bytes for event in advanced) == 7 + 5 + 5120
    assert [type(event) for event in events].count(ProblemFound) == 1


def test_a_folder_that_is_not_there_ends_it(tmp_path: Path) -> None:
    """There is nothing to archive."""
    with pytest.raises(SourceError):
        archive_of(tmp_path / "nowhere")


def test_many_small_files_come_in_batches(tmp_path: Path) -> None:
    """More than one batch of the walk and of loading."""
    for number in range(1500):
        (tmp_path / f"{number:05}").write_bytes(b"%d" % number)
    found = members_of(archive_of(tmp_path).data)
    assert [one.data for one in found] == [b"%d" % number for number in range(1500)]


def test_a_young_file_has_no_token(tmp_path: Path) -> None:
    """A later change might carry the same time, so it is to be captured again."""
    (tmp_path / "f").write_bytes(b"x")
    clock = later()
    clock.sleep(-3600)
    captured: list[tuple[Entry, bytes]] = []
    with files_source(tmp_path, clock=clock) as source:
        write_source(
            source,
            TarWriter(Sink().write),
            Choice(below(tree_path(tmp_path))),
            captured=lambda one: captured.append((one.entry, one.token)),
        )
    assert [(entry.path, token) for entry, token in captured] == [(b"f", b"")]
