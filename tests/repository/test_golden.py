"""What was written once is read for ever, and what follows from a seed never changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.compression.codec import Compressor, Decompressor
from strongroom.crypto.primitives import agreement_public_key, sha256
from strongroom.model.snapshot import Counts, Snapshot, SourceRecord, Status, Stream
from strongroom.model.store import Store
from strongroom.repository.canonical import encode
from strongroom.repository.columns import ChunkKind, FrameRecord, encode_columns
from strongroom.repository.commits import seal_record
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.keyring import (
    DomainKeys,
    SessionKeys,
    SessionSecret,
    WriterKeys,
    config_digest,
    domain_id,
    writer_id,
)
from strongroom.repository.ordering import put_order
from strongroom.repository.pack import CompressedFrame, PlainFrame, compress_frame, seal_pack
from strongroom.repository.records import (
    Abort,
    Config,
    Heartbeat,
    IndexedPack,
    OrderKind,
    SessionBody,
    Slot,
    Targets,
    Writer,
    read_body,
)
from strongroom.repository.segment import seal_segment
from strongroom.storage.memory import MemoryStore
from tests.golden.make import FIRST, SECOND, make, stored
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.randomness import SeededRandomness
from tests.support.sources import SparseSource

pytestmark = pytest.mark.spec("B1")

REPOSITORY = bytes(range(16))
SALT = noise(32, "salt")
OBJECTS = stored(1)


def only(objects: dict[str, bytes], prefix: str) -> dict[str, bytes]:
    """Return the objects below a prefix."""
    return {key: value for key, value in objects.items() if key.startswith(prefix)}


@pytest.fixture(params=[0, 1])
def old(tmp_path: Path, request: pytest.FixtureRequest) -> Kit:
    """A host that finds a repository that was written once, of each version."""
    store = MemoryStore()
    for key, value in stored(request.param).items():
        store.put(key, value)
    return Kit(store, tmp_path)


@pytest.fixture(scope="module")
def anew(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The same repository, written by this version from the same seed."""
    store: Store = make(tmp_path_factory.mktemp("state"))
    return {info.key: store.get(info.key) for info in store.list("")}


def test_what_was_written_once_is_restored(old: Kit) -> None:
    """Every snapshot of the stored repository restores bit for bit."""
    first, second = old.snapshots()
    assert old.restore(first.id)[1] == FIRST
    assert old.restore(second.id)[1] == SECOND


def test_what_was_written_once_is_sound(old: Kit) -> None:
    """A check of the stored repository, with all data, finds nothing."""
    result = old.verify()
    assert result.damage == []
    assert (result.snapshots, result.packs, result.packs_read) == (2, 2, 2)


def test_what_was_written_once_is_built_upon(old: Kit) -> None:
    """A backup of the same files into the stored repository stores nothing."""
    assert old.backup_source(SparseSource(FIRST)).written.chunks == 0


def test_a_repository_keeps_its_version(old: Kit) -> None:
    """Whatever is added to a repository has the format version of its config."""
    version = old.store.get("config")[4:6]
    old.backup({b"new": noise(1000, "new")})
    repository = old.open()
    listing = repository.list_snapshots()
    put_order(repository, listing.history, OrderKind.FORGET, Targets((listing.found[0].key,)))
    found = {info.key: old.store.get(info.key)[4:6] for info in old.store.list("")}
    assert {key: one for key, one in found.items() if one != version} == {}
    assert any(key.startswith("orders/") for key in found)


def test_a_seed_gives_the_same_objects(anew: dict[str, bytes]) -> None:
    """Writers, sessions, heartbeats and ABORTs are the same bytes at the same keys."""
    for prefix in ("writers/", "sessions/"):
        assert only(anew, prefix) == only(OBJECTS, prefix)
    assert only(anew, "commits/").keys() == only(OBJECTS, "commits/").keys()
    aborts = [key for key, value in only(OBJECTS, "commits/").items() if len(value) == 104]
    assert len(aborts) == 1
    assert anew[aborts[0]] == OBJECTS[aborts[0]]


