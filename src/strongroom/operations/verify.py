"""Verify a repository: structure always, bytes as many as asked for."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Final

from strongroom.errors import UsageError
from strongroom.model.events import Notice
from strongroom.model.snapshot import ListedSnapshot
from strongroom.repository.check import Check
from strongroom.repository.findings import CheckResult
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


def verify(
    repository: Repository, choice: Subset | None, only: ListedSnapshot | None, *, read_data: bool
) -> CheckResult:
    """Check the repository, and the bytes of all packs or of the subset.

    What is missing because a collector removed it meanwhile is no damage: then all is looked at
    again.
    """
    packs = choice or (all_packs if read_data else no_packs)
    killed = _killed(repository)
    for _ in range(_TRIES):
        result, before = Check(repository).run(packs, only), killed
        killed = _killed(repository) if result.damage else before
        if killed == before:
            return result
        repository.around.sink(Notice("a collector removed something meanwhile: looking again"))
    return Check(repository).run(packs, only)


def _killed(repository: Repository) -> tuple[frozenset[bytes], frozenset[bytes], frozenset[str]]:
    absent = repository.read_history(cached=False).runs.absent()
    return absent.killed_packs, absent.killed_index, absent.killed_commits
