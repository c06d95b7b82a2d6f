"""The chain of commits, and what this host remembers of it: nothing disappears unnoticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from strongroom.errors import RefusedError, StoreError, StrongroomError
from strongroom.model.events import Notice
from strongroom.model.store import ObjectInfo, Store
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.commits import Decision
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.heads import claimed_heads, heads_of, lost_heads
from strongroom.repository.records import Commit, Head, read_body
from strongroom.storage.memory import MemoryStore
from tests.support.faulty_store import Fault, FaultyStore, Script
from tests.support.faulty_store import Kind as Fails
from tests.support.hooks import HookedStore
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.recording import RecordingStore
from tests.support.runs import put_commit_removals, put_done

pytestmark = pytest.mark.spec("B1")

FILES = {b"a": b"text"}


def decision(key: str, *heads: Decision) -> Decision:
    """Return a COMMIT that names others."""
    named = tuple(Head(head.key, head.sha256) for head in heads)
    body = Commit(1, 1, 0, b"", 1, named, b"", (), b"", b"", b"", b"")
    return Decision(key, noise(32, key), body)


def heads_in(kit: Kit, key: str) -> list[str]:
    """Return the keys that a COMMIT names."""
    body = read_body(key, unwrap(kit.store.get(key), Kind.COMMIT, key).body, Commit)
    return [head.key for head in body.heads]


def warnings(kit: Kit) -> list[str]:
    """Return the warnings of a host."""
    return [event.text for event in kit.events if isinstance(event, Notice)]


def remembered(kit: Kit) -> dict[str, object]:
    """Return what a host remembers."""
    (file,) = (kit.state_path / "known").iterdir()
    found: dict[str, object] = json.loads(file.read_text())
    return found


def test_heads_are_what_nobody_names() -> None:
    """Of a chain the last; of a fork both ends; an ABORT like a COMMIT."""
    first = decision("commits/a")
    second = decision("commits/b", first)
    left, right = decision("commits/c", second), decision("commits/d", second)
    aborted = Decision("commits/e", noise(32, "e"), None)
    assert heads_of([]) == ()
    assert [head.key for head in heads_of([second, first])] == ["commits/b"]
    assert [head.key for head in heads_of([aborted, right, first, left, second])] == [
        "commits/c",
        "commits/d",
        "commits/e",
    ]


def test_what_was_named_or_remembered_and_is_gone_is_lost() -> None:
    """A named commit that is missing, or holds other bytes, is lost, and so is a remembered one."""
    first = decision("commits/a")
    second = decision("commits/b", first)
    assert lost_heads([first, second], {}) == []
    assert lost_heads([second], {}) == ["commits/a"]
    assert lost_heads([first._replace(sha256=bytes(32)), second], {}) == ["commits/a"]
    assert lost_heads([first], {"commits/b": second.sha256}) == ["commits/b"]
    assert lost_heads([first], {"commits/a": bytes(32)}) == ["commits/a"]


def test_each_commit_names_the_one_before(kit: Kit) -> None:
    """Three backups in a row are a chain; two at once are both named by the next."""
    first, second, third = (kit.backup(FILES).snapshot.key for _ in range(3))
    assert heads_in(kit, first) == []
    assert heads_in(kit, second) == [first]
    assert heads_in(kit, third) == [second]


def test_two_at_once_are_both_named_by_the_next(kit: Kit, tmp_path: Path) -> None:
    """A fork is closed by the commit that sees both ends."""
    first = kit.backup(FILES).snapshot.key
    hooked = HookedStore(kit.store)
    other = Kit(hooked, tmp_path / "other")
    inner: list[str] = []
    hooked.before("put", "commits/", lambda: inner.append(kit.backup(FILES).snapshot.key))
    outer = other.backup(FILES).snapshot.key
    assert heads_in(kit, outer) == heads_in(kit, inner[0]) == [first]
    last = kit.backup(FILES).snapshot.key
    assert heads_in(kit, last) == sorted([outer, inner[0]])


COMMANDS: dict[str, Callable[[Kit], object]] = {
    "backup": lambda kit: kit.backup(FILES),
    "snapshots": lambda kit: kit.snapshots(),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_commit_that_disappeared_is_refused(
    kit: Kit, which: int, command: Callable[[Kit], object]
) -> None:
    """The newest is missed by this host, an older one by the next: exit 6, nothing written."""
    keys = [kit.backup(FILES).snapshot.key for _ in range(3)]
    kit.store.delete(keys[which])
    before = [info.key for info in kit.store.list("")]
    for _ in range(2):
        with pytest.raises(RefusedError, match=keys[which]) as refused:
            command(kit)
        assert refused.value.code == 6
    assert [info.key for info in kit.store.list("")] == before
    assert [finding.subject for finding in kit.verify().damage] == [keys[which]]


COMMIT_KEY = f"commits/{'0' * 32}/{'1' * 32}"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(Head(COMMIT_KEY, bytes(31)), id="short digest"),
        pytest.param(Head(COMMIT_KEY, bytes(33)), id="long digest"),
        pytest.param(Head("packs/00/" + "0" * 64, bytes(32)), id="a pack"),
        pytest.param(Head("slots/" + "0" * 32, bytes(32)), id="a slot"),
        pytest.param(Head("orders/../config", bytes(32)), id="a way out"),
        pytest.param(Head("", bytes(32)), id="nothing"),
    ],
)
def test_a_commit_that_names_what_no_head_is_is_damage(kit: Kit, head: Head) -> None:
    """A head is the key of a commit or an order, and 32 bytes; signed or not, else is damage."""
    kit.backup(FILES)
    repository = kit.open()
    writer = repository.keyring.writer()
    good = repository.read_history().decisions[0].commit
    assert good is not None
    key = layout.commit(writer.id, noise(16, "forged"))
    body = encode(msgspec.structs.replace(good, heads=(head,)))
    kit.store.put(key, wrap(Kind.COMMIT, repository.id, key, body, writer.sign))
    assert [snapshot.key for snapshot in kit.snapshots()] != []
    assert any(key in text and "no commit or order" in text for text in warnings(kit))
    assert [finding.subject for finding in kit.verify().damage] == [key]


def test_orders_can_be_heads() -> None:
    """Keys of commits and orders can be heads, and nothing near them."""
    for key in (COMMIT_KEY, f"orders/{'0' * 32}"):
        assert layout.can_be_head(key)
    for key in (f"writers/{'0' * 32}", f"orders/{'0' * 31}", f"{COMMIT_KEY}.1", "config"):
        assert not layout.can_be_head(key)


def test_a_repository_rolled_back_is_refused(kit: Kit, tmp_path: Path) -> None:
    """An older copy of the whole repository at the same URL lacks the head this host saw."""
    kit.backup(FILES)
    older = MemoryStore()
    for info in kit.store.list(""):
        older.put(info.key, kit.store.get(info.key))
    kit.backup(FILES)
    kit.store = older
    with pytest.raises(RefusedError, match="gone"):
        kit.snapshots()
    assert len(Kit(older, tmp_path / "other").snapshots()) == 1


def test_a_commit_that_a_run_killed_is_excused(kit: Kit) -> None:
    """What admin's kills name may be gone, in an ended run as well; tombs excuse nothing."""
    first, second = (kit.backup(FILES).snapshot for _ in range(2))
    put_commit_removals(kit, 1, Kind.TOMBS, [first.key])
    kit.store.delete(first.key)
    with pytest.raises(RefusedError):
        kit.snapshots()
    put_commit_removals(kit, 1, Kind.KILLS, [first.key])
    put_done(kit, 1)
    assert [snapshot.id for snapshot in kit.snapshots()] == [second.id]
    assert kit.verify().damage == []
    kit.backup(FILES)


