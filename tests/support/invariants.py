"""The one function that says whether a repository is in order, called after every fault.

I1 every acknowledged snapshot restores bit for bit; I2 ``verify --read-data`` reports no damage;
I3 the next backup works without help and stores no chunk again that it may rely on; I4 after two
collections, while nothing else is at work, only what is referenced remains; I5 nothing
unacknowledged is listed. (I6 is about commands and is checked where commands run.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from strongroom.model.entry import HOLE, extents
from strongroom.model.snapshot import ListedSnapshot, Order
from strongroom.postgres.cluster import KIND, read_position
from strongroom.postgres.wal.names import segment_name
from strongroom.repository import layout
from strongroom.repository.collection.liveness import last_good
from strongroom.repository.commits import oldest_first
from strongroom.repository.content import FetchTree
from strongroom.repository.loading import superseded_by
from strongroom.repository.records import Purpose
from strongroom.repository.repository import Repository
from strongroom.repository.tree import Root
from strongroom.repository.treecursor import TreeCursor
from strongroom.repository.wal import archive_of
from tests.support.kit import Kit

Files = Mapping[bytes, bytes]


def check_invariants(
    kit: Kit,
    acknowledged: Mapping[str, Files],
    in_doubt: Collection[str] = (),
    forgotten: Mapping[str, Files] | None = None,
) -> None:
    """Check a repository after a fault.

    ``acknowledged``: id of each snapshot whose backup reported success, with its files.
    ``in_doubt``: ids whose backup was stopped in the very moment of its commit; such a snapshot may
    be listed, and is then held to the same promises, or not. ``forgotten``: those that must still
    restore, though they are not wanted any more.
    """
    listed = {snapshot.id for snapshot in kit.snapshots()}
    assert set(acknowledged) <= listed, "I1: an acknowledged snapshot is not listed"
    assert listed <= set(acknowledged) | set(in_doubt), "I5: something unacknowledged is listed"
    promised = {**acknowledged, **(forgotten or {})}
    for snapshot_id, result, restored in kit.restore_all(promised):
        assert not result.damaged, "I1: a restore reports damage"
        assert restored == dict(promised[snapshot_id]), "I1: a snapshot restored other bytes"
    _check_wal(kit)
    found = kit.verify()
    assert found.damage == [], "I2: verify reports damage"
    latest: Files = list(acknowledged.values())[-1] if acknowledged else {b"a": b"first"}
    before = kit.backup(latest)
    after = kit.backup(latest)
    assert before.problems == [], "I3: the next backup has problems"
    assert after.written.chunks == 0, "I3: a backup stored chunks that were there"
    if acknowledged:
        assert before.written.plain_bytes <= _tree_bytes(latest), "I3: data was stored again"


def check_nothing_left(kit: Kit) -> None:
    """I4: collect twice, without grace and with nobody at work; only what is referenced remains.

    The clock of the kit must be that of its store, so that sessions that died are known for it.
    """
    for _ in range(2):
        kit.clock.sleep(1)
        kit.prune(silent_ns=0)
    repository = kit.open()
    history = repository.read_history()
    listing = repository.list_snapshots()
    assert not history.damaged, "I4: something cannot be read"
    assert not history.lost, "I4: something is missed"
    assert history.runs.unfinished is None, "I4: a run is not finished"
    snapshots = [*listing.found, *listing.forgotten]
    standing = history.standing
    spared = last_good(oldest_first(snapshots, history.seen), standing) - standing.may_be_empty
    kept = {one.key for one in listing.found} | (spared & {one.key for one in snapshots})
    assert {one.key for one in snapshots} == kept, "I4: an expired snapshot remains"
    commits = {info.key for info in kit.store.list(layout.COMMITS)}
    assert not commits & history.runs.absent().killed_commits, "I4: a killed commit remains"
    wal = {info.key for info in kit.store.list(layout.WAL)}
    assert not wal & history.runs.absent().killed_wal, "I4: killed WAL remains"
    for decision in history.decisions:
        if decision.commit is not None and decision.commit.purpose != Purpose.BACKUP:
            assert kept & set(decision.commit.targets), "I4: a hold of nothing remains"
    for info in kit.store.list(layout.SESSIONS):
        ids = layout.session_ids(info.key)
        assert ids is not None
        assert layout.commit(ids[0], ids[1]) not in commits, "I4: a decided session remains"
    _check_packs(kit, repository, _needed(repository, snapshots))


def _check_wal(kit: Kit) -> None:
    """Each base backup whose WAL is in the archive has it, from its begin to its end."""
    repository = kit.open()
    killed = repository.read_history().runs.absent().killed_wal
    for listed in repository.snapshots():
        for source in listed.snapshot.sources:
            position = read_position(source.position) if source.kind == KIND.encode() else None
            if position is None or position.standalone:
                continue
            stored = archive_of(repository).files(position.system, position.timeline)
            there = {one.name for one in stored if one.key not in killed}
            for number in range(position.first_segment, position.last_segment + 1):
                name = segment_name(position.timeline, number, position.segment_size)
                assert name in there, "I1: a base backup lost the WAL that it needs"


def _check_packs(kit: Kit, repository: Repository, needed: Collection[bytes]) -> None:
    listed = {layout.pack_id(info.key) for info in kit.store.list(layout.PACKS)}
    segments = repository.load_index().segments
    assert {segment.name for segment in segments} == {
        layout.segment_id(info.key) for info in kit.store.list(layout.INDEX)
    }
    assert not superseded_by(segments), "I4: a segment remains that another one replaces"
    for segment in segments:
        assert listed & set(segment.packs), "I4: a segment remains whose packs are all gone"
    holders: dict[bytes, set[bytes]] = {}
    index = repository.load_index().index
    for run in index.columns():
        for pack, row in zip(run.pack, run.ids, strict=True):
            holders.setdefault(index.pack_ids[int(pack)], set()).add(row.tobytes())
    assert listed <= holders.keys(), "I4: a pack remains that no segment lists"
    for pack in listed:
        assert pack is not None
        assert holders[pack] & set(needed), "I4: a pack remains that nobody needs"


def _needed(repository: Repository, snapshots: Collection[ListedSnapshot]) -> set[bytes]:
    """Return the chunks of snapshots, found by reading every tree from its root to the leaves."""
    fetch = repository.reader().fetch
    found: set[bytes] = set()
    for listed in snapshots:
        for source in listed.snapshot.sources:
            root = Root(source.root, source.levels, source.counts.entries)
            cursor = TreeCursor("a tree", root, Order(source.order), fetch)
            while (part := cursor.part) is not None:
                found.add(part.chunk_id)
                for entry in cursor.enter() or ():
                    found |= _content(entry.content, entry.depth, fetch)
            found |= _content(source.problems.content, source.problems.depth, fetch)
    return found


def _content(content: bytes, depth: int, fetch: FetchTree) -> set[bytes]:
    ids = [extent.chunk_id for extent in extents(content) if extent.chunk_id != HOLE]
    found = set(ids)
    for nested in fetch(ids) if depth else []:
        found |= _content(nested, depth - 1, fetch)
    return found


def _tree_bytes(files: Files) -> int:
    """More than the tree of these files can take, and less than their bytes in our tests."""
    return 4096 + 300 * len(files)
