"""WAL files in a repository: put once, compared, listed, read with every check there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.errors import DamageError, KeyRefusedError, RefusedError, StoreUnavailableError
from strongroom.operations.verify import verify
from strongroom.postgres.wal.names import WalName
from strongroom.postgres.wal.pages import Cluster
from strongroom.postgres.wal.ranges import Missing
from strongroom.repository import layout
from strongroom.repository.keyring import MAIN, domain_id
from strongroom.repository.wal import Put, archive_of
from strongroom.repository.walsources import WalSources
from strongroom.storage.local import LocalStore
from strongroom.storage.memory import MemoryStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.support.agents import agent_host
from tests.support.faulty_store import WRITES, Fault, FaultyStore, Kind, Script
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.wal import (
    CLUSTER,
    OTHER_SYSTEM,
    SIZE,
    SYSTEM,
    history,
    named,
    numbered,
    segment,
)

pytestmark = pytest.mark.spec("C6")

ONE = numbered(1)


def _key(name: WalName = ONE, generation: int = 0, kit: Kit | None = None) -> str:
    assert kit is not None
    domain = domain_id(kit.open().id, MAIN)
    return layout.wal_file(domain, SYSTEM, name.text, generation)


def test_every_kind_of_file_comes_back(kit: Kit) -> None:
    """Segments, labels, histories and partial segments are read back byte for byte, and listed in
    the order of their names.
    """
    files = {
        ONE: segment(ONE),
        numbered(2): segment(numbered(2), filled=900_000),
        named("000000010000000000000001.00000028.backup"): b"START WAL LOCATION: 0/100028\n",
        named("00000002.history"): history((1, "0/200000")),
        named("000000010000000000000003.partial"): segment(numbered(3)),
        numbered(0xFFF, 0xAB): segment(numbered(0xFFF, 0xAB)),
    }
    archive = archive_of(kit.open())
    assert {archive.put(CLUSTER, name, content) for name, content in files.items()} == {Put.STORED}
    listed = archive_of(kit.open()).files(SYSTEM)
    assert {one.name: bytes(archive.get(one)) for one in listed} == files
    assert [one.name.timeline for one in listed] == [1, 1, 1, 1, 2, 0xAB]
    assert [one.name.text for one in archive.files(SYSTEM, 0xAB)] == ["000000AB0000000000000FFF"]
    assert archive.systems() == [SYSTEM]
    assert archive.files(OTHER_SYSTEM) == []


def test_the_header_says_length_and_position(kit: Kit) -> None:
    """Without reading the file, its length and position are known."""
    archive = archive_of(kit.open())
    label = named("000000010000000000000005.00000028.backup")
    archive.put(CLUSTER, numbered(5), segment(numbered(5)))
    archive.put(CLUSTER, label, b"label")
    found = {one.name: archive.header(one) for one in archive.files(SYSTEM)}
    assert (found[numbered(5)].length, found[numbered(5)].lsn) == (SIZE, 5 * SIZE)
    assert (found[label].length, found[label].lsn) == (5, 5 * SIZE + 0x28)


def test_the_same_file_twice_is_done_and_another_is_refused(kit: Kit) -> None:
    """Put again with the same bytes it changes nothing; with other bytes it is refused."""
    archive = archive_of(kit.open())
    archive.put(CLUSTER, ONE, segment(ONE))
    before = kit.store.get(_key(kit=kit))
    assert archive.put(CLUSTER, ONE, segment(ONE)) is Put.SAME
    with pytest.raises(RefusedError, match=r"000000010000000000000001 .* with other content"):
        archive.put(CLUSTER, ONE, segment(ONE, "other"))
    assert kit.store.get(_key(kit=kit)) == before


def test_a_history_is_never_overwritten(kit: Kit) -> None:
    """Of two servers that choose the same timeline the second one is told."""
    archive = archive_of(kit.open())
    name = named("00000002.history")
    archive.put(CLUSTER, name, history((1, "0/200000")))
    with pytest.raises(RefusedError, match="with other content"):
        archive.put(CLUSTER, name, history((1, "0/300000")))


def test_partial_segments_are_kept_in_generations(kit: Kit) -> None:
    """Each new content of a partial segment is stored beside the ones before; the same is not."""
    archive = archive_of(kit.open())
    name = named("000000010000000000000004.partial")
    contents = [segment(numbered(4), str(n)) for n in range(3)]
    assert [archive.put(CLUSTER, name, c) for c in contents] == [Put.STORED] * 3
    assert [archive.put(CLUSTER, name, c) for c in contents] == [Put.SAME] * 3
    listed = archive.files(SYSTEM)
    assert [one.generation for one in listed] == [1, 2, 3]
    assert [bytes(archive.get(one)) for one in listed] == contents


BAD: dict[str, tuple[WalName, Callable[[], bytes]]] = {
    "too short": (ONE, lambda: segment(ONE)[:-1]),
    "too long": (ONE, lambda: segment(ONE) + b"\0"),
    "empty": (ONE, lambda: b""),
    "zeros": (ONE, lambda: bytes(SIZE)),
    "noise": (ONE, lambda: noise(SIZE, "noise")),
    "another segment": (ONE, lambda: segment(numbered(2))),
    "a later timeline": (ONE, lambda: segment(numbered(1, 2))),
    "another cluster": (ONE, lambda: segment(ONE, cluster=Cluster(OTHER_SYSTEM, SIZE))),
    "other segments": (
        numbered(1, size=2 * SIZE),
        lambda: segment(numbered(1, size=2 * SIZE), cluster=Cluster(SYSTEM, 2 * SIZE)),
    ),
    "a history of nothing": (named("00000002.history"), lambda: b""),
    "a history of later ones": (named("00000002.history"), lambda: history((3, "0/1"))),
    "a huge label": (named("000000010000000000000001.00000028.backup"), lambda: bytes(2 << 20)),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_its_name_is_not_stored(kit: Kit, case: str) -> None:
    """A file of another size, place, timeline or cluster is refused, and nothing is stored."""
    name, content = BAD[case]
    with pytest.raises(RefusedError, match="is not the file that its name says"):
        archive_of(kit.open()).put(CLUSTER, name, content())
    assert not list(kit.store.list(layout.WAL))


def test_an_agent_puts_and_compares_and_reads_nothing(kit: Kit, tmp_path: Path) -> None:
    """It tells the same from different by the keyed hash; a full key reads what it stored."""
    agent = agent_host(kit, tmp_path, "db1")
    archive = archive_of(agent.open())
    assert archive.put(CLUSTER, ONE, segment(ONE)) is Put.STORED
    assert archive_of(agent.open()).put(CLUSTER, ONE, segment(ONE)) is Put.SAME
    with pytest.raises(RefusedError, match="with other content"):
        archive.put(CLUSTER, ONE, segment(ONE, "other"))
    (listed,) = archive.files(SYSTEM)
    with pytest.raises(KeyRefusedError):
        archive.get(listed)
    full = archive_of(kit.open())
    assert bytes(full.get(listed)) == segment(ONE)
    assert full.files(SYSTEM) == [listed]


def test_two_domains_are_one_archive_if_they_agree(kit: Kit, tmp_path: Path) -> None:
    """The same file of two agents is read once; two that differ are not chosen between."""
    first, second = (archive_of(agent_host(kit, tmp_path, name).open()) for name in ("db1", "db2"))
    for archive in (first, second):
        archive.put(CLUSTER, ONE, segment(ONE))
    first.put(CLUSTER, numbered(2), segment(numbered(2)))
    second.put(CLUSTER, numbered(2), segment(numbered(2), "split"))
    full = archive_of(kit.open())
    assert bytes(full.get_agreed(full.find(SYSTEM, ONE))) == segment(ONE)
    places = full.find(SYSTEM, numbered(2))
    with pytest.raises(DamageError, match="archived twice, with different content"):
        full.get_agreed(places)
    only = full.find(SYSTEM, numbered(2), [places[0].domain_id])
    assert bytes(full.get_agreed(only)) in {
        segment(numbered(2)),
        segment(numbered(2), "split"),
    }


def test_a_damaged_copy_does_not_hide_a_sound_one(kit: Kit, tmp_path: Path) -> None:
    """Of a file in two domains the sound one is read."""
    agent = agent_host(kit, tmp_path, "db1")
    archive_of(agent.open()).put(CLUSTER, ONE, segment(ONE))
    full = archive_of(kit.open())
    full.put(CLUSTER, ONE, segment(ONE))
    _change(kit, _key(kit=kit), lambda data: data[:300] + b"x" + data[301:])
    places = full.find(SYSTEM, ONE)
    assert len(places) == 2
    assert bytes(full.get_agreed(places)) == segment(ONE)


def _change(kit: Kit, key: str, change: Callable[[bytes], bytes]) -> None:
    _put_again(kit, key, change(kit.store.get(key)))


def _put_again(kit: Kit, key: str, data: bytes) -> None:
    kit.store.delete(key)
    kit.store.put(key, data)


def test_every_changed_byte_is_noticed(kit: Kit) -> None:
    """Whatever byte of an object is changed, it is damage; so is every truncation."""
    archive = archive_of(kit.open())
    archive.put(CLUSTER, ONE, segment(ONE, filled=100))
    key = _key(kit=kit)
    whole = kit.store.get(key)
    (listed,) = archive.files(SYSTEM)
    places = [*range(0, len(whole), 7), *range(300), *range(len(whole) - 100, len(whole))]
    for place in places:
        _put_again(kit, key, whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamageError):
            archive.get(listed)
    for length in (0, 1, 100, 236, 300, len(whole) - 64, len(whole) - 1):
        _put_again(kit, key, whole[:length])
        with pytest.raises(DamageError):
            archive.get(listed)
    _put_again(kit, key, whole)
    assert bytes(archive.get(listed)) == segment(ONE, filled=100)


def test_an_object_under_another_key_is_damage(kit: Kit) -> None:
    """A segment copied to the name of another one, or to another cluster, is not read as such."""
    archive = archive_of(kit.open())
    archive.put(CLUSTER, ONE, segment(ONE))
    domain = domain_id(kit.open().id, MAIN)
    whole = kit.store.get(_key(kit=kit))
    for system, name in ((SYSTEM, numbered(2)), (OTHER_SYSTEM, ONE)):
        kit.store.put(layout.wal_file(domain, system, name.text), whole)
        (found,) = archive.find(system, name)
        with pytest.raises(DamageError, match="signature"):
            archive.get(found)


def test_a_damaged_object_is_not_taken_for_the_same(kit: Kit) -> None:
    """That it exists proves nothing: if it is damaged, the file is not acknowledged."""
    archive = archive_of(kit.open())
    archive.put(CLUSTER, ONE, segment(ONE))
    _change(kit, _key(kit=kit), lambda data: data[:-200] + b"x" + data[-199:])
    with pytest.raises(DamageError, match="has the place of a file") as caught:
        archive.put(CLUSTER, ONE, segment(ONE))
    assert _key(kit=kit) in caught.value.hint


def test_an_agent_cannot_write_for_another_domain(kit: Kit, tmp_path: Path) -> None:
    """An object below the domain of others that an agent signed is damage."""
    agent = agent_host(kit, tmp_path, "db1")
    archive_of(agent.open()).put(CLUSTER, ONE, segment(ONE))
    (own,) = archive_of(agent.open()).files(SYSTEM)
    kit.store.put(_key(kit=kit), kit.store.get(own.key))
    full = archive_of(kit.open())
    (planted,) = full.find(SYSTEM, ONE, [domain_id(kit.open().id, MAIN)])
    with pytest.raises(DamageError):
        full.get(planted)


@pytest.mark.parametrize("kind", [Kind.ERROR_BEFORE, Kind.ERROR_AFTER, Kind.TWICE, Kind.LATE])
def test_a_put_that_fails_is_made_good_by_the_next(kit: Kit, kind: Kind) -> None:
    """Whatever becomes of one request, the same file put again ends well, and is there once."""
    inner = kit.store
    kit.store = FaultyStore(inner, Script(Fault(kind, WRITES, prefix=layout.WAL)))
    archive = archive_of(kit.open())
    try:
        archive.put(CLUSTER, ONE, segment(ONE))
    except StoreUnavailableError:
        archive.put(CLUSTER, ONE, segment(ONE))
    kit.store = inner
    (listed,) = archive_of(kit.open()).files(SYSTEM)
    assert bytes(archive_of(kit.open()).get(listed)) == segment(ONE)


def test_a_folder_holds_wal_as_memory_does(tmp_path: Path) -> None:
    """The keys are ones that a folder takes, and what is there is found by another process."""
    folder = str(tmp_path / "repository")
    (tmp_path / "repository").mkdir()
    kit = Kit(LocalStore(PosixFs(), folder, SystemRandomness()), tmp_path / "state")
    kit.init()
    archive_of(kit.open()).put(CLUSTER, numbered(7, 0xA), segment(numbered(7, 0xA)))
    other = Kit(LocalStore(PosixFs(), folder, SystemRandomness()), tmp_path / "other")
    (listed,) = archive_of(other.open()).files(SYSTEM)
    assert listed.name == numbered(7, 0xA)
    assert bytes(archive_of(other.open()).get(listed)) == segment(numbered(7, 0xA))


def test_the_extent_of_a_cluster_is_what_is_there(kit: Kit, tmp_path: Path) -> None:
    """Segments and histories of all domains together; a history that is damaged is said by name."""
    agent = agent_host(kit, tmp_path, "db1")
    own, other = archive_of(kit.open()), archive_of(agent.open())
    for number in (1, 2, 4):
        own.put(CLUSTER, numbered(number), segment(numbered(number)))
    other.put(CLUSTER, numbered(4, 2), segment(numbered(4, 2)))
    other.put(CLUSTER, named("00000002.history"), history((1, "0/400100")))
    extent = own.extent(CLUSTER)
    assert extent.missing(2, 1, 4) == [Missing(1, 3, 3)]
    assert extent.missing(1, 1, 2) == []
    assert other.extent(CLUSTER).missing(2, 4, 4) == []
    assert other.extent(CLUSTER).timelines[2].fork is None
    (found,) = [one for one in own.files(SYSTEM, 2) if one.name.timeline == 2 and not one.name.part]
    _change(kit, found.key, lambda data: data[:240] + b"?" + data[241:])
    with pytest.raises(DamageError):
        own.extent(CLUSTER)
    damaged: dict[str, str] = {}
    assert own.extent(CLUSTER, damaged).timelines[2].fork is None
    assert list(damaged) == [found.key]


def test_verify_looks_at_wal(kit: Kit) -> None:
    """WAL is no foreign object; a damaged header is found by any check, bytes by one that reads."""
    repository = kit.open()
    WalSources(repository).register("db", CLUSTER)
    for number in range(3):
        archive_of(repository).put(CLUSTER, numbered(number), segment(numbered(number)))
    kit.store.put(f"{layout.WAL}else", b"what is this")
    result = verify(kit.open(), None, None, read_data=True)
    assert (result.damage, result.wal_files, result.wal_read) == ([], 3, 3)
    assert [one.subject for one in result.findings] == [f"{layout.WAL}else"]
    body = _key(numbered(1), kit=kit)
    _change(kit, body, lambda data: data[:400] + bytes([data[400] ^ 1]) + data[401:])
    assert verify(kit.open(), None, None, read_data=False).damage == []
    assert [one.subject for one in verify(kit.open(), None, None, read_data=True).damage] == [body]
    head = _key(numbered(2), kit=kit)
    _change(kit, head, lambda data: b"SRMX" + data[4:])
    assert [one.subject for one in verify(kit.open(), None, None, read_data=False).damage] == [head]


def test_a_collector_leaves_wal_alone(kit: Kit) -> None:
    """Collecting what nobody needs takes no WAL away."""
    kit.backup({b"a": b"1"})
    archive = archive_of(kit.open())
    archive.put(CLUSTER, ONE, segment(ONE))
    before = [info.key for info in kit.store.list(layout.WAL)]
    kit.clock.sleep(90 * 86_400)
    kit.prune()
    assert [info.key for info in kit.store.list(layout.WAL)] == before
    assert bytes(archive.get(archive.files(SYSTEM)[0])) == segment(ONE)


def test_a_source_is_one_cluster(kit: Kit) -> None:
    """The first word counts; another cluster under the name is refused, and both are named."""
    sources = WalSources(kit.open())
    first = sources.register("db", CLUSTER)
    assert (first.name, first.number, first.cluster) == ("db", 1, CLUSTER)
    assert WalSources(kit.open()).register("db", CLUSTER) == first
    with pytest.raises(RefusedError, match=f"{SYSTEM}.*{OTHER_SYSTEM}"):
        sources.register("db", Cluster(OTHER_SYSTEM, SIZE))
    sources.register("db2", Cluster(OTHER_SYSTEM, SIZE))
    with pytest.raises(RefusedError, match="had 1048576 bytes, and now they have 2097152"):
        sources.register("db", Cluster(SYSTEM, 2 * SIZE))
    assert [(one.name, one.cluster.system_id) for one in sources.all()] == [
        ("db", SYSTEM),
        ("db2", OTHER_SYSTEM),
    ]


def test_a_source_can_become_another_cluster_by_word(kit: Kit) -> None:
    """After an upgrade a person says so; what was stored before stays."""
    sources = WalSources(kit.open())
    sources.register("db", CLUSTER)
    new = Cluster(OTHER_SYSTEM, SIZE)
    assert sources.replace("db", new).number == 2
    assert sources.replace("db", new).number == 2
    assert sources.register("db", new).number == 2
    assert [one.cluster for one in sources.all()] == [CLUSTER, new]


def test_an_agent_and_a_full_key_agree_on_a_source(kit: Kit, tmp_path: Path) -> None:
    """What an agent said is known to the full key, which refuses another cluster under the name."""
    agent = agent_host(kit, tmp_path, "db1").open()
    WalSources(agent).register("db", CLUSTER)
    with pytest.raises(RefusedError, match=f"{SYSTEM}.*{OTHER_SYSTEM}"):
        WalSources(kit.open()).register("db", Cluster(OTHER_SYSTEM, SIZE))
    assert WalSources(kit.open()).of("db")[0].cluster == CLUSTER
    WalSources(kit.open()).register("db", CLUSTER)
    assert len(WalSources(kit.open()).of("db")) == 2
    assert [one.cluster for one in WalSources(agent).of("db")] == [CLUSTER]


def test_names_of_sources_are_in_no_key_and_no_object(kit: Kit) -> None:
    """Who sees the store without a key does not learn what a source is called."""
    WalSources(kit.open()).register("customers", CLUSTER)
    for info in kit.store.list(layout.WAL):
        assert "customers" not in info.key
        assert b"customers" not in kit.store.get(info.key)


def test_a_changed_word_about_a_source_is_damage(kit: Kit) -> None:
    """A bit of it changed, or put under the number of a later one, it does not count."""
    sources = WalSources(kit.open())
    sources.register("db", CLUSTER)
    (info,) = kit.store.list(layout.WAL)
    whole = kit.store.get(info.key)
    kit.store.put(info.key[:-1] + "2", whole)
    with pytest.raises(DamageError):
        sources.of("db")
    kit.store.delete(info.key[:-1] + "2")
    for place in range(0, len(whole), 5):
        _put_again(kit, info.key, whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(DamageError):
            sources.of("db")


def test_the_store_is_asked_to_keep_what_another_process_put(kit: Kit) -> None:
    """A file that is there already is acknowledged only after its name was made durable."""
    archive = archive_of(kit.open())
    archive.put(CLUSTER, ONE, segment(ONE))
    fault = Fault(Kind.ERROR_BEFORE, frozenset({"sync"}))
    assert isinstance(kit.store, MemoryStore)
    kit.store = FaultyStore(kit.store, Script(fault))
    with pytest.raises(StoreUnavailableError):
        archive_of(kit.open()).put(CLUSTER, ONE, segment(ONE))