def test_a_new_host_restores_what_is_left(kit: Kit, tmp_path: Path) -> None:
    """A host that comes for the first time is warned of a lost commit, each time, and goes on.

    What is lost later is refused there like everywhere.
    """
    first, second = (kit.backup(FILES).snapshot for _ in range(2))
    kit.store.delete(first.key)
    other = Kit(kit.store, tmp_path / "other")
    for _ in range(2):
        other.events.clear()
        assert [snapshot.id for snapshot in other.snapshots()] == [second.id]
        assert any(first.key in text for text in warnings(other))
    assert other.restore(second.id)[1] == FILES
    third = other.backup(FILES).snapshot
    assert [finding.subject for finding in other.verify().damage] == [first.key]
    other.store.delete(third.key)
    with pytest.raises(RefusedError):
        other.snapshots()


def test_a_damaged_commit_is_not_a_lost_one(kit: Kit) -> None:
    """It is warned of, remembered, and found by a check; backups go on."""
    first, second = (kit.backup(FILES).snapshot for _ in range(2))
    data = kit.store.get(second.key)
    kit.store.delete(second.key)
    kit.store.put(second.key, data[:-1] + bytes([data[-1] ^ 1]))
    third = kit.backup(FILES).snapshot
    assert [snapshot.id for snapshot in kit.snapshots()] == [first.id, third.id]
    assert second.key in str(remembered(kit)["heads"])
    assert [finding.subject for finding in kit.verify().damage] == [second.key]


