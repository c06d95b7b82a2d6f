"""A writer whose key is in wrong hands cannot make the collector remove what others need, nor what
its own host saved before.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from strongroom.compression.codec import Compressor, Decompressor
from strongroom.crypto.primitives import sha256
from strongroom.errors import BusyError, DamageError
from strongroom.model.entry import EXTENT
from strongroom.repository import layout
from strongroom.repository.collection.proving import Prover
from strongroom.repository.columns import ChunkKind
from strongroom.repository.pack import PlainFrame, compress_frame, seal_pack
from strongroom.repository.records import IndexBody, IndexedPack
from strongroom.repository.segment import open_segment, stated_domain
from strongroom.repository.tree import Root
from tests.support.agents import agent_host
from tests.support.fakes import file_entry
from tests.support.forging import begun, commit, save, source_record
from tests.support.invariants import check_nothing_left
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.segments import sealed_segment

pytestmark = pytest.mark.spec("B2")

A, B = {b"a": noise(1000, "a")}, {b"b": noise(1000, "b")}
FAKES = 6  # of several that list the same, some are read before what is true, and some after it


def listed_packs(kit: Kit) -> list[IndexedPack]:
    """Return what the index lists, as a full key reads it."""
    repository = kit.open()
    found: list[IndexedPack] = []
    for info in kit.store.list(layout.INDEX):
        data = kit.store.get(info.key)
        domain = repository.keyring.domain(stated_domain(data))
        admin_key = repository.config.core.admin_key
        found += open_segment(info.key, sha256(data), data, domain, admin_key).packs
    return found


def put_segment(thief: Kit, packs: list[IndexedPack], salt: str) -> None:
    """List something in the domain of a writer, as whoever has its key can."""
    domain = thief.open().keyring.own_domain
    data = sealed_segment(IndexBody(tuple(packs), b"", b""), domain, noise(32, salt))
    thief.store.put(layout.index_segment(sha256(data)), data)


def later(host: Kit, kit: Kit) -> Kit:
    """Give another host the clock of the first one."""
    kit.clock = host.clock
    return kit


def test_packs_that_are_said_to_hold_what_they_do_not(host: Kit, tmp_path: Path) -> None:
    """A thief lists rubbish as packs that hold the chunks of his host's earlier backups. The true
    packs stay as long as somebody needs them, whichever the collector looks at first.
    """
    agent = later(host, agent_host(host, tmp_path))
    gone = agent.backup(A | B).snapshot.id
    kept = agent.backup(A).snapshot.id
    host.forget(gone)
    for pack in listed_packs(host):
        for number in range(FAKES):
            rubbish = noise(pack.size, f"rubbish {number}")
            agent.store.put(layout.pack(sha256(rubbish)), rubbish)
            fake = msgspec.structs.replace(pack, pack_id=sha256(rubbish))
            put_segment(agent, [fake], f"{number} {pack.size}")
    for _ in range(3):
        host.prune(max_unused=1)
    assert host.restore(kept)[1] == A
    check_nothing_left(host)
    assert host.restore(kept)[1] == A
    assert host.verify().damage == []


def test_true_packs_that_are_said_to_hold_more(host: Kit, tmp_path: Path) -> None:
    """A thief lists a true pack with chunks of another one beside its own; the other one stays."""
    agent = later(host, agent_host(host, tmp_path))
    gone = agent.backup(A | B).snapshot.id
    kept = [agent.backup(files).snapshot.id for files in (A, B)]
    host.forget(gone)
    first, *others = listed_packs(host)
    for number, pack in enumerate(others):
        more = msgspec.structs.replace(first, pack_id=pack.pack_id, size=max(first.size, pack.size))
        put_segment(agent, [more], str(number))
    for _ in range(3):
        host.prune(max_unused=1)
    assert [host.restore(one)[1] for one in kept] == [A, B]


def test_a_pack_that_lies_about_its_own_chunks_proves_nothing(host: Kit) -> None:
    """Whoever has the keys of a domain can seal other bytes under the id of a chunk: the pack opens
    and lists it, and does not count as holding it.
    """
    repository = host.open()
    keys = repository.keyring.begin_session(host.randomness)
    chunk = A[b"a"]
    true_id = keys.domain.data_hasher(chunk)
    for content, unproven in ((chunk, False), (noise(1000, "other"), True)):
        given = PlainFrame(ChunkKind.DATA, true_id, [len(content)], content)
        frame, _back = compress_frame(given, Compressor(), Decompressor())
        sealed = seal_pack([frame], keys, noise(32, f"salt {unproven}"))
        host.store.put(layout.pack(sealed.pack_id), sealed.data)
        claims = {sealed.pack_id: [true_id]}
        assert bool(Prover(repository).unproven(claims)) is unproven


@pytest.mark.parametrize("rotten", [0, 1])
def test_a_rotten_pack_does_not_take_the_place_of_a_sound_one(host: Kit, rotten: int) -> None:
    """Of two packs with the same chunks one rots; whichever it is, the sound one stays."""
    first, second = host, later(host, Kit(host.store, host.state_path.parent / "second"))
    both = [begun(kit) for kit in (first, second)]
    made = []
    for session in both:
        save(session, [A[b"a"]])
        tree = session.writer.new_tree()
        ids = [session.writer.hash_data(A[b"a"])]
        entry = file_entry(b"a", 1000)
        tree.add(msgspec.structs.replace(entry, content=EXTENT.pack(ids[0], 1000)))
        made.append(commit(session, source_record(tree.finish())).id)
    keys = [info.key for info in host.store.list(layout.PACKS)]
    assert len(keys) == 2
    sound = host.store.get(keys[rotten])
    host.store.delete(keys[rotten])
    host.store.put(keys[rotten], sound[:300] + bytes([sound[300] ^ 1]) + sound[301:])
    for _ in range(2):
        host.prune()
    assert keys[1 - rotten :][:1] == [info.key for info in host.store.list(layout.PACKS)]
    check_nothing_left(host)
    assert len(list(host.store.list(layout.PACKS))) == 1
    assert [host.restore(one)[1] for one in made] == [A, A]


def test_a_foreign_list_of_a_pack_does_not_replace_the_true_one(host: Kit, tmp_path: Path) -> None:
    """A thief lists a pack of another writer as empty. The writer's own list of it stays, though
    the pack was on its way out until a backup that relies on it was committed.
    """
    thief = later(host, agent_host(host, tmp_path))
    gone = host.backup(A).snapshot.id
    host.forget(gone, allow_empty=True)
    session = begun(later(host, Kit(host.store, tmp_path / "writer")))
    (chunk,) = save(session, [A[b"a"]])
    tree = session.writer.new_tree()
    with pytest.raises(BusyError):
        host.prune()
    for pack in listed_packs(host):
        put_segment(thief, [IndexedPack(pack.pack_id, pack.size, b"", b"", b"")], "empty")
    entry = file_entry(b"a", 1000)
    tree.add(msgspec.structs.replace(entry, content=EXTENT.pack(chunk, 1000)))
    made = commit(session, source_record(tree.finish())).id
    host.prune()
    assert host.restore(made)[1] == A
    host.prune()
    assert host.restore(made)[1] == A


def test_lists_that_differ_are_both_kept_when_they_are_joined(host: Kit, tmp_path: Path) -> None:
    """One of two agents of a domain lists the packs of the other as holding something else; when
    small segments are joined, what is true stays in the index.
    """
    agents = [agent_host(host, tmp_path, f"web{number}", "shared") for number in range(2)]
    wanted = {}
    for number in range(9):
        files = {b"f": noise(700, f"f{number}")}
        wanted[later(host, agents[0]).backup(files).snapshot.id] = files
    packs = listed_packs(host)
    for number, (pack, other) in enumerate(pairwise(packs)):
        size = max(pack.size, other.size)
        false = msgspec.structs.replace(other, pack_id=pack.pack_id, size=size)
        put_segment(agents[1], [false], str(number))
    host.forget(host.backup(A).snapshot.id, allow_empty=True)
    assert host.prune().compacted >= 9
    for one, files in wanted.items():
        assert host.restore(one)[1] == files


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("as_what", ["data", "list", "tree"])
def test_what_lies_below_the_chunks_of_another_is_not_passed_by(
    host: Kit, tmp_path: Path, as_what: str, level: int
) -> None:
    """A thief names the tree of another snapshot of his domain as data, as lists of some depth, or
    as a tree of another height. Either it is damage and nothing goes, or all below it stays.
    """
    agents = [later(host, agent_host(host, tmp_path, f"w{n}", "shared")) for n in range(2)]
    kept = agents[0].backup(A | B)
    (record,) = kept.snapshot.snapshot.sources
    session = begun(agents[1])
    tree = session.writer.new_tree()
    entry = msgspec.structs.replace(
        file_entry(b"x", 10),
        content=EXTENT.pack(record.root, 10),
        depth=level if as_what == "list" else 0,
    )
    tree.add(entry)
    root = tree.finish()
    if as_what == "tree":
        root = Root(record.root, level, 2)
    commit(session, source_record(root))
    host.forget(host.backup({b"z": b"z"}).snapshot.id, allow_empty=True)
    try:
        host.prune()
        host.prune()
    except DamageError:
        pass
    assert host.restore(kept.snapshot.id)[1] == A | B


def test_numbers_that_lie_do_not_disturb_the_collector(host: Kit, tmp_path: Path) -> None:
    """A tree that states more entries than it has needs what it names, and no more: what verify
    calls damage stops nobody here, and what is wanted stays.
    """
    agent = later(host, agent_host(host, tmp_path))
    kept = agent.backup(A)
    gone = host.backup(B)
    host.backup(A)
    host.forget(gone.snapshot.id, allow_empty=True)
    session = begun(agent)
    tree = session.writer.new_tree()
    tree.add(file_entry(b"x", 10))
    root = tree.finish()
    commit(session, source_record(Root(root.chunk_id, root.levels, 1 << 60)))
    before = len(list(host.store.list(layout.PACKS)))
    host.prune()
    assert len(list(host.store.list(layout.PACKS))) < before
    assert host.restore(kept.snapshot.id)[1] == A
    assert host.verify().damage
