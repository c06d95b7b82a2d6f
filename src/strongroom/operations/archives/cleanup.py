"""Which archives may go because of their age, and which stay however old they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from strongroom.archive.files import TROUBLE
from strongroom.archive.shelf import Shelf, Shelved, State

DAY_NS: Final = 86_400 * 1_000_000_000


class Ages(NamedTuple):
    """In days: archives that are older may go, and so may what restores kept."""

    archives: int
    before_restores: int


class Verdict(NamedTuple):
    """What happens to one archive, and why."""

    one: Shelved
    goes: bool
    why: str


def choose(listed: Sequence[Shelved], now_ns: int, ages: Ages) -> list[Verdict]:
    """Decide about everything that is listed. Pure.

    The newest good archive stays, as does each that no newer good one follows: when new ones fail,
    old ones are all there is. A damaged one stays until somebody has looked at it.
    """
    good = [one for one in listed if one.state is State.GOOD and not one.id.before_restore]
    newest_good_ns = max((one.created_ns for one in good), default=None)
    found = [_judge(one, now_ns, ages, newest_good_ns) for one in listed]
    needed = _needed(found)
    return [
        Verdict(one, goes=False, why=f"{needed[str(one.id)]} needs it")
        if goes and one.is_archive and str(one.id) in needed
        else Verdict(one, goes, why)
        for one, goes, why in found
    ]


def _judge(one: Shelved, now_ns: int, ages: Ages, newest_good_ns: int | None) -> Verdict:
    days = ages.before_restores if one.id.before_restore else ages.archives
    made_ns = one.created_ns
    old = f"older than {_days(days)}"
    if one.state is State.UNFINISHED:
        goes, why = False, one.why
    elif now_ns - made_ns <= days * DAY_NS:
        goes, why = False, f"not {old}"
    elif one.state is State.FAILED or one.id.before_restore:
        goes, why = True, old
    elif one.state is State.DAMAGED:
        goes, why = False, f"damaged ({one.why}): look at it, then remove it"
    elif newest_good_ns is None or made_ns > newest_good_ns:
        goes, why = False, "no newer one is known to be good"
    elif made_ns == newest_good_ns:
        goes, why = False, "the newest good one"
    else:
        goes, why = True, old
    return Verdict(one, goes, why)


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"


def _needed(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Return the ids that archives which stay are built on, and one of those each."""
    return {
        base: str(verdict.one.id)
        for verdict in verdicts
        if not verdict.goes and verdict.one.metadata is not None
        for base in verdict.one.metadata.chain[:-1]
    }


def remove(shelf: Shelf, verdicts: Sequence[Verdict]) -> int:
    """Remove what goes; the bytes of the archives among it.

    The newest first: an incremental one goes before what it was built on. One that cannot be
    removed keeps no other, and is an error at the end (``FilesError``).
    """
    freed = 0
    failures = []
    for verdict in reversed(verdicts):
        if verdict.goes:
            try:
                shelf.remove(verdict.one)
            except TROUBLE as error:
                failures.append(error)
            else:
                freed += verdict.one.size
    if failures:
        raise failures[0]
    return freed
