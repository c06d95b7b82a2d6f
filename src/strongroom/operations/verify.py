"""Verify a repository: structure always, bytes as many as asked for."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.errors import RefusedError, StoreError, StoreFullError, UsageError
from strongroom.model.events import Notice
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.retention import store_time_ns
from strongroom.repository.check import Check, PackChoice
from strongroom.repository.findings import CheckResult
from strongroom.repository.ledger import last_read, put_ledger, read_ledgers
from strongroom.repository.repository import Repository

_SHARE: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_PERCENT: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)%")
_SIZE: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)([KMGT]?)(?:iB|B)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_HUNDRED: Final = 100.0
_TRIES: Final = 3


class Subset:
    """Which packs to read: ``10%``, ``n/t`` (the n-th of t parts) or a size such as ``5G``.

    ``seed`` decides which packs a percentage or size means in this run.
    """

    def __init__(self, text: str, seed: bytes) -> None:
        self._seed = seed
        share, percent, size = (p.fullmatch(text.strip()) for p in (_SHARE, _PERCENT, _SIZE))
        self._share = (int(share[1]), int(share[2])) if share else None
        self._percent = float(percent[1]) if percent else None
        self._size = int(float(size[1]) * _UNITS[size[2].upper()]) if size else None
        wrong_share = self._share and not 1 <= self._share[0] <= self._share[1]
        wrong_percent = self._percent is not None and not 0 < self._percent <= _HUNDRED
        none = self._share is None and self._percent is None and self._size is None
        if wrong_share or wrong_percent or none or self._size == 0:
            raise UsageError(
                f"--read-data-subset {text!r} is no part of a repository",
                hint="Give a percentage (10%), the n-th of t parts (2/7), or a size (5G).",
            )

    def __call__(self, packs: Sequence[tuple[bytes, int]]) -> Sequence[bytes]:
        """Choose among (id, size), sorted by id."""
        if self._share is not None:
            number, parts = self._share
            return [p for p, _ in packs if int.from_bytes(p[:8], "big") % parts == number - 1]
        shuffled = sorted(packs, key=lambda pack: hashlib.sha256(self._seed + pack[0]).digest())
        if self._percent is not None:
            count = math.ceil(len(packs) * self._percent / _HUNDRED)
            return [pack_id for pack_id, _ in shuffled[:count]]
        chosen, left = [], self._size or 0
        for pack_id, size in shuffled:
            if left <= 0:
                break
            chosen.append(pack_id)
            left -= size
        return chosen


def all_packs(packs: Sequence[tuple[bytes, int]]) -> Sequence[bytes]:
    """Read everything."""
    return [pack_id for pack_id, _ in packs]


def no_packs(_packs: Sequence[tuple[bytes, int]]) -> Sequence[bytes]:
    """Read no data, only structure."""
    return []


class Overdue:
    """The packs that were not read since a moment, those first that were not for the longest.

    ``last_read``: when each was, as far as anybody noted it; of the ``budget`` (bytes; None: all)
    not more is read than the pack with which it is used up.
    """

    def __init__(self, last_read: Mapping[bytes, int], since_ns: int, budget: int | None) -> None:
        self._last_read = last_read
        self._since_ns = since_ns
        self._budget = budget
        self.left = 0
        self.bytes_left = 0

    def __call__(self, packs: Sequence[tuple[bytes, int]]) -> Sequence[bytes]:
        """Choose among (id, size); what is overdue and not chosen is ``left``."""
        self.left = self.bytes_left = 0
        times = self._last_read
        due = [(times.get(pack, -1), pack, size) for pack, size in packs]
        due = sorted(one for one in due if one[0] < self._since_ns)
        chosen: list[bytes] = []
        room = self._budget
        for _time, pack, size in due:
            if room is not None and room <= 0:
                self.left += 1
                self.bytes_left += size
                continue
            chosen.append(pack)
            room = None if room is None else room - size
        return chosen


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check found, and why nobody will know which packs it read, or an empty text."""

    result: CheckResult
    unnoted: str


def verify(
    repository: Repository,
    choice: PackChoice | None,
    only: ListedSnapshot | None,
    *,
    read_data: bool,
) -> CheckResult:
    """Check the repository, and the bytes of all packs or of those that are chosen."""
    return verify_and_note(repository, choice, only, read_data=read_data).result


def verify_and_note(
    repository: Repository,
    choice: PackChoice | None,
    only: ListedSnapshot | None,
    *,
    read_data: bool,
) -> Verified:
    """As ``verify``; with a full key it is noted in the repository which packs were read."""
    packs = choice or (all_packs if read_data else no_packs)
    check = _checked(repository, packs, only, read_wal=read_data and choice is None)
    if not repository.keyring.is_full:
        return Verified(check.result, "the key only reads")
    if not check.read:
        return Verified(check.result, "")
    try:
        put_ledger(repository, check.read, store_time_ns(repository))
    except (StoreError, StoreFullError, RefusedError) as error:
        return Verified(check.result, error.message)
    return Verified(check.result, "")


def _checked(
    repository: Repository, packs: PackChoice, only: ListedSnapshot | None, *, read_wal: bool
) -> Check:
    """Check; what is missing because a collector removed it meanwhile is no damage.

    Then all is looked at again.
    """
    killed = _killed(repository)
    for _ in range(_TRIES):
        check, before = Check(repository), killed
        result = check.run(packs, only, read_wal=read_wal)
        killed = _killed(repository) if result.damage else before
        if killed == before:
            return check
        repository.around.sink(Notice("a collector removed something meanwhile: looking again"))
    check = Check(repository)
    check.run(packs, only, read_wal=read_wal)
    return check


def _killed(repository: Repository) -> tuple[frozenset[bytes], frozenset[bytes], frozenset[str]]:
    absent = repository.read_history(cached=False).runs.absent()
    return absent.killed_packs, absent.killed_index, absent.killed_commits


def overdue(repository: Repository, every_ns: int, budget: int | None) -> Overdue:
    """Return the choice of packs that nobody read within ``every_ns``."""
    times = last_read(read_ledgers(repository))
    return Overdue(times, store_time_ns(repository) - every_ns, budget)
