"""What a restore wrote down about a bucket is read back, whatever it was killed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.restore.bucket.journal import (
    Journal,
    journal_path,
    last_journal,
    made_in,
    set_aside,
    told_apart,
)

HEADER = {"bucket": "docs", "snapshot": "ab", "began": "2026-01-02T03:04:05Z"}


def test_versions_come_back_and_what_was_begun_is_known(tmp_path: Path) -> None:
    """Keys of any bytes; a line that was not written whole means nothing."""
    path = journal_path(tmp_path, "docs", HEADER["began"])
    with Journal(path, HEADER) as journal:
        journal.will([b"a/\n\xff", b"b", b"c"])
        journal.did([(b"a/\n\xff", "v1"), (b"b", "v2")])
    with path.open("a") as file:
        file.write('["did","c","v3"')
    assert made_in(path) == ([(b"a/\n\xff", "v1"), (b"b", "v2")], {b"c"})


def test_the_last_one_that_was_not_undone(tmp_path: Path) -> None:
    """Each bucket has its own."""
    assert last_journal(tmp_path, "docs") is None
    for began in ("2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z"):
        Journal(journal_path(tmp_path, "docs", began), HEADER).close()
    last = last_journal(tmp_path, "docs")
    assert last == journal_path(tmp_path, "docs", "2026-01-03T03:04:05Z")
    set_aside(last)
    assert last_journal(tmp_path, "docs") == journal_path(tmp_path, "docs", "2026-01-02T03:04:05Z")
    assert last_journal(tmp_path, "other") is None


def test_something_else_is_no_journal(tmp_path: Path) -> None:
    """It is refused and not taken for one without changes."""
    path = tmp_path / "x.journal"
    path.write_text('{"format": "other", "version": 1}\n')
    with pytest.raises(ValueError, match="no journal"):
        made_in(path)


@pytest.mark.parametrize("version", ["", "null"])
def test_what_has_no_version_is_never_deleted(version: str) -> None:
    """Versioning was suspended: what was there before was overwritten, and is not under it."""
    made = [(b"a", "v1"), (b"b", version), (b"c", "v2")]
    assert told_apart(made) == ([(b"a", "v1"), (b"c", "v2")], [b"b"])
