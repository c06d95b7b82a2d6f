"""Snapshots that no source made, as a writer with a full key can commit them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from strongroom.model.entry import Entry
from strongroom.model.snapshot import Counts, ListedSnapshot, Order, Snapshot, SourceRecord, Stream
from strongroom.repository.session import BackupSession
from strongroom.repository.tree import Root
from tests.support.kit import Kit


def source_record(root: Root, *, order: int = Order.COMPONENTS, status: int = 0) -> SourceRecord:
    """Return the record of a source with this tree."""
    return SourceRecord(
        name=b"test",
        kind=b"files",
        order=order,
        paths=(b"/",),
        root=root.chunk_id,
        levels=root.levels,
        status=status,
        position=b"",
        counts=Counts(entries=root.count),
        problems=Stream(),
    )


def begun(kit: Kit) -> BackupSession:
    """Return a session that has begun."""
    session = BackupSession(kit.open())
    session.begin()
    return session


def commit(session: BackupSession, *sources: SourceRecord) -> ListedSnapshot:
    """Commit a session with any sources."""
    return session.commit(Snapshot(b"", b"", b"files", b"h", b"u", (), 0, 0, b"p", sources))


def commit_tree(kit: Kit, entries: Iterable[Entry], *chunks: bytes) -> ListedSnapshot:
    """Commit a tree with any entries; ``chunks`` are stored as data."""
    session = begun(kit)
    save(session, chunks)
    tree = session.writer.new_tree()
    for entry in entries:
        tree.add(entry)
    return commit(session, source_record(tree.finish()))


def save(session: BackupSession, chunks: Sequence[bytes]) -> list[bytes]:
    """Store data chunks; their ids."""
    named = [(session.writer.hash_data(chunk), chunk) for chunk in chunks]
    session.writer.save_data(named)
    return [chunk_id for chunk_id, _ in named]
