"""Loading one thing, as the tests of the files source do."""

from __future__ import annotations

from pathlib import Path

from strongroom.model.entry import Entry
from strongroom.model.fs import Fs
from strongroom.model.source import Loaded
from strongroom.sources.files.options import FilesOptions
from tests.support.memory_backup import files_source, walked


def load_one(path: Path, fs: Fs | None = None, options: FilesOptions | None = None) -> Loaded:
    """Load one root."""
    with files_source(path, fs=fs, options=options) as source:
        items, problems = walked(source)
        assert problems == []
        return source.load(items)[-1]


def entry_of(path: Path) -> Entry:
    """Return the entry of something with which nothing is wrong."""
    loaded = load_one(path)
    assert loaded.entry is not None
    assert loaded.problem is None
    return loaded.entry


def cause_in(loaded: Loaded) -> tuple[str, bool]:
    """Return what is wrong with something, and whether it is missing."""
    assert loaded.problem is not None
    return loaded.problem.cause, loaded.problem.missing
