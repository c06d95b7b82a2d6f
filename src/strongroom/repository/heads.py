"""Heads: which commits and orders somebody has seen, and what of it is gone.

Every commit and order names what its writer saw and nobody else had named, so nothing disappears
unnoticed. The word of the full-key hosts and of this host's own memory is believed. An agent's key
may be in other hands, and could name what never was: what only agents name is told of, and does
not stop anybody; nor do agents take the commits of others out of the heads that others name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from strongroom.errors import DamageError
from strongroom.repository import layout
from strongroom.repository.records import Head

_SHOWN: Final = 100


class Seen(Protocol):
    """A commit or an order, verified."""

    @property
    def key(self) -> str:
        """Where it is."""
        ...

    @property
    def sha256(self) -> bytes:
        """The digest of its bytes."""
        ...

    @property
    def heads(self) -> tuple[Head, ...]:
        """What its writer had seen."""
        ...

    @property
    def by_agent(self) -> bool:
        """Whether an agent signed it, whose word counts for its own commits only."""
        ...


class Claim(NamedTuple):
    """A head that is gone, or other bytes now, and which commit of an agent says it was there."""

    key: str
    said_by: str


def check_heads(key: str, heads: Sequence[Head]) -> None:
    """``DamageError`` unless every head that the object at ``key`` names can be one."""
    for head in heads:
        if len(head.sha256) != layout.HASH_SIZE or not layout.can_be_head(head.key):
            msg = f"{key} is damaged: it names {head.key[:_SHOWN]!r}, which is no commit or order"
            raise DamageError(msg)


def heads_of(seen: Sequence[Seen]) -> tuple[Head, ...]:
    """Return those that no other one names, sorted by key."""
    named = {
        (head.key, head.sha256)
        for one in seen
        for head in one.heads
        if not one.by_agent or _folder(head.key) == _folder(one.key)
    }
    found = (Head(one.key, one.sha256) for one in seen if (one.key, one.sha256) not in named)
    return tuple(sorted(found, key=lambda head: head.key))


def lost_heads(
    seen: Sequence[Seen],
    remembered: Mapping[str, bytes],
    stayed: Sequence[Head] = (),
    *,
    exact: bool = True,
) -> list[str]:
    """Return keys that were seen, by this host or a full-key host, and are gone or other bytes.

    ``stayed``: what collectors saw when they removed something. Not ``exact``: other bytes will do,
    where the last of two puts stays; they are verified as well.
    """
    present = {one.key: one.sha256 for one in seen}
    expected = {head.key: head.sha256 for head in stayed} | dict(remembered)
    for one in seen:
        if not one.by_agent:
            expected.update({head.key: head.sha256 for head in one.heads})
    return sorted(
        key
        for key, digest in expected.items()
        if (present.get(key) != digest if exact else key not in present)
    )


def claimed_heads(seen: Sequence[Seen], *, exact: bool = True) -> list[Claim]:
    """Return what an agent says it saw, and what is gone or other bytes; as of ``lost_heads``."""
    present = {one.key: one.sha256 for one in seen}
    claims: dict[str, Claim] = {}
    for one in seen:
        if one.by_agent:
            for head in one.heads:
                if present.get(head.key) != head.sha256 if exact else head.key not in present:
                    claims.setdefault(head.key, Claim(head.key, one.key))
    return sorted(claims.values())


def _folder(key: str) -> str:
    return key.rpartition("/")[0]
