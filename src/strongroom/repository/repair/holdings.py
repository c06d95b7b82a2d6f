"""What a repair finds in the store: which chunks have a place that may be relied on, and the rest.

A place is *sound* by the rule of a writer (``docs/format.md`` 13): its pack is listed, no order
quarantines it, no run tombs or kills it, nobody found it damaged; and a segment that can be read,
is not void and stays lists it. Packs that no sound segment lists are known by their own footers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from strongroom.errors import DamageError, ObjectMissingError
from strongroom.repository import layout
from strongroom.repository.index import ChunkIndex
from strongroom.repository.loading import Choice, LoadedIndex
from strongroom.repository.reader import Reader
from strongroom.repository.repair.footers import FoundPack, read_footer
from strongroom.repository.repository import History, Repository
from strongroom.repository.voids import void_segments


@dataclass(slots=True)
class Holdings:
    """The state of all places. ``sound`` grows by what is listed again and written anew.

    ``unlisted``: packs that are there and sound, and in no sound segment, by id; ``adopted``: those
    of them that turned out to be needed. ``unreadable``: packs of which not even that is known.
    """

    sound: ChunkIndex
    every: LoadedIndex
    unlisted: Mapping[bytes, FoundPack]
    unreadable: Mapping[bytes, str]
    _places: ChunkIndex = field(init=False)
    adopted: dict[bytes, FoundPack] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the unlisted packs searchable."""
        self._places = ChunkIndex()
        self._places.add("footers", [found.entry for found in self.unlisted.values()])

    def are_sound(self, ids: list[bytes]) -> list[bool]:
        """Tell for each chunk whether it has a sound place; packs are adopted for that."""
        known = self.sound.known(ids)
        for number, place in enumerate(self._places.find(ids)):
            if known[number] or place is None:
                continue
            pack_id = self._places.frame(place.frame).pack_id
            if pack_id not in self.adopted:
                self.adopted[pack_id] = self.unlisted[pack_id]
                self.sound.add("footers", [self.unlisted[pack_id].entry])
            known[number] = True
        return known

    def reader(self, repository: Repository) -> Reader:
        """Return what reads from every place, sound or not."""
        workers = repository.around.workers
        return Reader(repository.store, repository.keyring, lambda: self.every, workers)


def take_stock(
    repository: Repository,
    history: History,
    bad_packs: Collection[bytes],
    bad_segments: Collection[bytes],
) -> Holdings:
    """Look at ``gc/``, packs and index, in this order (the order of a writer)."""
    absent = repository.read_runs(history.standing.voids).absent()
    packs = {
        pack_id: info.size
        for info in repository.store.list(layout.PACKS)
        if (pack_id := layout.pack_id(info.key)) is not None
    }
    unsound = {*absent.packs, *history.standing.quarantined, *bad_packs}
    void = void_segments(repository.store, history.standing.voids)
    unused = absent.index | absent.doubtful.index | void | frozenset(bad_segments)
    sound = repository.load_index(
        Choice(
            usable=lambda pack: pack.pack_id in packs and pack.pack_id not in unsound,
            absent=unused,
        )
    )
    every = repository.load_index(Choice(absent=void))
    listed, known = set(sound.index.pack_ids), set(every.index.pack_ids)
    loose = {p: size for p, size in packs.items() if p not in listed and p not in unsound}
    unlisted, unreadable = _footers(repository, loose)
    others = {p: size for p, size in packs.items() if p in unsound and p not in known}
    readable, _ = _footers(repository, others)  # some of their frames may be whole
    every.index.add("footers", [one.entry for one in (*unlisted.values(), *readable.values())])
    return Holdings(sound.index, every, unlisted, unreadable)


def _footers(
    repository: Repository, packs: Mapping[bytes, int]
) -> tuple[dict[bytes, FoundPack], dict[bytes, str]]:
    transfer = repository.around.workers.transfer
    running = {
        pack_id: transfer.submit(read_footer, repository.store, repository.keyring, pack_id, size)
        for pack_id, size in packs.items()
    }
    found: dict[bytes, FoundPack] = {}
    unreadable: dict[bytes, str] = {}
    for pack_id, future in running.items():
        try:
            found[pack_id] = future.result()
        except ObjectMissingError:
            continue  # a collector was faster
        except DamageError as error:
            unreadable[pack_id] = error.message
    return found, unreadable