def test_commits_of_another_process_on_this_host_are_no_loss(kit: Kit) -> None:
    """Two commands at once share what is remembered; neither takes the other's commit for lost."""
    kit.backup(FILES)
    sound = kit.store
    hooked = HookedStore(sound)
    kit.store = hooked

    def another() -> None:
        kit.store = sound
        kit.backup(FILES)
        kit.store = hooked

    for verb, prefix in (("list", "commits/"), ("list", "gc/"), ("list", "orders/")):
        hooked.after(verb, prefix, another)
        kit.snapshots()
    heads = remembered(kit)["heads"]
    kit.store = sound
    assert isinstance(heads, dict)
    assert len(kit.snapshots()) == 4
    assert remembered(kit)["heads"] == heads


def test_a_listing_that_misses_what_came_meanwhile_is_no_loss(kit: Kit, tmp_path: Path) -> None:
    """A listing may show a commit and not the one it names, if both came while it went on."""
    kit.backup(FILES)
    first = kit.backup(FILES).snapshot
    kit.backup(FILES)
    other = Kit(BlindStore(kit.store, first.key), tmp_path / "other")
    other.snapshots()
    other.snapshots()
    assert warnings(other) == []


class BlindStore(HookedStore):
    """A store whose listings do not show one key."""

    def __init__(self, within: Store, hidden: str) -> None:
        super().__init__(within)
        self._hidden = hidden

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``."""
        return (info for info in super().list(prefix) if info.key != self._hidden)


def replaced(kit: Kit) -> str:
    """Put another repository where the first one was; return the id of the first."""
    first = kit.open().id.hex()
    for info in list(kit.store.list("")):
        kit.store.delete(info.key)
    return first


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_another_repository_at_the_url_is_refused(
    kit: Kit, tmp_path: Path, command: Callable[[Kit], object]
) -> None:
    """Where a host knows one repository, another one is refused, and left as it is."""
    first = replaced(kit)
    Kit(kit.store, tmp_path / "attacker").init()
    before = [info.key for info in kit.store.list("")]
    with pytest.raises(RefusedError, match=f"knows repository {first[:8]}") as refused:
        command(kit)
    assert "init" in refused.value.hint
    assert [info.key for info in kit.store.list("")] == before


def test_init_forgets_the_other_repository_and_says_so(kit: Kit) -> None:
    """Only init replaces what is remembered, and names what it replaced."""
    first = replaced(kit)
    assert kit.init().replaced == first
    kit.backup(FILES)
    assert len(kit.snapshots()) == 1


def test_the_first_init_replaces_nothing(tmp_path: Path) -> None:
    """A host that knew nothing there has nothing replaced."""
    assert Kit(MemoryStore(), tmp_path).init().replaced is None


def test_init_refuses_a_place_that_is_taken(kit: Kit, tmp_path: Path) -> None:
    """A second init changes nothing, whoever tries."""
    before = {info.key: kit.store.get(info.key) for info in kit.store.list("")}
    for host in (kit, Kit(kit.store, tmp_path / "other")):
        with pytest.raises(RefusedError, match="already exists") as refused:
            host.init()
        assert refused.value.code == 6
    assert {info.key: kit.store.get(info.key) for info in kit.store.list("")} == before


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"{}", id="nothing in it"),
        pytest.param(lambda text: text[:-10], id="cut off"),
        pytest.param(
            lambda text: text.replace(b'"heads":{', b'"heads":{"x":"zz",'), id="no digest"
        ),
        pytest.param(
            lambda text: text.replace(b'"heads":{', b'"heads":{"packs/00":"%s",' % (b"00" * 32)),
            id="no key of a head",
        ),
        pytest.param(
            lambda text: text.replace(
                b'"heads":{', b'"heads":{"commits/%s/%s":"00",' % (b"0" * 32, b"0" * 32)
            ),
            id="short digest",
        ),
        pytest.param(lambda text: text.replace(b'"heads":', b'"heads":[],"x":'), id="other type"),
        pytest.param(lambda _: b"[" * 100_000, id="nested"),
        pytest.param(lambda _: b"\xff" * 100, id="no text"),
    ],
)
def test_a_damaged_memory_is_refused_and_replaced_by_init(
    kit: Kit, spoil: Callable[[bytes], bytes]
) -> None:
    """What cannot be read is not taken for nothing; its message names the file to remove."""
    kit.backup(FILES)
    (file,) = (kit.state_path / "known").iterdir()
    file.write_bytes(spoil(file.read_bytes()))
    for command in COMMANDS.values():
        with pytest.raises(RefusedError, match="remembers") as refused:
            command(kit)
        assert file.name in refused.value.hint
    replaced_store, kit.store = kit.store, MemoryStore()
    assert kit.init().replaced is None
    kit.backup(FILES)
    kit.store = replaced_store
    with pytest.raises(StrongroomError):
        kit.snapshots()
    file.unlink()
    assert len(kit.snapshots()) == 1


def test_new_heads_are_made_durable_before_they_are_remembered(kit: Kit, tmp_path: Path) -> None:
    """A commit that another process has just put could be gone after a power cut, and would be
    missed for ever; what is known already is not synced again.
    """
    kit.backup(FILES)
    other = Kit(RecordingStore(kit.store), tmp_path / "other")
    recording = other.store
    assert isinstance(recording, RecordingStore)
    for syncs in (["commits/ orders/"], []):
        recording.requests.clear()
        other.snapshots()
        assert [key for verb, key in recording.requests if verb == "sync"] == syncs


def test_a_store_that_cannot_sync_is_read_and_nothing_new_is_remembered(
    kit: Kit, tmp_path: Path
) -> None:
    """Reading goes on, with what was known before; a commit that then disappears is not missed."""
    first = kit.backup(FILES).snapshot
    other = Kit(kit.store, tmp_path / "other")
    other.snapshots()
    second = kit.backup(FILES).snapshot
    denied = Fault(Fails.ERROR_BEFORE, verbs=frozenset({"sync"}), times=99, error=StoreError)
    other.store = FaultyStore(kit.store, Script(denied))
    assert {s.id for s in other.snapshots()} == {first.id, second.id}
    assert list(remembered(other)["heads"]) == [first.key]  # type: ignore[call-overload]
    kit.store.delete(second.key)
    assert [s.id for s in other.snapshots()] == [first.id]


def test_the_word_of_agents_counts_for_their_own_commits() -> None:
    """An agent's commit takes its own last one out of the heads, and no other writer's; a chain of
    agents stays one head each.
    """
    writers = [noise(16, name) for name in ("main", "web1", "web2")]
    main, web1, web2 = (layout.commit(writer, noise(16, "a")) for writer in writers)
    later = layout.commit(writers[1], noise(16, "b"))
    first, other = decision(main), decision(web2)._replace(by_agent=True)
    agent = decision(web1, first, other)._replace(by_agent=True)
    newer = decision(later, agent, first)._replace(by_agent=True)
    seen = [first, other, agent, newer]
    assert {head.key for head in heads_of(seen)} == {main, web2, later}
    assert lost_heads([newer], {}) == []
    assert {claim.key for claim in claimed_heads([newer])} == {main, web1}
    assert claimed_heads(seen) == []


def test_what_is_remembered_is_small(kit: Kit) -> None:
    """After many backups a host remembers the last head, not all."""
    *_, last = [kit.backup(FILES).snapshot for _ in range(5)]
    found = remembered(kit)
    assert list(found["heads"]) == [last.key]  # type: ignore[call-overload]
    assert found["url"] == kit.store.url
