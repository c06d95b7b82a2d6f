"""A stolen agent key: what its holder can do with it, and that everything else is found.

He has the agent file and may put any object. He lists, opens and restores nothing; he cannot make a
snapshot of another writer; what he forges, replays or invents is told of by every command of a full
key, is damage for verify, and stops neither backups nor restores.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from strongroom.crypto.primitives import Cipher, seal_to, sha256
from strongroom.errors import DamageError, FencedError, KeyRefusedError
from strongroom.model.events import Notice
from strongroom.model.snapshot import Snapshot
from strongroom.model.store import ObjectInfo
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.commits import open_snapshot, seal_record
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.keyring import SessionKeys, WriterKeys
from strongroom.repository.records import (
    COMMIT,
    Abort,
    AbortReason,
    Commit,
    Head,
    IndexBody,
    IndexedPack,
    Purpose,
    read_body,
)
from strongroom.repository.segment import open_segment, stated_domain
from strongroom.storage.memory import MemoryStore
from tests.support.agents import agent_host
from tests.support.hooks import HookedStore
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.segments import sealed_segment

pytestmark = pytest.mark.spec("B3")

FILES = {b"a": b"text of main", b"b": noise(5000, "main")}
THEIRS = {b"a": b"text of the agent", b"c": noise(5000, "agent")}
RECORD = Snapshot(b"", b"", b"files", b"db1", b"root", (), 0, 0, b"p", ())


class Thief:
    """Somebody with the file of agent web1, beside a repository that others use."""

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.kit = kit
        self.store = kit.store
        self.folder = folder
        self.host = agent_host(kit, folder)
        self.keyring = self.host.open().keyring
        self.repository_id = kit.open().id
        self.reader_key = kit.open().config.core.reader_key
        self.theirs = self.host.backup(THEIRS).snapshot
        self.own = kit.backup(FILES).snapshot
        self.other = agent_host(kit, folder, "web2")
        self.second = self.other.backup(FILES).snapshot
        kit.snapshots()

    @property
    def good(self) -> dict[str, dict[bytes, bytes]]:
        """What honest hosts saved."""
        return {self.theirs.id: THEIRS, self.own.id: FILES, self.second.id: FILES}

    def commit(self, key: str) -> Commit:
        """Return the clear part of a COMMIT, which he may read."""
        return read_body(key, unwrap(self.store.get(key), Kind.COMMIT, key).body, Commit)

    def fresh_key(self, writer_id: str | None = None) -> str:
        """Return a key for a COMMIT that nobody used."""
        own = self.keyring.writer().id.hex()
        return f"{layout.COMMITS}{writer_id or own}/{noise(16, writer_id or own).hex()}"

    def put(self, key: str, body: Commit | Abort, signer: WriterKeys | None = None) -> str:
        """Sign and put an object at the key of a commit; the signer is the agent."""
        sign = (signer or self.keyring.writer()).sign
        data = wrap(Kind.COMMIT, self.repository_id, key, encode(body), sign)
        self.store.put(key, data)
        return key

    def sealed(self, key: str, domain_id: bytes, heads: tuple[Head, ...] = ()) -> Commit:
        """Return a COMMIT that he sealed as well as he can for a domain."""
        host = self.host
        keys: SessionKeys = self.keyring.begin_session(host.randomness)
        salt = noise(32, "salt")
        commitment, sealed = seal_record(RECORD, keys, key, salt)
        return Commit(
            COMMIT, Purpose.BACKUP, 0, domain_id, keys.epoch, heads, b"", (), keys.sealed, salt,
            commitment, sealed,
        )  # fmt: skip


@pytest.fixture(name="thief")
def _thief(tmp_path: Path) -> Thief:
    kit = Kit(MemoryStore(), tmp_path / "state")
    kit.init()
    return Thief(kit, tmp_path)


def test_with_the_agent_file_alone_nothing_is_listed_opened_or_restored(thief: Thief) -> None:
    """Neither by the program nor by hand: no commit, his own included, opens with what he holds."""
    for command in (
        thief.host.snapshots,
        thief.host.verify,
        lambda: thief.host.restore(thief.theirs.id),
        lambda: thief.host.open().reader(),
    ):
        with pytest.raises(KeyRefusedError) as refused:
            command()
        assert refused.value.code == 12
    domain = thief.keyring.own_domain
    for listed in (thief.theirs, thief.own, thief.second):
        commit = thief.commit(listed.key)
        for guess in (domain.secret, domain.index_key, thief.reader_key):
            with pytest.raises(Exception, match="do not open"):
                Cipher(guess).unseal(bytes(12), commit.sealed)
    assert {s.id for s in thief.kit.snapshots()} == set(thief.good)


def _signed_under_another_name(thief: Thief) -> str:
    body = thief.commit(thief.own.key)
    return thief.put(thief.fresh_key(thief.own.writer), body)


def _signed_under_another_agents_name(thief: Thief) -> str:
    return thief.put(thief.fresh_key(thief.second.writer), thief.commit(thief.second.key))


def _bytes_of_an_old_commit(thief: Thief) -> str:
    key = thief.fresh_key(thief.own.writer)
    thief.store.put(key, thief.store.get(thief.own.key))
    return key


def _bytes_of_an_own_old_commit(thief: Thief) -> str:
    key = thief.fresh_key()
    thief.store.put(key, thief.store.get(thief.theirs.key))
    return key


def _sealed_part_of_main_signed_by_himself(thief: Thief) -> str:
    return thief.put(thief.fresh_key(), thief.commit(thief.own.key))


def _own_sealed_part_of_an_old_commit(thief: Thief) -> str:
    return thief.put(thief.fresh_key(), thief.commit(thief.theirs.key))


def _in_the_agents_name_by_somebody_else(thief: Thief) -> str:
    stranger = WriterKeys(noise(32, "stranger"))
    key = thief.fresh_key()
    return thief.put(key, thief.sealed(key, thief.theirs.domain), stranger)


def _in_the_agents_name_by_another_agent(thief: Thief) -> str:
    key = thief.fresh_key()
    return thief.put(
        key, thief.sealed(key, thief.theirs.domain), thief.other.open().keyring.writer()
    )


def _into_the_domain_of_main(thief: Thief) -> str:
    key = thief.fresh_key()
    return thief.put(key, thief.sealed(key, thief.own.domain))


def _sealed_to_nobody(thief: Thief) -> str:
    key = thief.fresh_key()
    body = thief.sealed(key, thief.theirs.domain)
    seal = seal_to(thief.reader_key, bytes(32), b"another purpose")
    return thief.put(key, msgspec.structs.replace(body, sealed_session_key=seal))


def _of_a_writer_that_nobody_knows(thief: Thief) -> str:
    stranger = WriterKeys(noise(32, "stranger"))
    key = thief.fresh_key(stranger.id.hex())
    return thief.put(key, thief.sealed(key, thief.theirs.domain), stranger)


def _with_an_impossible_time(thief: Thief) -> str:
    key = thief.fresh_key()
    keys = thief.keyring.begin_session(thief.host.randomness)
    late = msgspec.structs.replace(RECORD, started_ns=(1 << 64) - 1)
    commitment, sealed = seal_record(late, keys, key, noise(32))
    body = thief.sealed(key, thief.theirs.domain)
    return thief.put(
        key,
        msgspec.structs.replace(
            body,
            salt=noise(32),
            commitment=commitment,
            sealed=sealed,
            sealed_session_key=keys.sealed,
        ),
    )


def _rubbish(thief: Thief) -> str:
    key = thief.fresh_key(thief.own.writer)
    thief.store.put(key, b"rubbish")
    return key


def _an_order(thief: Thief) -> str:
    key = layout.order(noise(16))
    body = b"\x95\x07\x00\x90\xc4\x00\xc4\x00"
    thief.store.put(
        key, wrap(Kind.ORDER, thief.repository_id, key, body, thief.keyring.writer().sign)
    )
    return key


FORGERIES: dict[str, Callable[[Thief], str]] = {
    "signed by the agent under the name of main": _signed_under_another_name,
    "signed by the agent under another agent's name": _signed_under_another_agents_name,
    "the bytes of an old commit under a new key": _bytes_of_an_old_commit,
    "the bytes of an own old commit under a new key": _bytes_of_an_own_old_commit,
    "the sealed part of another writer": _sealed_part_of_main_signed_by_himself,
    "the sealed part of an own old commit": _own_sealed_part_of_an_old_commit,
    "in the agent's name by a stranger": _in_the_agents_name_by_somebody_else,
    "in the agent's name by another agent": _in_the_agents_name_by_another_agent,
    "into the domain of main": _into_the_domain_of_main,
    "a session key that does not open": _sealed_to_nobody,
    "of an unknown writer": _of_a_writer_that_nobody_knows,
    "an impossible time": _with_an_impossible_time,
    "rubbish": _rubbish,
    "an order": _an_order,
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_every_forgery_is_found_and_stops_nothing(
    thief: Thief, forge: Callable[[Thief], str], tmp_path: Path
) -> None:
    """It is never listed; snapshots, backup and verify of a full key name it, on a host that knows
    the repository and on a new one; what is honest is restored, and backups go on.
    """
    key = forge(thief)
    new = Kit(thief.store, tmp_path / "new")
    for host in (thief.kit, new):
        host.events.clear()
        assert {s.id for s in host.snapshots()} == set(thief.good)
        told = [event.text for event in host.events if isinstance(event, Notice)]
        assert any(key in text for text in told), told
        assert key in {finding.subject for finding in host.verify().damage}
        for snapshot_id, files in thief.good.items():
            assert host.restore(snapshot_id)[1] == files
    saved = thief.kit.backup(THEIRS).snapshot
    assert thief.kit.restore(saved.id)[1] == THEIRS
    thief.other.backup(FILES)


def test_invented_heads_are_told_of_and_stop_nobody(thief: Thief, tmp_path: Path) -> None:
    """A commit that is valid but for naming what never was: damage for verify, named with who said
    it; every host goes on to back up and restore, the ones that know the repository included.
    """
    invented = f"{layout.COMMITS}{thief.own.writer}/{'0' * 32}"
    key = thief.fresh_key()
    heads = (Head(invented, bytes(32)), Head(thief.own.key, noise(32)))
    thief.put(key, thief.sealed(key, thief.theirs.domain, heads))
    new = Kit(thief.store, tmp_path / "new")
    for host in (thief.kit, new, thief.other):
        saved = host.backup(FILES).snapshot
        assert thief.kit.restore(saved.id)[1] == FILES
        assert any(invented in e.text for e in host.events if isinstance(e, Notice))
    found = {finding.subject: finding.text for finding in thief.kit.verify().damage}
    assert set(found) == {invented, thief.own.key}
    assert all(key in text for text in found.values())


def test_an_agent_takes_nothing_out_of_the_heads_of_others(thief: Thief) -> None:
    """It names main's commit as seen; when that one disappears, main's host notices all the same.

    So a thief who may also delete cannot hide what he deleted behind a commit of his own.
    """
    thief.kit.snapshots()
    last = thief.kit.backup(THEIRS).snapshot
    thief.host.backup(MORE)
    thief.kit.snapshots()
    thief.kit.backup(FILES)
    commit = thief.commit(thief.kit.backup(FILES).snapshot.key)
    assert commit.heads
    thief.store.delete(last.key)
    with pytest.raises(Exception, match=last.key) as refused:
        thief.kit.snapshots()
    assert getattr(refused.value, "code", None) == 6


MORE = {**THEIRS, b"more": b"more"}


def test_a_valid_snapshot_of_a_thief_is_shown_as_the_agents(thief: Thief) -> None:
    """He can say any host and user; whose key signed it stands beside it, and cannot be said."""
    key = thief.fresh_key()
    thief.put(key, thief.sealed(key, thief.theirs.domain))
    (listed,) = [s for s in thief.kit.snapshots() if s.key == key]
    assert listed.snapshot.host == b"db1"
    assert listed.agent == b"web1"
    assert thief.kit.verify().damage == []


@pytest.mark.parametrize("abort", [False, True])
def test_what_a_thief_puts_where_main_would_commit_is_no_success(
    thief: Thief, *, abort: bool
) -> None:
    """On a store without access control he can be first at the key: the backup fails, and says so;
    the next one succeeds.
    """
    hooked = HookedStore(thief.store)
    thief.kit.store = hooked

    def first() -> None:
        sessions = [i.key for i in thief.store.list(f"{layout.SESSIONS}{thief.own.writer}/")]
        keys = [key.replace(layout.SESSIONS, layout.COMMITS) for key in sessions]
        there = {info.key for info in thief.store.list(layout.COMMITS)}
        (target,) = [key for key in keys if key not in there]
        if abort:
            thief.put(target, Abort(2, AbortReason.FENCED, 0))
        else:
            thief.store.put(target, b"rubbish")

    hooked.before("put", layout.COMMITS, first)
    with pytest.raises((DamageError, FencedError)) as failed:
        thief.kit.backup(THEIRS)
    assert failed.value.code == 4
    thief.kit.store = thief.store
    saved = thief.kit.backup(THEIRS).snapshot
    assert thief.kit.restore(saved.id)[1] == THEIRS


def test_an_index_of_a_thief_leads_nobody_astray(thief: Thief) -> None:
    """His segment says that main's chunk lies in a pack of his: main does not rely on it, every
    reader gets the right bytes, and verify names the pack and one of the two segments that differ.
    """
    repository = thief.kit.open()
    chunk_id = repository.keyring.own_domain.data_hasher(FILES[b"b"])
    domain = thief.keyring.own_domain
    names = [name for name in map(_segment_name, thief.store.list(layout.INDEX)) if name]
    (theirs,) = [pack for name in names for pack in _packs_of(thief, name)]
    lie = msgspec.structs.replace(theirs, ids=chunk_id * (len(theirs.ids) // 32))
    segment = sealed_segment(IndexBody((lie,), b"", b""), domain)
    key = layout.index_segment(sha256(segment))
    thief.store.put(key, segment)
    new = Kit(thief.store, thief.folder / "new")
    for host in (thief.kit, new):
        assert host.restore(thief.own.id)[1] == FILES
    assert thief.kit.backup(FILES).written.chunks == 0
    (said,) = [one for one in thief.kit.verify().damage if "another segment differ" in one.text]
    assert said.subject == layout.pack(theirs.pack_id)
    assert any(name in said.text for name in (key, *map(layout.index_segment, names)))


def _segment_name(info: ObjectInfo) -> bytes | None:
    return layout.segment_id(info.key)


def _packs_of(thief: Thief, name: bytes) -> tuple[IndexedPack, ...]:
    """Return what a segment lists if the thief can open it."""
    key = layout.index_segment(name)
    data = thief.store.get(key)
    domain = thief.keyring.own_domain
    if stated_domain(data) != domain.domain_id:
        return ()
    return open_segment(key, name, data, domain, thief.keyring.admin_key).packs


def test_a_commit_that_opens_is_of_the_writer_that_its_key_names(thief: Thief) -> None:
    """For every snapshot that a full key lists, the key in the store names who signed it."""
    repository = thief.kit.open()
    history = repository.read_history()
    for decision in history.decisions:
        listed = open_snapshot(decision, repository.keyring)
        assert listed is not None
        writer = repository.writers.writer(bytes.fromhex(listed.writer))
        data = thief.store.get(decision.key)
        envelope = unwrap(data, Kind.COMMIT, decision.key, repository.id)
        envelope.check(writer.public_key)
        assert writer.domain_id == listed.domain
