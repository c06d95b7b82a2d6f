"""A single bit of any object is changed: it is found, and no wrong byte is ever restored."""

from __future__ import annotations

import io
import random
import shutil
from pathlib import Path

import pytest

import recover
from tests.faults.damage import Base, build, flipped
from tests.recover.harness import objects_below
from tests.support.kit import SECRET

pytestmark = pytest.mark.spec("B7", "B10")

HEADER = 188  # of a pack
FOOTER = 400  # more than footer and trailer of a small pack take
SAMPLE = (
    *("config of init", "slot 2 of init", "writer of init", "session of dead late"),
    *("heartbeat of first", "commit of failed", "commit of second", "index of first"),
    "pack of second",
)


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return build(tmp_path_factory.mktemp("damage"))


class Reading:
    """A repository in a folder, read in this process."""

    def __init__(self, folder: Path, base: Base) -> None:
        self.repository = folder / "repository"
        self.target = folder / "target"
        for key, value in base.objects.items():
            path = self.repository / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value)

    def open(self) -> recover.Repository:
        """Open the repository as every verb does."""
        secret = recover.Secret({recover.KEY_FILE, recover.RECOVERY_KEY}, SECRET.value)
        return recover.open_repository(self.repository, secret, recover.Report(io.StringIO()))

    def verify(self) -> set[str]:
        """Return the names of what is damaged."""
        try:
            repository = self.open()
        except recover.Trouble as trouble:
            assert trouble.code in {recover.DAMAGED, recover.NO_REPOSITORY}
            return {"config"}
        recover.Verification(repository, repository.snapshots()).run(everything=True)
        return repository.report.damaged

    def restore(self, snapshot: str) -> tuple[int, dict[bytes, bytes]]:
        """Restore a snapshot; return the exit code and what is there then."""
        shutil.rmtree(self.target, ignore_errors=True)
        try:
            code = recover.run_restore(self.open(), snapshot, self.target, None)
        except recover.Trouble as trouble:
            return trouble.code, {}
        files = objects_below(self.target)
        return code, {name.encode(): data for name, data in files.items()}


def places(name: str, value: bytes) -> list[tuple[int, int]]:
    """Return which bits to change: of most objects one in each fifth byte."""
    rng = random.Random(name)
    step = 11 if name.startswith("pack") else 5
    return [(place, rng.randrange(8)) for place in range(rng.randrange(step), len(value), step)]


@pytest.mark.parametrize("name", SAMPLE)
def test_a_flipped_bit_is_found_wherever_it_is(base: Base, name: str, tmp_path: Path) -> None:
    """By the name of the object that it is in."""
    reading, key = Reading(tmp_path, base), base.key(name)
    assert reading.verify() == set()
    value = base.objects[key]
    for place, bit in places(name, value):
        (reading.repository / key).write_bytes(flipped(value, place, bit))
        assert key in reading.verify(), f"bit {bit} of byte {place}"


@pytest.mark.parametrize("name", SAMPLE)
def test_an_object_of_another_length_is_found(base: Base, name: str, tmp_path: Path) -> None:
    """Cut anywhere, or with something behind it."""
    reading, key = Reading(tmp_path, base), base.key(name)
    value = base.objects[key]
    for changed in (*(value[:size] for size in range(0, len(value), 97)), value + bytes(1)):
        (reading.repository / key).write_bytes(changed)
        assert key in reading.verify(), f"{len(changed)} of {len(value)} bytes"


@pytest.mark.parametrize("name", ["commit of second", "index of first", "pack of second"])
def test_after_a_flipped_bit_no_wrong_byte_is_restored(
    base: Base, name: str, tmp_path: Path
) -> None:
    """Each snapshot is restored whole, or it is told that it is not, and the rest is right."""
    reading, key = Reading(tmp_path, base), base.key(name)
    value = base.objects[key]
    for place, bit in places(name, value)[::4]:
        (reading.repository / key).write_bytes(flipped(value, place, bit))
        for snapshot, files in base.acknowledged.items():
            code, restored = reading.restore(snapshot)
            whole = {path: data for path, data in restored.items() if path in files}
            assert whole.items() <= files.items()
            assert (
                code == recover.DONE
                if restored == files
                else code in {recover.DAMAGED, recover.NOT_FOUND}
            ), f"bit {bit} of byte {place}"
            if name.startswith("index") or snapshot not in base.needed[key]:
                assert restored == files