def test_a_seed_gives_the_same_config_and_slots(anew: dict[str, bytes]) -> None:
    """All but what is sealed to a public key follows from the seed."""
    cores, slots = [], []
    for objects in (anew, OBJECTS):
        envelope = unwrap(objects["config"], Kind.CONFIG, "config")
        cores.append(read_body("config", envelope.body, Config).core)
        slots.append(
            [
                (key, *(getattr(slot, name) for name in slot.__struct_fields__[:-1]))
                for key, value in only(objects, "slots/").items()
                for slot in [read_body(key, unwrap(value, Kind.SLOT, key).body, Slot)]
            ]
        )
    assert cores[0] == cores[1]
    assert slots[0] == slots[1]
    assert cores[0].hex() == (
        "9801cf17979cfe362a000000c42094f98e2cf3809a4c29eaa744360aa68087a6ae234fa739edf662"
        "056b73fcd518c420f5668af5d9293bd702128a9ddcfae5b81057f35f4826f98d66d06e6a1302190c"
        "95ce00100000ce00100000ce00040000ce0040000001ce00100000ce02000000"
    )


def test_a_seed_gives_packs_and_segments_of_the_same_length(anew: dict[str, bytes]) -> None:
    """Nothing but keys differs between two runs, so nothing is longer or shorter."""
    for prefix in ("packs/", "index/", "commits/"):
        lengths = [sorted(map(len, only(objects, prefix).values())) for objects in (anew, OBJECTS)]
        assert lengths[0] == lengths[1]


def test_ids_and_derived_keys_never_change() -> None:
    """Writer and domain ids, the config digest, and what derives from a domain secret."""
    domain = DomainKeys(REPOSITORY, domain_id(REPOSITORY, b"main"), noise(32, "domain"))
    secret = SessionSecret(REPOSITORY, noise(32, "session"))
    key, commitment = secret.pack_key(bytes(44), SALT)
    commit_key, _ = secret.commit_key("commits/a/b", SALT)
    assert [
        writer_id(bytes(32)).hex(),
        domain_id(REPOSITORY, b"main").hex(),
        config_digest(REPOSITORY, b"core").hex(),
        domain.index_key.hex(),
        domain.data_hasher(b"").hex(),
        domain.tree_hasher(b"").hex(),
        key.hex(),
        commitment.hex(),
        commit_key.hex(),
    ] == [
        "aa5c2dd8d3aa74e98188fc953a68f535",
        "e9afd003fa04d4c151659ddbd323d0db",
        "ef0ba3551a951bfadde8dfeb15ad75a4a85967deedbb2fb85453642e48123f9f",
        "8d5f41f49a1134d0e449d5a598492d5ea3836708eff7afef503f73f555c0566c",
        "2f5314b0059258a03cf1ad5ad1e498abb7e193fbd58661433f4fc8557e285f46",
        "6e5f7194a9d9c30ba7a16eb22fa7192b2d622dd763033582a2fc3fe981355216",
        "df22baa1eb58bedb4ece218e4621ae64d5b19213ef7c22855968810472208fe7",
        "796f1c261033215109e98f5613602a72e67b5b680a8218885c619a1037ce8ef8",
        "abfd99826612006ff04fa103c3e49cf1d99cef0ad01242d762351f8f9a23dc84",
    ]


def test_envelopes_never_change() -> None:
    """The bytes of signed objects with fixed keys."""
    writer = WriterKeys(noise(32, "writer"))
    key = f"sessions/{writer.id.hex()}/{REPOSITORY.hex()}"
    bodies = {
        Kind.SESSION: encode(SessionBody(1, 1_700_000_000_000_000_000, REPOSITORY, None)),
        Kind.HEARTBEAT: encode(Heartbeat(1_700_000_003_600_000_000, None)),
        Kind.COMMIT: encode(Abort(2, 1, 1_700_000_000_000_000_000)),
        Kind.WRITER: encode(Writer(b"main", writer.public_key, REPOSITORY, 0)),
    }
    digests = [
        sha256(wrap(kind, REPOSITORY, key, body, writer.sign, version=version)).hex()[:32]
        for version in (0, 1)
        for kind, body in bodies.items()
    ]
    assert digests == [
        "fe05348a4ec97479d2c283297c8eb4e8",
        "d0a4c0058fb408a01d473e67151b1ec5",
        "7578966ba3fb16f3b8045721a901d042",
        "114ea76b16ae45e3db05077fec59187e",
        "33563ddff9e6ad622e822e24af31627d",
        "e0dd72e2284e574a6bb2b096cd6af7fa",
        "24b77bee276a5fe79d9f49a61a4e6de9",
        "db8eeb8abb9d544307b36711eee46b0f",
    ]


