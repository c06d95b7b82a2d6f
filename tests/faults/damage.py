"""A small repository with every kind of object, and a judge of what damage to it may do.

What must hold after any damage: ``verify --read-data`` reports it and names the object; a restore
gives exactly the right bytes or says what is damaged; snapshots that do not need the object are as
they were; every error is one that is documented.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from strongroom.crypto.keytext import text_to_key
from strongroom.errors import DamageError, StoreUnavailableError, StrongroomError
from strongroom.model.source import Item, Loaded
from strongroom.model.store import Store
from strongroom.operations.restore import restore
from strongroom.repository import layout
from strongroom.repository.localfiles import LocalFiles
from strongroom.repository.records import SlotKind
from strongroom.repository.slots import Secret
from strongroom.storage.memory import MemoryStore
from strongroom.system.posix import PosixFs
from tests.faults.workloads import CUT, Files, die_at_put, objects_of, store_of
from tests.support.fakes import MemorySource, MemoryTarget
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.kit import SECRET, Kit

LARGE = b"".join(bytes([65 + part]) * 275_000 + CUT for part in range(4))  # packs stay tiny
FIRST: Files = {b"a/one": b"1" * 100, b"a/two": b"two\n", b"a/empty": b"", b"large": LARGE}
SECOND: Files = FIRST | {b"a/new": b"new\n", b"a/one": b"2" * 100}
NOWHERE = b"/dev/null/none"  # a cache that keeps nothing
SOURCE = "damage"
OPENING = {4, 10, 12}  # damaged; no repository, or of another format; no slot opens


@dataclass(frozen=True)
class Base:
    """The repository: two snapshots, sessions of every fate, and what each part is needed for.

    ``names``: a word for each key, such as ``pack of second``. ``needed``: the snapshots that
    cannot be restored whole without the object. ``state`` is of a host that knows everything.
    """

    objects: Mapping[str, bytes]
    names: Mapping[str, str]
    needed: Mapping[str, frozenset[str]]
    acknowledged: Mapping[str, Files]
    secrets: Sequence[Secret]
    state: Path

    def key(self, name: str) -> str:
        """Return the key that has this name."""
        (found,) = [key for key, other in self.names.items() if other == name]
        return found


class _SlowSource(MemorySource):
    """Takes two hours, so that its session shows a sign of life."""

    def __init__(self, files: Files, kit: Kit) -> None:
        super().__init__(files, SOURCE)
        self._kit = kit

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``."""
        self._kit.clock.sleep(7200)
        return super().load(items)


