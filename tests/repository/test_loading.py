"""Reading the index with little memory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from strongroom.repository.loading import IndexMemory, load_index
from strongroom.repository.localfiles import LocalFiles
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B2")


def test_segments_that_there_is_no_room_for_are_read_again(kit: Kit) -> None:
    """Without room for what was read, an index holds the same."""
    files = {b"file %d" % number: b"content %d" % number for number in range(5)}
    for number in range(3):
        kit.backup({**files, b"new": b"%d" % number})
    repository = kit.open()
    cache = repository.around.cache
    full = load_index(repository.store, repository.keyring, cache)
    again = load_index(repository.store, repository.keyring, cache, memory=IndexMemory(room=0))
    assert len(full.index) == len(again.index) > 5
    assert full.index.pack_ids == again.index.pack_ids
    assert full.segments == again.segments
    assert len(full.segments) == 3
    assert full.damaged == again.damaged == ()


def test_a_mapping_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """Without space for the file of a large index, OSError says so, and neither name nor descriptor
    is left behind.
    """
    fs, _ = faulty_fs(PosixFs(), FsFault("error", calls=frozenset({"write"}), number=errno.ENOSPC))
    files = LocalFiles(fs, os.fsencode(tmp_path / "state"), SystemRandomness())
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="No space left"):
        files.mapped([memoryview(b"x" * 100)])
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert list((tmp_path / "state").iterdir()) == []
    assert list(map(bytes, files.mapped([memoryview(b"abc"), memoryview(b"defg")]))) == [
        b"abc",
        b"defg",
    ]
