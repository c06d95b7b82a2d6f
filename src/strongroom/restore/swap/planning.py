"""Finding out what a swap has to change; nothing is changed by it."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from itertools import chain

from strongroom.errors import RefusedError, StrongroomError
from strongroom.model.entry import Entry, sort_key
from strongroom.model.fs import Stat
from strongroom.restore.files.order import Order, Refused
from strongroom.restore.swap.dress import read_dress
from strongroom.restore.swap.ground import Ground, shown
from strongroom.restore.swap.likeness import Spot, kind_of_change, same_type
from strongroom.restore.swap.links import Groups
from strongroom.restore.swap.plan import (
    Change,
    Folder,
    Kind,
    Removal,
    SwapPlan,
    Total,
    Unchanged,
)
from strongroom.restore.swap.removing import Leaving, scopes_of
from strongroom.system.causes import cause_of


class Planner:
    """Compares what is wanted, path by path, with what is there."""

    def __init__(self, ground: Ground, removal: Removal) -> None:
        self._ground = ground
        self._removal = removal
        self._order = Order()
        self._groups = Groups()
        self._leaving = Leaving(ground, removal, self._groups)
        self._wanted: set[bytes] = set()
        self._kept = {b"": False}  # directories that stay, and whether they are wanted themselves
        self._mounted: set[bytes] = set()  # those of them on another file system
        self._moving = b""
        self._at = b""
        self._changes: list[Change] = []
        self._unchanged: list[Unchanged] = []
        self._puts: list[bytes] = []
        self._takes: list[bytes] = []
        self._touched: set[bytes] = set()

    def plan(self, entries: Iterable[Entry]) -> SwapPlan:
        """Make the plan; ``RefusedError`` if it cannot be carried out."""
        try:
            for entry in entries:
                self._meet(entry)
            self._find_extras()
            self._join_groups()
        except OSError as error:
            raise StrongroomError(
                f"no plan could be made at {shown(self._at)!r}: {cause_of(error)}",
                hint="Nothing was changed.",
            ) from error
        return self._made()

    def _meet(self, entry: Entry) -> None:
        try:
            parent, _ = self._order.check(entry.path)
            missing = [] if parent in self._wanted or not parent else self._missing(parent)
        except Refused as refusal:
            raise RefusedError(f"{shown(entry.path)!r} cannot be wanted: {refusal}") from refusal
        for path in missing:
            self._look_at(path, is_wanted=False)
        if not stat.S_ISDIR(self._look_at(entry.path, is_wanted=True).mode):
            self._order.leaf(entry.path)

    def _missing(self, parent: bytes) -> list[bytes]:
        """Return the directories that lead to an entry and are none; ``Refused``."""
        names = self._order.check_missing(parent)
        paths = (b"/".join(names[:depth]) for depth in range(1, len(names) + 1))
        return [path for path in paths if path not in self._wanted]

    def _look_at(self, path: bytes, *, is_wanted: bool) -> Stat:
        """Decide about one path; return what is wanted there."""
        self._at = path
        self._wanted.add(path)
        wanted = self._ground.staged.look(path)
        if wanted is None:
            raise RefusedError(
                f"{shown(path)!r} is wanted and was not staged",
                hint=f"Nothing was changed. It should be {self._ground.staged.where(path)}.",
            )
        if self._moving and path.startswith(self._moving + b"/"):
            self._change(path, Kind.NEW, wanted)  # comes with the directory above it
            self._groups.moves(path, wanted)
            return wanted
        found = self._ground.target.look(path)
        if found is None:
            self._put(path, Kind.NEW, wanted, found)
        elif not same_type(found, wanted):
            self._put(path, Kind.REPLACED, wanted, found)
        elif stat.S_ISDIR(found.mode):
            self._keep(path, found, wanted, is_wanted=is_wanted)
        else:
            self._compare(path, found, wanted)
        return wanted

    def _compare(self, path: bytes, found: Stat, wanted: Stat) -> None:
        ground = self._ground
        with ground.target.at(path) as (fd, name), ground.staged.at(path) as (wanted_fd, _):
            spots = Spot(fd, name, found), Spot(wanted_fd, name, wanted)
            kind = kind_of_change(ground.fs, *spots)
        if kind is Kind.SAME:
            self._unchanged.append(Unchanged(path, found.inode, found.ctime_ns))
            self._groups.stays(path, found, wanted)
        else:
            self._put(path, kind, wanted, found)

    def _keep(self, path: bytes, found: Stat, wanted: Stat, *, is_wanted: bool) -> None:
        """Let a directory stay where it is; only its attributes may change."""
        ground = self._ground
        if (found.device, found.inode) == ground.work_identity:
            raise RefusedError(f"{shown(path)!r} is wanted, but is the folder that this works in")
        self._kept[path] = is_wanted
        if found.device != ground.device:
            self._mounted.add(path)
        if not is_wanted:
            return
        with ground.target.at(path) as (fd, name), ground.staged.at(path) as (wanted_fd, _):
            is_same = read_dress(ground.fs, fd, name) == read_dress(ground.fs, wanted_fd, name)
        if not is_same:
            self._touched.add(path)
            self._change(path, Kind.METADATA, wanted)

    def _put(self, path: bytes, kind: Kind, wanted: Stat, found: Stat | None) -> None:
        self._check_mount(path, found)
        below = 0
        if found is not None:
            below = self._leaving.whole(path, found).entries - 1
        self._puts.append(path)
        if stat.S_ISDIR(wanted.mode):
            self._moving = path
        else:
            self._groups.moves(path, wanted)
        self._change(path, kind, wanted, below)

    def _change(self, path: bytes, kind: Kind, what: Stat, below: int = 0) -> None:
        size = what.size if stat.S_ISREG(what.mode) else 0
        self._changes.append(Change(path, kind, stat.S_ISDIR(what.mode), size, below))

    def _check_mount(self, path: bytes, found: Stat | None) -> None:
        """Refuse to move into or out of another file system, or what one is mounted on."""
        parent = path.rpartition(b"/")[0]
        is_mount = found is not None and found.device != self._ground.device
        if is_mount or parent in self._mounted:
            raise RefusedError(
                f"{self._ground.target.where(path if is_mount else parent)} is on another file "
                "system, where nothing can be put in one step",
                hint="Nothing was changed. Leave it out, or restore into another folder.",
            )
        self._touched.add(parent)

    def _join_groups(self) -> None:
        """Put the names of one file together where any of them has to change."""
        for path, wanted in self._groups.broken():
            self._put(path, Kind.METADATA, wanted, self._ground.target.look(path))
        moved = set(self._puts)
        self._unchanged = [one for one in self._unchanged if one.path not in moved]

    def _find_extras(self) -> None:
        for scope in scopes_of(self._removal):
            for gone in self._leaving.below(scope, self._wanted, self._kept):
                self._at = gone.path
                self._check_mount(gone.path, gone.found)
                self._kept.setdefault(gone.path.rpartition(b"/")[0], False)
                self._takes.append(gone.path)
                is_directory = stat.S_ISDIR(gone.found.mode)
                change = Change(gone.path, Kind.REMOVED, is_directory, gone.size, gone.entries - 1)
                self._changes.append(change)

    def _made(self) -> SwapPlan:
        names = self._ground.names
        changes = sorted(self._changes, key=_change_key)
        return SwapPlan(
            names.target,
            names.work,
            names.inside,
            tuple(changes),
            _totals(changes, len(self._unchanged) + sum(self._kept.values())),
            tuple(sorted(self._puts, key=sort_key)),
            tuple(sorted(self._takes, key=sort_key)),
            tuple(
                Folder(path, self._kept.get(path, False))
                for path in sorted(self._touched, key=sort_key)
            ),
            tuple(self._unchanged),
        )


def _change_key(change: Change) -> bytes:
    return sort_key(change.path)


def _totals(changes: list[Change], same: int) -> dict[Kind, Total]:
    """Add up; what goes below a replaced directory counts as removed."""
    totals = dict.fromkeys(Kind, Total())
    for kind, entries, size in chain.from_iterable(_counted(change) for change in changes):
        old = totals[kind]
        totals[kind] = Total(old.entries + entries, old.bytes + size)
    dressed = sum(change.kind is Kind.METADATA and change.is_directory for change in changes)
    totals[Kind.SAME] = Total(same - dressed)
    return totals


def _counted(change: Change) -> Iterator[tuple[Kind, int, int]]:
    yield change.kind, 1, change.size
    if change.below:
        yield Kind.REMOVED, change.below, 0