class _Builder:
    """Builds the repository step by step, and gives names to what each step put."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.names: dict[str, str] = {}

    def name_new(self, step: str) -> None:
        """Call every object that came with a step ``<kind> of <step>``; the second ``kind 2``."""
        for info in self.kit.store.list(""):
            if info.key in self.names:
                continue
            kind = info.key.partition("/")[0].removesuffix("s")
            kind = "heartbeat" if kind == "session" and "." in info.key else kind
            name, number = f"{kind} of {step}", 1
            while name in self.names.values():
                number += 1
                name = f"{kind} {number} of {step}"
            self.names[info.key] = name

    def fail(self, step: str, files: Files) -> None:
        """Begin a backup that fails cleanly, with an ABORT, before its last index segment."""
        sound = self.kit.store
        fails = Fault(Kind.ERROR_BEFORE, verbs=frozenset({"sync"}), error=StoreUnavailableError)
        self.kit.store = FaultyStore(sound, Script(fails))
        try:
            self.kit.backup(files, SOURCE)
        except StoreUnavailableError:
            self.kit.store = sound
            self.name_new(step)
            return
        raise AssertionError("the backup was to fail")


def build(folder: Path) -> Base:
    """Make the repository; ``folder`` is for the state of its host."""
    kit = Kit(MemoryStore(), folder)
    builder = _Builder(kit)
    created = kit.init().created
    recovery = text_to_key(created.recovery_key)
    own, other = map(layout.slot, created.config.slots)
    builder.names |= {own: "slot of init", other: "slot 2 of init"}  # the latter for recovery
    builder.name_new("init")
    first = kit.backup_source(_SlowSource(FIRST, kit)).snapshot.id
    builder.name_new("first")
    builder.fail("failed", FIRST | {b"lost/failed": b"of a backup that failed\n"})
    die_at_put(kit, FIRST | {b"lost/packs": b"of one that died early\n"}, "index/")
    builder.name_new("dead early")
    die_at_put(kit, FIRST | {b"lost/index": b"of one that died late\n"}, "commits/")
    builder.name_new("dead late")
    second = kit.backup(SECOND, SOURCE).snapshot.id
    builder.name_new("second")
    kit.snapshots()
    needed = {key: _needed_for(name, first, second) for key, name in builder.names.items()}
    return Base(
        objects=objects_of(kit.store),
        names=builder.names,
        needed=needed,
        acknowledged={first: FIRST, second: SECOND},
        secrets=[SECRET, Secret(SlotKind.RECOVERY, recovery)],
        state=folder,
    )


def _needed_for(name: str, first: str, second: str) -> frozenset[str]:
    kind, _, step = name.partition(" of ")
    if kind == "config":
        return frozenset({first, second})
    if step == "first" and kind in {"pack", "index"}:
        return frozenset({first, second})
    if kind in {"pack", "index", "commit"} and step in {"first", "second"}:
        return frozenset({first if step == "first" else second})
    return frozenset()


class Damage(NamedTuple):
    """What was done: the objects as they are now, and which keys it was done to."""

    text: str
    objects: Mapping[str, bytes]
    keys: tuple[str, ...]


class Judge:
    """Looks at a damaged repository as hosts that never saw it, or as the one that made it.

    ``made`` puts objects into a new store; in memory, if nothing else is said.
    """

    def __init__(
        self,
        base: Base,
        folder: Path,
        made: Callable[[Mapping[str, bytes]], Store] = store_of,
    ) -> None:
        self._base = base
        self._made = made
        self._folder = folder

    @contextmanager
    def host(self, objects: Mapping[str, bytes], *, knows: bool = False) -> Iterator[Kit]:
        """Lend a host: one that has cached and remembers all, or one that never saw any of it."""
        state = self._folder / "state"
        if knows:
            shutil.copytree(self._base.state, state)
        kit = Kit(self._made(objects), state)
        kit.secrets = list(self._base.secrets)
        if not knows:
            kit.cache = LocalFiles(PosixFs(), NOWHERE, kit.randomness)
        try:
            yield kit
        finally:
            shutil.rmtree(state, ignore_errors=True)

    def check(
        self, damage: Damage, *, by_name: bool = True, knows: bool = False, restores: bool = True
    ) -> None:
        """Check all that must hold; ``by_name``: each damaged object is named."""
        try:
            with self.host(damage.objects, knows=knows) as kit:
                opened = self._check_verify(kit, damage, by_name=by_name)
                if opened and restores:
                    self.check_restores(kit, damage)
        except BaseException as error:
            error.add_note(f"REPRO: {damage.text}: {[self._base.names[k] for k in damage.keys]}")
            raise

    def _check_verify(self, kit: Kit, damage: Damage, *, by_name: bool) -> bool:
        try:
            found = kit.verify()
        except StrongroomError as error:
            kinds = [self._base.names[key].partition(" of ")[0] for key in damage.keys]
            assert error.code in OPENING, repr(error)
            slots = sum(kind.startswith("slot") for kind in kinds)
            assert "config" in kinds or slots > 1, f"verify ended with {error!r}"
            return False
        assert found.damage, "verify found nothing"
        said = " ".join(f"{one.subject} {one.text}" for one in found.damage)
        unnamed = [key for key in damage.keys if by_name and key not in said]
        assert not unnamed, f"verify does not name {unnamed}: {said}"
        return True

    def check_restores(self, kit: Kit, damage: Damage) -> None:
        """Check that no snapshot gives wrong bytes, and that those not hit are whole."""
        hit = frozenset().union(*(self._base.needed[key] for key in damage.keys))
        repository = kit.open()
        listed = {snapshot.id: snapshot for snapshot in repository.snapshots()}
        for snapshot_id, files in self._base.acknowledged.items():
            if snapshot_id not in listed:
                assert snapshot_id in hit, "a snapshot is not listed although its commit is sound"
                continue
            target = MemoryTarget()
            try:
                result = restore(repository, listed[snapshot_id], target)
            except DamageError:
                assert snapshot_id in hit, "a snapshot was lost that does not need the object"
                continue
            lost = {problem.path for problem in result.damaged}
            assert snapshot_id in hit or not lost, "files were lost that do not need the object"
            assert target.files == {path: files[path] for path in files if path not in lost}


def flipped(value: bytes, place: int, bit: int) -> bytes:
    """Return the value with one bit changed."""
    changed = bytearray(value)
    changed[place] ^= 1 << bit
    return bytes(changed)
