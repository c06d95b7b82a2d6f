"""No key is ever used twice with one nonce, even if the random generator repeats itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.errors import ObjectExistsError, StrongroomError
from strongroom.storage.memory import MemoryStore
from tests.support.kit import SECRET, Kit
from tests.support.noise import noise
from tests.support.nonces import repeated, sealed_parts
from tests.support.randomness import SeededRandomness

pytestmark = pytest.mark.spec("B1")

Files = dict[bytes, bytes]

FILES = {b"%03d" % n: noise(20_000, f"{n}") for n in range(300)} | {b"large": noise(6 << 20, "l")}


class StuckRandomness:
    """A generator that gives the same bytes each time, but for the first few answers."""

    def __init__(self, sound: int) -> None:
        self._sound = SeededRandomness(1)
        self._left = sound

    def take(self, count: int) -> bytes:
        """See ``Randomness``."""
        if self._left:
            self._left -= 1
            return self._sound.take(count)
        return bytes(count)


def host(folder: Path, store: MemoryStore, seed: int) -> Kit:
    """Return a host whose randomness is told by a seed."""
    kit = Kit(store, folder)
    kit.randomness = SeededRandomness(seed)
    return kit


def test_every_pair_of_key_and_nonce_occurs_once(tmp_path: Path) -> None:
    """Over several backups, with many packs and segments, each sealed part has its own pair."""
    kit = Kit(MemoryStore(), tmp_path)
    kit.init()
    kit.backup(FILES)
    kit.backup(FILES | {b"large": noise(6 << 20, "m")})
    kit.backup({b"a": b"b"})
    parts = sealed_parts(kit.store, SECRET.value)
    assert len({(part.key, part.nonce) for part in parts}) == len(parts) > 20


def clones(tmp_path: Path, first: Files, other: Files) -> None:
    """Two machines that run on from one image make the same repository, and back up."""
    parts = []
    for name, files in (("one", first), ("other", other)):
        kit = host(tmp_path / name, MemoryStore(), seed=7)
        kit.init()
        kit.backup(files)
        kit.backup(files | {b"new": name.encode()})
        parts += sealed_parts(kit.store, SECRET.value)
    assert repeated(parts) == []


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({b"a": b"other text", b"b": b"same"}, id="the first chunk differs"),
        pytest.param({b"a": b"text", b"b": b"same?"}, id="a later chunk differs"),
        pytest.param({b"a": b"text"}, id="the later chunks are gone"),
        pytest.param({b"a": b"text", b"c": b"same"}, id="only a name differs"),
        pytest.param({b"a": b"text", b"b": b"same", b"c": b"text"}, id="no new chunk"),
    ],
)
def test_a_cloned_machine_repeats_no_nonce(tmp_path: Path, other: Files) -> None:
    """Two machines with the same random numbers seal different things under different keys."""
    clones(tmp_path, {b"a": b"text", b"b": b"same"}, other)


def test_a_generator_that_sticks_repeats_no_nonce(tmp_path: Path) -> None:
    """With zeros for random numbers from some moment on, each part still has its own pair."""
    for sound in range(12, 20):
        kit = Kit(MemoryStore(), tmp_path / f"{sound}")
        kit.randomness = StuckRandomness(sound)
        kit.init()
        for files in (FILES, FILES | {b"000": b"other"}, {b"a": b"b"}):
            try:
                kit.backup(files)
            except ObjectExistsError:  # a second session of the same id does not begin
                continue
        parts = sealed_parts(kit.store, SECRET.value)
        assert parts
        assert repeated(parts) == []


def test_init_with_a_stuck_generator_makes_nothing(tmp_path: Path) -> None:
    """Slots of one id and one key are refused by the store, before there is a repository."""
    kit = Kit(MemoryStore(), tmp_path)
    kit.randomness = StuckRandomness(0)
    with pytest.raises(StrongroomError):
        kit.init()
    assert "config" not in [info.key for info in kit.store.list("")]
