"""What is decided about: snapshots as far as retention looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Group(NamedTuple):
    """What is decided together; ``source`` is an id that stays when a name changes."""

    writer: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A snapshot in one of its groups: one of several sources has a candidate for each.

    ``time_ns`` is the time that counts; a bucket tells it in whole seconds, and of those in one
    second ``claimed_ns``, what its writer said, decides which is later. A candidate that does not
    count (``counts``) takes no place in any rule; it stays, unless it ``follows`` another one, as
    long as which it stays; ``note`` says why. ``young``: an agent made it too lately for it to go.
    The brakes compare ``files`` and ``bytes``.
    """

    id: str
    group: Group
    time_ns: int
    claimed_ns: int = 0
    tags: tuple[str, ...] = ()
    complete: bool = True
    counts: bool = True
    held: bool = False
    young: bool = False
    follows: str = ""
    note: str = ""
    files: int = 0
    bytes: int = 0

    @property
    def age_key(self) -> tuple[int, int, str]:
        """What candidates are sorted by, the oldest first."""
        return self.time_ns, self.claimed_ns, self.id
