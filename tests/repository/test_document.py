"""``docs/format.md`` is enough: a second reader, written from it alone, reads what we write."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.model.store import Store
from strongroom.operations.keys import add_key, remove_key
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.slots import Secret
from strongroom.storage.memory import MemoryStore
from tests.golden.make import FIRST, make
from tests.support.agents import agent_host, exported
from tests.support.decoder import Decoder, entries, extents, is_cut, sha256
from tests.support.kit import SECRET, Kit
from tests.support.msgpack_reader import read as msgpack
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B1")


class Made:
    """A repository that the program wrote, as the second reader sees it."""

    def __init__(self, store: Store) -> None:
        self.objects = {info.key: store.get(info.key) for info in store.list("")}
        self.decoder = Decoder(self.objects, SECRET.value)
        self.data: dict[bytes, bytes] = {}
        self.trees: dict[bytes, bytes] = {}
        for key in self.keys("packs/"):
            for frame in self.decoder.pack(key):
                (self.data if frame.kind == 1 else self.trees).update(frame.chunks)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below a prefix."""
        return [key for key in sorted(self.objects) if key.startswith(prefix)]

    def commits(self) -> list[tuple[Any, Any]]:
        """Return the body and the record of each COMMIT, oldest first."""
        found = []
        for key in self.keys("commits/"):
            writer = self.decoder.writers[f"writers/{key.split('/')[1]}"]
            if self.decoder.envelope(key, writer[1], self.decoder.admin_key)[0] == 1:
                found.append(self.decoder.snapshot(key))
        return sorted(found, key=lambda pair: pair[0][2])

    def files(self, source: Any) -> dict[bytes, bytes]:  # noqa: ANN401 - a record
        """Return the bytes of every file of a source."""
        found = {}
        for entry in entries(self.trees, source[4], source[5]):
            path, content, depth = entry[0], entry[9], entry[10]
            pieces = [
                self.data[chunk_id] if any(chunk_id) else bytes(length)
                for chunk_id, length in extents(self.trees, content, depth)
            ]
            found[path] = b"".join(pieces)
            assert len(found[path]) == entry[8]
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A repository with a branch in its tree, a long list of extents, an ABORT and a heartbeat."""
    return Made(make(tmp_path_factory.mktemp("state")))


def test_every_file_of_a_snapshot_is_read(made: Made) -> None:
    """Tree, branch, leaves, extents, holes and chunks give back the bytes of each file."""
    _body, record = made.commits()[0]
    (source,) = record[9]
    assert source[5] > 1, "a tree with branches"
    assert made.files(source) == dict(FIRST)
    assert source[8] == [len(FIRST), len(FIRST), 0, sum(map(len, FIRST.values())), 0]


def test_the_record_of_a_snapshot_says_what_was_backed_up(made: Made) -> None:
    """The fields of a record lie where section 5 says."""
    body, record = made.commits()[0]
    assert record[:6] == [b"", b"", b"files", b"host", b"user", []]
    assert record[6] <= record[7] <= body[2]
    assert record[8] == b"strongroom test"
    name, kind, order, paths, root, levels, status, position, _counts, problems = record[9][0]
    assert (name, kind, order, paths) == (b"test", b"files", 1, [b"/"])
    assert (len(root), levels, status, position, problems) == (32, 2, 0, b"", [b"", 0])


def test_a_commit_names_its_packs_and_the_one_before_it(made: Made) -> None:
    """Heads form a chain, packs are those that the session wrote, and nothing is cancelled."""
    (first, _), (second, _) = made.commits()
    digests = {made.decoder.objects[key]: key for key in made.keys("commits/")}
    ((head, digest),) = second[5]
    assert first[5] == []
    assert first[7] == second[7] == []
    assert head in digests.values()
    packs = {first[6][i : i + 32] for i in range(0, len(first[6]), 32)}
    packs |= {second[6][i : i + 32] for i in range(0, len(second[6]), 32)}
    assert packs == {bytes.fromhex(key[9:]) for key in made.keys("packs/")}
    assert digest == sha256(made.objects[head])


def test_the_index_lists_each_pack_as_its_footer_does(made: Made) -> None:
    """Segments name every pack with its size, and with the chunks that lie in it."""
    listed: dict[bytes, Any] = {}
    for key in made.keys("index/"):
        packs, supersedes, signature = made.decoder.segment(key)
        assert (supersedes, signature) == (b"", b"")
        listed |= {pack[0]: pack for pack in packs}
    for key in made.keys("packs/"):
        _id, size, _frames, ids, _lengths = listed.pop(bytes.fromhex(key[9:]))
        chunks = [chunk for frame in made.decoder.pack(key) for chunk in frame.chunks]
        assert size == len(made.objects[key])
        assert [ids[i : i + 32] for i in range(0, len(ids), 32)] == chunks
    assert listed == {}


def test_sessions_heartbeats_and_aborts_are_read(made: Made) -> None:
    """What a writer says of itself is signed by it and has the fields of section 5."""
    ((writer_key, writer),) = made.decoder.writers.items()
    assert writer[0] == b"main"
    assert writer_key[8:] == sha256(b"strongroom writer\0" + writer[1])[:16].hex()
    domain = sha256(b"strongroom domain\0" + made.decoder.repository + b"main")[:16]
    assert writer[2] == domain
    bodies = {key: made.decoder.envelope(key, writer[1]) for key in made.keys("sessions/")}
    assert sorted(len(body) for body in bodies.values()) == [2, 4, 4, 4]
    for key, body in bodies.items():
        assert body[1:] == [None] if "." in key else body[2:] == [domain, None]
    aborts = [made.decoder.envelope(key, writer[1]) for key in made.keys("commits/")]
    assert [body[:2] for body in aborts if body[0] == 2] == [[2, 1]]


def test_the_tree_is_cut_where_the_document_says(made: Made) -> None:
    """Every leaf but the last ends where the checksum of its last path allows it."""
    _body, record = made.commits()[0]
    source = record[9][0]
    level, children = msgpack(made.trees[source[4]])
    assert level == 1
    for _path, chunk_id, _count in children[:-1]:
        last = entries(made.trees, chunk_id, 1)[-1][0]
        assert is_cut(0, last)


def test_any_repository_is_read(tmp_path: Path) -> None:
    """Several packs, stored and compressed frames and repeated chunks are read as well."""
    files = {
        b"random": noise(3 << 20),
        b"text": b"all work and no play\n" * 300_000,
        b"twin": noise(3 << 20),
        **{b"d/%d" % n: noise(3000, str(n)) for n in range(50)},
    }
    kit = Kit(MemoryStore(), tmp_path)
    kit.init()
    kit.backup(files)
    read = Made(kit.store)
    ((_body, record),) = read.commits()
    assert read.files(record[9][0]) == files


@pytest.mark.spec("B3")
def test_slots_that_come_and_go_are_read(tmp_path: Path) -> None:
    """Orders name the slots that count, and those that do not any more."""
    kit = Kit(MemoryStore(), tmp_path)
    kit.init()
    keys = [Secret(SlotKind.KEY_FILE, noise(32, str(n))) for n in range(3)]
    added = [add_key(kit.open(), key, SlotRole.READER) for key in keys]
    for slot_id in added[:2]:
        remove_key(kit.open(), slot_id)
    made = Made(kit.store)
    counting = made.decoder.counting_slots()
    there = {key[6:]: sha256(made.objects[key]) for key in made.keys("slots/")}
    assert {slot.hex(): digest for slot, digest in counting.items()} == there
    assert added[2] in there


@pytest.mark.spec("B3")
def test_an_agent_file_is_read(tmp_path: Path) -> None:
    """Its text, its fields and its signature are as section 4 says, and its writer is known."""
    kit = Kit(MemoryStore(), tmp_path)
    kit.init()
    text = exported(kit, "web1")
    decoder = Made(kit.store).decoder
    inner = text.split("-----BEGIN STRONGROOM AGENT KEY-----\n")[1]
    lines = inner.split("\n-----END STRONGROOM AGENT KEY-----")[0].split("\n")
    assert {len(line) for line in lines[:-1]} == {64}
    (writer_key, writer), *_ = [(k, w) for k, w in decoder.writers.items() if w[0] == b"web1"]
    key = f"agent/{writer_key[8:]}"
    decoder.objects = {**decoder.objects, key: base64.b64decode("".join(lines))}
    digest, admin, name, seed, domain, secret, created = decoder.envelope(key, decoder.admin_key)
    assert (digest, admin, name) == (decoder.digest, decoder.admin_key, b"web1")
    assert (writer[2], writer[3]) == (domain, created)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert public == writer[1]
    assert domain == sha256(b"strongroom domain\0" + decoder.repository + b"web1")[:16]
    assert secret == decoder.domain_secret(domain)


@pytest.mark.spec("B3")
def test_what_an_agent_saved_is_read(tmp_path: Path) -> None:
    """Its packs, index and commit are those of any writer, in its own domain."""
    kit = Kit(MemoryStore(), tmp_path)
    kit.init()
    files = {b"a": b"text", b"b": noise(4000)}
    agent_host(kit, tmp_path).backup(files)
    read = Made(kit.store)
    ((_body, record),) = read.commits()
    assert read.files(record[9][0]) == files
    assert len([read.decoder.segment(key) for key in read.keys("index/")]) == 1
