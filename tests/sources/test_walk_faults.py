"""Any call of a backup of files may fail: whatever is not saved is reported, and the rest is."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from strongroom.errors import SourceError
from strongroom.model.entry import Entry
from strongroom.model.fs import Fs
from strongroom.sources.files.options import FilesOptions
from strongroom.system.posix import PosixFs
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.file_trees import PLAIN_NS
from tests.support.memory_backup import Saved, files_source, save, tree_path

LOOKING = frozenset({"open", "fstat", "stat", "names", "readlink"})
READING = frozenset({"read", "readinto", "seek", "xattrs", "xattrs_at"})


def _tree(top: Path) -> None:
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "file").write_text("content")
    (top / "a" / "large").write_bytes(bytes(range(200)) * 10)
    (top / "a" / ".strongroomignore").write_text("nothing\n")
    (top / "link").symlink_to("a")
    (top / "zz").write_text("last")
    os.mkfifo(top / "fifo")
    for path in sorted(top.rglob("*"), reverse=True):
        os.utime(path, ns=(PLAIN_NS, PLAIN_NS), follow_symlinks=False)


def _save(top: Path, fs: Fs) -> Saved:
    return save(files_source(top, fs=fs, options=FilesOptions(large=1000)))


def _covered(path: bytes, saved: Saved) -> bool:
    """Whether a problem names the path or something above it."""
    causes = saved.causes()
    parts = path.split(b"/")
    return any(b"/".join(parts[:depth]) in causes for depth in range(1, len(parts) + 1))


def _same(kept: Entry, entry: Entry, top: Path) -> bool:
    """Whether an entry was saved as it was; of those above the tree, others change the time."""
    above = not entry.path.startswith(tree_path(top))
    return kept == (msgspec.structs.replace(entry, mtime_ns=kept.mtime_ns) if above else entry)


def _number_of(top: Path, calls: frozenset[str]) -> int:
    fs, faults = faulty_fs(PosixFs())
    _save(top, fs)
    return sum(faults.attempts[call] for call in calls)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENOENT, errno.ESTALE])
def test_no_error_is_swallowed(tmp_path: Path, number: int) -> None:
    """For every single call: what is missing or different has a problem; else there is none."""
    _tree(tmp_path)
    whole = _save(tmp_path, PosixFs())
    assert whole.problems == []
    calls = LOOKING | READING
    for nth in range(1, _number_of(tmp_path, calls) + 1):
        fs, _ = faulty_fs(PosixFs(), FsFault("error", nth, calls, number=number))
        try:
            saved = _save(tmp_path, fs)
        except SourceError:
            continue
        assert saved.problems, f"call {nth} failed, and nobody was told"
        kept = {entry.path: entry for entry in saved.entries}
        for entry in whole.entries:
            if not _covered(entry.path, saved):
                assert _same(kept[entry.path], entry, tmp_path)


def test_a_disk_that_fails_for_good_is_not_an_empty_source(tmp_path: Path) -> None:
    """From any call on, nothing works any more: every entry is saved right or reported."""
    _tree(tmp_path)
    whole = {entry.path: entry for entry in _save(tmp_path, PosixFs()).entries}
    calls = LOOKING | READING
    for nth in range(1, _number_of(tmp_path, calls) + 1):
        fault = FsFault("error", nth, calls, number=errno.EIO, times=10_000)
        fs, _ = faulty_fs(PosixFs(), fault)
        try:
            saved = _save(tmp_path, fs)
        except SourceError:
            continue
        assert saved.problems
        kept = {entry.path: entry for entry in saved.entries}
        for path, entry in whole.items():
            assert _covered(path, saved) or _same(kept[path], entry, tmp_path)


def test_the_error_of_each_call_is_said_in_words(tmp_path: Path) -> None:
    """No cause has a number or the name of a call in it."""
    _tree(tmp_path)
    for call in sorted(LOOKING | READING):
        fs, _ = faulty_fs(PosixFs(), FsFault("error", 3, frozenset({call}), number=errno.EIO))
        with suppress(SourceError):
            for cause in _save(tmp_path, fs).causes().values():
                assert "rrno" not in cause
                assert not any(character.isdigit() for character in cause)
                assert cause[0].islower()


@pytest.mark.parametrize("call", ["seek_data", "seek_hole"])
def test_not_knowing_holes_is_no_error(tmp_path: Path, call: str) -> None:
    """All is saved as data then."""
    _tree(tmp_path)
    fs, _ = faulty_fs(PosixFs(), lacks={call: errno.EINVAL})
    saved = _save(tmp_path, fs)
    assert saved.problems == []
    assert saved.data(tree_path(tmp_path / "a" / "large")) == bytes(range(200)) * 10


def test_closing_what_was_read_cannot_spoil_a_backup(tmp_path: Path) -> None:
    """Nothing was written that could be lost."""
    _tree(tmp_path)
    fs, faults = faulty_fs(PosixFs())
    whole = _save(tmp_path, fs)
    closes = frozenset({"close"})
    for nth in range(1, faults.attempts["close"] + 1):
        fault = FsFault("error", nth, closes, when="after", number=errno.EIO)
        saved = _save(tmp_path, faulty_fs(PosixFs(), fault)[0])
        assert saved.problems == []
        for kept, entry in zip(saved.entries, whole.entries, strict=True):
            assert _same(kept, entry, tmp_path)
