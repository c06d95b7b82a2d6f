"""A single bit of any object is changed: it is found, named, and costs no more than it must."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from strongroom.repository.pack import HEADER_SIZE
from tests.faults.damage import Base, Damage, Judge, build, flipped

pytestmark = pytest.mark.spec("B7")

END_SIZE = 400  # more than the trailer and the footer with its padding
# One object of each kind, and of each fate where that makes a difference.
SAMPLE = (
    "config of init",
    "slot of init",
    "writer of init",
    "session of dead late",
    "heartbeat of first",
    "commit of failed",
    "commit of second",
    "index of first",
    "pack of first",
)


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return build(tmp_path_factory.mktemp("damage"))


@pytest.mark.parametrize("name", SAMPLE)
def test_a_flipped_bit_in_any_byte_is_found(base: Base, name: str, tmp_path: Path) -> None:
    """In every byte of the object one bit, chosen by a seed, is changed (of a pack: header, footer,
    padding and trailer, and every fifth byte of its frames).

    Verify reports damage and names the object, or no command opens the repository; a restore gives
    the right bytes or says what is damaged; snapshots that do not need the object are whole.
    """
    judge, key = Judge(base, tmp_path), base.key(name)
    value = base.objects[key]
    bits = random.Random(name).choices(range(8), k=len(value))
    every = 1 if base.needed[key] else 4  # restores that read the object at all, or others
    for place, bit in enumerate(bits):
        if name.startswith("pack") and place in _frames(value) and place % 5:
            continue
        changed = {**base.objects, key: flipped(value, place, bit)}
        damage = Damage(f"bit {bit} of byte {place}", changed, (key,))
        judge.check(damage, restores=place % every == 0)


def _frames(pack: bytes) -> range:
    """Return about where the frames of a pack lie."""
    return range(HEADER_SIZE, len(pack) - END_SIZE)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bit", range(8))
def test_every_bit_of_every_object(base: Base, bit: int, tmp_path: Path) -> None:
    """The same for every bit of every object."""
    judge = Judge(base, tmp_path)
    for key, value in base.objects.items():
        for place in range(len(value)):
            changed = {**base.objects, key: flipped(value, place, bit)}
            judge.check(Damage(f"bit {bit} of byte {place}", changed, (key,)))