def frames() -> list[CompressedFrame]:
    """Return a data frame of two chunks and a tree frame of one, not compressed."""
    first, second, tree = noise(100, "first"), noise(200, "second"), noise(50, "tree")
    domain = DomainKeys(REPOSITORY, REPOSITORY, noise(32, "domain"))
    ids = domain.data_hasher(first) + domain.data_hasher(second)
    given = [
        PlainFrame(ChunkKind.DATA, ids, [len(first), len(second)], first + second),
        PlainFrame(ChunkKind.TREE, domain.tree_hasher(tree), [len(tree)], tree),
    ]
    return [compress_frame(one, Compressor(), Decompressor())[0] for one in given]


def session_keys(version: int = 1) -> SessionKeys:
    """Return the keys of a session with a fixed seed; only what is sealed is another each time."""
    domain = DomainKeys(REPOSITORY, REPOSITORY, noise(32, "domain"), version)
    return SessionKeys(domain, agreement_public_key(noise(32, "reader")), 1, SeededRandomness(5))


@pytest.mark.parametrize(
    ("version", "digest"),
    [
        (0, "ec4dbb763e9b24c8704a909708440be9c23ddd81def42c5c66b9df296d9519b1"),
        (1, "e85a9c775c7d8b5f712c6902dcf5a6e45070d4ee4e7ae41339588722f5349737"),
    ],
)
def test_packs_never_change(version: int, digest: str) -> None:
    """With fixed keys every byte of a pack is fixed but the sealed session key."""
    sealed = seal_pack(frames(), session_keys(version), SALT)
    assert len(sealed.data) == 768
    assert bytes(sealed.data[:44]).hex() == (
        f"53524d50000{version}0100000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f"
        "00000001"
    )
    assert sha256(sealed.data[:44] + sealed.data[124:]).hex() == digest


@pytest.mark.parametrize(
    ("version", "digest"),
    [
        (0, "5ac71eb833098e2b38a6bd6f53d28b6c69b2c1a7334b6c76a974b808e1aad559"),
        (1, "b8cd6fcd2b444dd29e90b6618c4601add25a15d5ccddd788ec5c4d514b7f6220"),
    ],
)
def test_index_segments_never_change(version: int, digest: str) -> None:
    """With fixed keys every byte of an index segment is fixed."""
    columns = encode_columns(
        [FrameRecord(188, 321, ChunkKind.DATA, (noise(32, "a"), noise(32, "b")), (100, 200))]
    )
    pack = IndexedPack(noise(32, "pack"), 1024, columns.frames, columns.ids, columns.lengths)
    domain = DomainKeys(REPOSITORY, REPOSITORY, noise(32, "domain"), version)
    assert sha256(seal_segment([pack], domain, SALT)).hex() == digest


def test_sealed_snapshots_never_change() -> None:
    """With fixed keys the sealed part of a commit is fixed."""
    source = SourceRecord(
        name=b"etc",
        kind=b"files",
        order=1,
        paths=(b"/etc",),
        root=noise(32, "root"),
        levels=2,
        status=Status.INCOMPLETE,
        position=b"",
        counts=Counts(5, 4, 1, 1000, 1),
        problems=Stream(noise(40, "problems"), 0),
    )
    snapshot = Snapshot(b"n", b"e", b"files", b"h", b"u", (b"t",), 1, 2, b"p", (source,))
    commitment, sealed = seal_record(snapshot, session_keys(), "commits/a/b", SALT)
    assert commitment.hex() == ("8e66be2dd116de50b8cc3fe19ca74dab4a128437a0550b0934832ba7dd6c91b6")
    assert sha256(sealed).hex() == (
        "31ef4e1103f779d14062994ee71ae8258e164fe237bcc9b940b3b25f0cf3237e"
    )
