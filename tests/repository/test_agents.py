"""Agents back up into their own domain, and hold no key that reads."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from strongroom.errors import DamageError, KeyRefusedError, RefusedError, StoreError
from strongroom.operations.keys import export_agent, list_keys
from strongroom.operations.verify import verify
from strongroom.repository import layout
from strongroom.repository.agent import AgentNames, read_agent
from strongroom.repository.canonical import encode
from strongroom.repository.commits import open_snapshot
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.keyring import WriterKeys, domain_id
from strongroom.repository.pack import read_whole_pack
from strongroom.repository.records import Bundle, SlotRole, Writer, read_body
from strongroom.storage.memory import MemoryStore
from tests.support.agents import agent_host, exported, key_of
from tests.support.faulty_store import Fault, FaultyStore, Script
from tests.support.faulty_store import Kind as FaultKind
from tests.support.invariants import check_invariants
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.recording import RecordingStore

pytestmark = pytest.mark.spec("B3")

FILES = {b"a": b"text", b"b/c": noise(5000, "content")}
MORE = {**FILES, b"d": noise(3000, "more")}


def test_what_an_agent_saved_comes_back_with_a_full_key(kit: Kit, tmp_path: Path) -> None:
    """Its snapshot is listed with its name, restores bit for bit, and is no damage."""
    agent = agent_host(kit, tmp_path)
    saved = agent.backup(FILES).snapshot
    own = kit.backup(FILES).snapshot
    assert {s.id: s.agent for s in kit.snapshots()} == {saved.id: b"web1", own.id: b""}
    assert kit.restore(saved.id)[1] == FILES
    assert saved.writer != own.writer
    check_invariants(kit, {saved.id: FILES, own.id: FILES})


def test_an_agent_stores_nothing_twice_and_nothing_with_others(kit: Kit, tmp_path: Path) -> None:
    """The second backup stores only what is new, without any state as well; its domain is its own,
    so that it learns nothing of what others stored, nor they of it.
    """
    kit.backup(FILES)
    agent = agent_host(kit, tmp_path)
    assert agent.backup(FILES).written.plain_bytes > 5000
    assert agent.backup(FILES).written.chunks == 0
    new_state = Kit(kit.store, tmp_path / "reinstalled")
    new_state.secrets, new_state.agent = [], agent.agent
    assert new_state.backup(FILES).written.chunks == 0
    assert 3000 <= agent.backup(MORE).written.plain_bytes < 5000
    assert agent_host(kit, tmp_path, "web2").backup(FILES).written.plain_bytes > 5000


def test_agents_of_one_domain_share_what_is_stored(kit: Kit, tmp_path: Path) -> None:
    """Two members of a cluster store the same data once."""
    agent_host(kit, tmp_path, "db1", "cluster").backup(FILES)
    second = agent_host(kit, tmp_path, "db2", "cluster")
    saved = second.backup(FILES)
    assert saved.written.plain_bytes < 5000
    assert kit.restore(saved.snapshot.id)[1] == FILES
    assert kit.verify().damage == []


READING: dict[str, Callable[[Kit], object]] = {
    "snapshots": lambda kit: kit.snapshots(),
    "reader": lambda kit: kit.open().reader(),
    "verify": lambda kit: kit.verify(),
    "verify structure": lambda kit: verify(kit.open(), None, None, read_data=False),
    "keys": lambda kit: list_keys(kit.open()),
    "admin": lambda kit: kit.open().keyring.admin_signer(),
    "bundle": lambda kit: kit.open().keyring.bundle_bytes(SlotRole.READER),
}


@pytest.mark.parametrize("read", READING.values(), ids=READING)
def test_an_agent_reads_and_changes_nothing(
    kit: Kit, tmp_path: Path, read: Callable[[Kit], object]
) -> None:
    """Everything but a backup ends with exit 12, before a request for it, and says what to do."""
    agent = agent_host(kit, tmp_path)
    agent.backup(FILES)
    with pytest.raises(KeyRefusedError, match="web1") as refused:
        read(agent)
    assert refused.value.code == 12
    assert "recovery key" in refused.value.hint


def test_an_agent_opens_no_commit_and_no_pack_not_even_its_own(kit: Kit, tmp_path: Path) -> None:
    """What it stored in an earlier session is closed to it, as is what others stored."""
    agent = agent_host(kit, tmp_path)
    agent.backup(FILES)
    kit.backup(MORE)
    repository = agent.open()
    for decision in repository.read_history().decisions:
        with pytest.raises(KeyRefusedError):
            open_snapshot(decision, repository.keyring)
    packs = list(kit.store.list(layout.PACKS))
    assert len(packs) == 2
    for info in packs:
        with pytest.raises((KeyRefusedError, DamageError)):
            read_whole_pack(info.key, kit.store.get(info.key), repository.keyring)
    with pytest.raises(KeyRefusedError):
        repository.keyring.domain(kit.open().keyring.own_domain.domain_id)


def test_an_agent_file_holds_no_secret_of_the_repository(kit: Kit, tmp_path: Path) -> None:
    """Neither the domain root, a reader secret, the admin seed nor another domain's secret."""
    text = exported(kit, "web1")
    keyring = kit.open().keyring
    bundle = read_body("a bundle", keyring.bundle_bytes(SlotRole.FULL), Bundle)
    inner = text.partition("KEY-----")[2].partition("-----END")[0]
    raw = base64.b64decode("".join(inner.split()))
    assert bundle.admin_seed is not None
    secrets = [bundle.admin_seed, bundle.domain_root, keyring.own_domain.secret]
    for secret in [*secrets, *(epoch.secret for epoch in bundle.epochs)]:
        assert secret not in raw
    own = keyring.domain(domain_id(kit.open().id, b"web1"))
    assert own.secret in raw
    agent = agent_host(kit, tmp_path, "web2")
    for shown in (agent.agent, agent.open().keyring, key_of(text)):
        assert own.secret.hex() not in repr(shown)
        assert repr(own.secret)[2:-1] not in repr(shown)


