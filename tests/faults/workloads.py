"""Small repositories to break: what is in them, who knows them, and how to have them again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from strongroom.errors import ObjectMissingError
from strongroom.model.fs import Buffer
from strongroom.model.store import Store
from strongroom.repository import layout
from strongroom.storage.memory import MemoryStore
from strongroom.storage.wrappers.forwarding import ForwardingStore
from tests.support.crash import SimulatedCrash
from tests.support.faulty_store import WRITES, Fault, FaultyStore, Kind, Script
from tests.support.kit import Kit

Files = dict[bytes, bytes]

# After these bytes the chunker cuts, if the chunk is long enough; so 1 MiB is several chunks.
CUT = bytes.fromhex(
    "cf7a49b95b677f9bce81728603e9002ee485b68c2eae9b5de307b5fa116cfbb35b30fd"
    "67a080826e278e35027db32ce7b743b615b200aa9cbf569b168ebfbb0055"
)
LINES = 27_500


def _lines(part: int) -> bytes:
    first = part * LINES
    return b"".join(b"%09d\n" % number for number in range(first, first + LINES)) + CUT


LARGE = b"".join(_lines(part) for part in range(4))

FIRST: Files = {
    b"etc/hosts": b"127.0.0.1 localhost\n",
    b"etc/empty": b"",
    b"srv/large": LARGE,
    b"srv/twin": b"127.0.0.1 localhost\n",
}
SECOND: Files = FIRST | {
    b"etc/new": b"new\n",
    b"srv/large": LARGE[:700_000] + b"!" + LARGE[700_000:],
}
THIRD: Files = SECOND | {b"etc/hosts": b"::1 localhost\n"}


def store_of(objects: Mapping[str, bytes]) -> MemoryStore:
    """Return a store that holds these objects."""
    store = MemoryStore()
    for key, value in objects.items():
        store.put(key, value)
    return store


@dataclass(frozen=True, slots=True)
class Base:
    """A repository as it was before the fault.

    ``objects`` by key; ``state``: the folder of the host that made it; ``acknowledged``: files by
    id of snapshot, oldest first. ``made`` puts objects into a new store.
    """

    objects: Mapping[str, bytes]
    state: Path
    acknowledged: Mapping[str, Files]
    made: Callable[[Mapping[str, bytes]], Store] = store_of

    def again(self, folder: Path) -> tuple[Store, Path]:
        """Return its store, made anew, and a copy of its host's state."""
        state = folder / "state"
        if state.exists():
            shutil.rmtree(state)
        if self.state.exists():
            shutil.copytree(self.state, state)
        return self.made(self.objects), state


def objects_of(store: Store) -> dict[str, bytes]:
    """Return every object of a store."""
    return {info.key: store.get(info.key) for info in store.list("")}


def make_base(folder: Path, backups: Sequence[Files], *, unfinished: bool = False) -> Base:
    """Make a repository with these backups.

    ``unfinished``: between the first and the second, two sessions died, one with packs that no
    index names and one with indexed packs.
    """
    store, kit = MemoryStore(), Kit(MemoryStore(), folder / "base")
    kit.store = store
    kit.init()
    acknowledged = {}
    for number, files in enumerate(backups):
        acknowledged[kit.backup(files).snapshot.id] = dict(files)
        if number == 0 and unfinished:
            die_at_put(kit, files | {b"srv/lost": b"of a session that died\n"}, "index/")
            die_at_put(kit, files | {b"srv/kept": b"of another one\n"}, "commits/")
    return Base(objects_of(store), folder / "base", acknowledged)


def die_at_put(kit: Kit, files: Files, prefix: str) -> None:
    """Begin a backup, and die just before the first put of a key with this prefix."""
    sound = kit.store
    dies = Fault(Kind.CRASH_BEFORE, verbs=WRITES, prefix=prefix)
    kit.store = FaultyStore(sound, Script(dies))
    try:
        kit.backup(files)
    except SimulatedCrash:
        return
    finally:
        kit.store = sound
    raise AssertionError(f"nothing was put below {prefix}")


class DecisionTold(ForwardingStore):
    """Knows which sessions began to decide; one that fails after that may have succeeded."""

    def __init__(self, within: Store) -> None:
        super().__init__(within)
        self.deciding: list[str] = []

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        if key.startswith(layout.COMMITS):
            self.deciding.append(key.rpartition("/")[2])
        super().put(key, value)


def undecided(store: Store) -> set[str]:
    """Return the ids of the sessions that neither committed nor were given up."""
    found = set()
    for info in store.list(layout.SESSIONS):
        ids = layout.session_ids(info.key)
        assert ids is not None
        try:
            store.size(layout.commit(ids[0], ids[1]))
        except ObjectMissingError:
            found.add(ids[1].hex())
    return found
