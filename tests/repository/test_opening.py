"""Config: what init makes, and what is refused before a key is asked for."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.chunking.cutter import ChunkerParameters, FastCdc
from strongroom.crypto.primitives import derive
from strongroom.errors import DamageError, NoRepositoryError, RefusedError
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.keyring import WriterKeys
from strongroom.repository.opening import initialise, read_config
from strongroom.repository.records import Chunking, Config, ConfigCore, SlotDigest, read_body
from strongroom.storage.memory import MemoryStore
from tests.support.hooks import HookedStore
from tests.support.kit import SECRET, Kit
from tests.support.noise import noise
from tests.support.randomness import SeededRandomness
from tests.support.recording import RecordingStore

pytestmark = pytest.mark.spec("B1")

ADMIN = WriterKeys(derive(noise(32, "admin"), "admin", b""))
CORE = ConfigCore(
    suite=1,
    created_ns=0,
    mode=0,
    admin_key=ADMIN.public_key,
    reader_key=bytes(32),
    chunking=Chunking(1 << 20, 1 << 20, 1 << 18, 4 << 20, 1),
    frame_size=1 << 20,
    pack_size=32 << 20,
)


def configured(core: object, slots: object = ()) -> MemoryStore:
    """Return a store with a config that its own admin signed."""
    store = MemoryStore()
    body = encode([encode(core), slots])
    store.put("config", wrap(Kind.CONFIG, bytes(16), "config", body, ADMIN.sign))
    return store


def changed(**fields: object) -> ConfigCore:
    """Return a core with other fields."""
    core: ConfigCore = msgspec.structs.replace(CORE, **fields)
    return core


def chunking(**fields: int) -> ConfigCore:
    """Return a core with other chunker parameters."""
    return changed(chunking=msgspec.structs.replace(CORE.chunking, **fields))


def test_init_puts_config_last(kit: Kit) -> None:
    """Slots and writer are durable before the object that makes them count."""
    recording = RecordingStore(MemoryStore())
    initialise(recording, SECRET, SeededRandomness(), 0)
    done = [(verb, key.split("/")[0]) for verb, key in recording.requests]
    assert done == [
        ("get", "config"),
        ("put", "slots"),
        ("put", "slots"),
        ("put", "writers"),
        ("sync", "slots"),
        ("put", "config"),
    ]
    assert kit.open().config.core.pack_size == 32 << 20


def test_of_two_inits_at_once_one_wins() -> None:
    """The loser is refused, and what it left behind harms nobody."""
    store = HookedStore(MemoryStore())
    winners = []
    store.before(
        "put", "config", lambda: winners.append(initialise(store, SECRET, SeededRandomness(2), 0))
    )
    with pytest.raises(RefusedError):
        initialise(store, SECRET, SeededRandomness(1), 0)
    assert read_config(store) == winners[0].config
    assert len(list(store.list("slots/"))) == 4


def test_no_config_is_no_repository() -> None:
    """An empty place is exit 10, with the way to make one."""
    with pytest.raises(NoRepositoryError, match="config not found") as missing:
        read_config(MemoryStore())
    assert missing.value.code == 10
    assert "init" in missing.value.hint


@pytest.mark.parametrize(("suite", "mode"), [(0, 0), (2, 0), (255, 0), (1, 2), (1, 9)])
def test_another_suite_or_mode_is_refused(suite: int, mode: int) -> None:
    """What this version does not support is exit 10, not damage."""
    with pytest.raises(NoRepositoryError, match="does not support"):
        read_config(configured(changed(suite=suite, mode=mode)))


@pytest.mark.parametrize(
    "core",
    [
        changed(frame_size=0), changed(frame_size=-1), changed(frame_size=(16 << 20) + 1),
        changed(pack_size=0), changed(pack_size=(4 << 20) - 1), changed(pack_size=(64 << 20) + 1),
        changed(pack_size=1 << 60), changed(reader_key=b""), changed(reader_key=bytes(33)),
        chunking(minimum=0), chunking(minimum=63), chunking(minimum=2 << 20),
        chunking(average=1), chunking(average=8 << 20), chunking(maximum=(16 << 20) + 1),
        chunking(maximum=1 << 60), chunking(maximum=1), chunking(whole_below=-1),
        chunking(whole_below=(16 << 20) + 1), chunking(normalisation=4), chunking(normalisation=-1),
    ],
    ids=repr,
)  # fmt: skip
def test_sizes_out_of_bounds_are_damage(core: ConfigCore) -> None:
    """Numbers that would make chunks, frames or packs impossible, or memory endless."""
    with pytest.raises(DamageError, match="out of bounds"):
        read_config(configured(core))


sizes = st.one_of(st.integers(-2, 2000), st.integers(0, 17 << 20), st.integers(-(1 << 62), 1 << 62))


@given(sizes, sizes, sizes, sizes, st.integers(-1, 5))
def test_a_config_that_is_read_has_a_chunker(
    whole: int, average: int, minimum: int, maximum: int, level: int
) -> None:
    """Whatever parameters a signed config states: refused, or they cut."""
    parameters = Chunking(whole, average, minimum, maximum, level)
    try:
        core = read_config(configured(changed(chunking=parameters))).core
    except DamageError:
        return
    cutter = FastCdc(ChunkerParameters(*msgspec.structs.astuple(core.chunking)))
    assert sum(cutter.lengths(memoryview(bytes(5000)))) == 5000


@pytest.mark.parametrize(
    "slots",
    [
        [[b"", bytes(32)]], [[bytes(15), bytes(32)]], [[bytes(300), bytes(32)]],
        [[bytes(16), b""]], [[bytes(16), bytes(33)]], [[bytes(16)]], [[]], [5], None,
    ],
)  # fmt: skip
def test_names_of_slots_are_ids_and_digests(slots: object) -> None:
    """A config that names something else as a slot is damage."""
    with pytest.raises(DamageError, match="config"):
        read_config(configured(CORE, slots))


def test_a_config_that_is_not_signed_by_its_admin_is_damage() -> None:
    """The signature is by the key that the config itself names."""
    store = MemoryStore()
    body = encode(Config(encode(CORE), ()))
    other = WriterKeys(noise(32))
    store.put("config", wrap(Kind.CONFIG, bytes(16), "config", body, other.sign))
    with pytest.raises(DamageError, match="signature"):
        read_config(store)


@pytest.mark.parametrize("admin_key", [b"", bytes(31), bytes(33), b"\xff" * 32])
def test_an_admin_key_that_is_none_is_damage(admin_key: bytes) -> None:
    """A key of another length, or no point of the curve, verifies nothing."""
    with pytest.raises(DamageError, match="signature"):
        read_config(configured(changed(admin_key=admin_key)))


def test_slots_are_no_part_of_the_digest(kit: Kit) -> None:
    """The digest that slots hold is of the core: slots contain it, so it cannot contain them."""
    config = kit.open().config
    body = read_body("config", unwrap(kit.store.get("config"), Kind.CONFIG, "config").body, Config)
    slots = (*body.slots, SlotDigest(bytes(16), bytes(32)))
    other = MemoryStore()
    signer = kit.open().keyring.admin_signer()
    data = wrap(
        Kind.CONFIG, config.repository_id, "config", encode(Config(body.core, slots)), signer.sign
    )
    other.put("config", data)
    assert read_config(other).digest == config.digest
    assert len(read_config(other).slots) == 3