def test_an_agent_asks_for_nothing_that_it_may_not_have(kit: Kit, tmp_path: Path) -> None:
    """Get and list on everything but slots, put below its own prefixes and packs and index."""
    kit.backup(FILES)
    agent = agent_host(kit, tmp_path)
    recording = RecordingStore(kit.store)
    agent.store = recording
    for files in (FILES, MORE):
        agent.backup(files)
    writer = agent.open().keyring.writer().id.hex()
    may_put = (f"sessions/{writer}/", f"commits/{writer}/", "packs/", "index/")
    for verb, key in recording.requests:
        assert verb != "delete"
        assert not key.startswith(layout.SLOTS)
        if verb == "put":
            assert key.startswith(may_put)
    foreign = [i.key for i in kit.store.list(layout.INDEX)]
    read = [key for verb, key in recording.requests if verb == "get" and key in foreign]
    assert len(read) < len(foreign), "an index segment of another domain is not read as a whole"


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (AgentNames("main"), "full-key hosts"),
        (AgentNames("x", "main"), "full-key hosts"),
        (AgentNames("web1"), "already"),
        (AgentNames("cluster"), "domain called"),
        (AgentNames(""), "no name"),
        (AgentNames("a/b"), "no name"),
        (AgentNames("-a"), "no name"),
        (AgentNames("a" * 65), "no name"),
        (AgentNames("x", "a b"), "no name"),
    ],
)
def test_names_that_no_agent_can_have(kit: Kit, names: AgentNames, what: str) -> None:
    """The full-key hosts' name, one that is taken, and what is none; nothing is stored."""
    exported(kit, "web1")
    exported(kit, "db1", "cluster")
    before = [info.key for info in kit.store.list("")]
    with pytest.raises(RefusedError, match=what):
        exported(kit, names.name, names.domain)
    assert [info.key for info in kit.store.list("")] == before


def test_only_a_full_key_makes_agents(kit: Kit, tmp_path: Path) -> None:
    """Neither an agent nor a reader does."""
    agent = agent_host(kit, tmp_path)
    with pytest.raises(KeyRefusedError):
        exported(agent, "web2")


def test_an_export_that_fails_takes_its_file_back(kit: Kit) -> None:
    """Without an entry in the repository the file would be good for nothing."""
    sound = kit.store
    denied = Fault(
        FaultKind.ERROR_BEFORE, verbs=frozenset({"put"}), prefix="writers/", error=StoreError
    )
    kit.store = FaultyStore(sound, Script(denied))
    kept: list[str] = []

    def keep(text: str) -> Callable[[], None]:
        kept.append(text)
        return kept.clear

    with pytest.raises(StoreError):
        export_agent(kit.open(), AgentNames("web1"), keep)
    assert kept == []
    kit.store = sound
    assert list_keys(kit.open()).agents == []
    exported(kit, "web1")


def test_a_damaged_agent_file_is_refused(kit: Kit) -> None:
    """Every changed letter of its key, a cut and an empty one: exit 12, naming the file."""
    text = exported(kit, "web1")
    begin = text.index("-----BEGIN")
    places = range(text.index("\n", begin) + 1, text.index("-----END") - 1, 5)
    spoilt = [text[:n] + ("A" if text[n] != "A" else "B") + text[n + 1 :] for n in places]
    for one in (*spoilt, text[: begin + 90], text[: begin + 40]):
        with pytest.raises(KeyRefusedError, match="the file is damaged") as refused:
            read_agent(one.encode(), "the file")
        assert refused.value.code == 12
    read_agent(text.replace("\n", "\r\n").encode(), "the file")


def test_an_agent_file_of_another_repository_is_refused(kit: Kit, tmp_path: Path) -> None:
    """It names both repositories, and nothing is stored."""
    agent = agent_host(kit, tmp_path)
    other = Kit(MemoryStore(), tmp_path / "other")
    other.init()
    agent.store = other.store
    before = [info.key for info in other.store.list("")]
    with pytest.raises(KeyRefusedError, match=other.open().id.hex()[:8]):
        agent.backup(FILES)
    assert [info.key for info in other.store.list("")] == before


def test_an_agent_that_the_repository_does_not_know_is_refused(kit: Kit, tmp_path: Path) -> None:
    """Its entry is missing, damaged, or says another domain."""
    agent = agent_host(kit, tmp_path)
    repository = kit.open()
    writer = agent.open().keyring.writer()
    key = layout.writer(writer.id)
    kit.store.delete(key)
    elsewhere = encode(Writer(b"web1", writer.public_key, bytes(16), 0))
    admin = repository.keyring.admin_signer()
    for data in (None, b"x", wrap(Kind.WRITER, repository.id, key, elsewhere, admin.sign)):
        if data is not None:
            kit.store.put(key, data)
        with pytest.raises(KeyRefusedError) as refused:
            agent.backup(FILES)
        assert "xport" in refused.value.hint
        kit.store.delete(key)


def test_an_agent_file_that_admin_did_not_sign_is_refused(kit: Kit, tmp_path: Path) -> None:
    """Whoever has one cannot make another one from it."""
    agent = agent_host(kit, tmp_path)
    assert agent.agent is not None
    forger = WriterKeys(noise(32, "forger"))
    record = msgspec.structs.replace(agent.agent.file, writer_seed=noise(32, "another"))
    other = WriterKeys(record.writer_seed)
    raw = wrap(
        Kind.AGENT,
        agent.agent.repository_id,
        f"agent/{other.id.hex()}",
        encode(record),
        forger.sign,
    )
    text = "-----BEGIN STRONGROOM AGENT KEY-----\n"
    text += base64.b64encode(raw).decode() + "\n-----END STRONGROOM AGENT KEY-----\n"
    with pytest.raises(KeyRefusedError, match="signature"):
        key_of(text)
