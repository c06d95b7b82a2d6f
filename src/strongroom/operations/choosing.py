"""Which snapshots a person means: by name, tag, host and path."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.errors import NotFoundError
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.listing import find_snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was said; of each kind one must fit, and a kind of which nothing was said fits all.

    ``names`` are looked up among those that fit the others, so that ``latest`` is the latest of a
    host. ``paths`` are absolute; a snapshot fits that saved one of them, or something around it.
    """

    names: Sequence[str] = ()
    tags: Sequence[bytes] = ()
    hosts: Sequence[bytes] = ()
    paths: Sequence[bytes] = ()
    environments: Sequence[bytes] = ()
    types: Sequence[bytes] = ()


def choose(snapshots: Sequence[ListedSnapshot], choice: Choice) -> list[ListedSnapshot]:
    """Return those that fit, in their order; ``NotFoundError`` for a name that none has."""
    fitting = [listed for listed in snapshots if _fits(listed, choice)]
    if not choice.names:
        return fitting
    named = {find_snapshot(fitting, name).id for name in choice.names}
    return [listed for listed in fitting if listed.id in named]


def refuse_none(found: Sequence[ListedSnapshot], choice: Choice) -> None:
    """``NotFoundError`` if something was said of the snapshots that are meant, and none fits it."""
    said = [
        *_either("with tag", choice.tags),
        *_either("of host", choice.hosts),
        *_either("that saved", choice.paths),
        *_either("of environment", choice.environments),
        *_either("of type", choice.types),
    ]
    if said and not found:
        raise NotFoundError(
            f"no snapshot {', '.join(said)}",
            hint="See which there are with 'strongroom snapshots'.",
        )


def _either(what: str, values: Sequence[bytes]) -> list[str]:
    shown = " or ".join(value.decode("utf-8", "backslashreplace") for value in values)
    return [f"{what} {shown}"] if values else []


def _fits(listed: ListedSnapshot, choice: Choice) -> bool:
    snapshot = listed.snapshot
    saved = [path for source in snapshot.sources for path in source.paths]
    return (
        (not choice.tags or not set(choice.tags).isdisjoint(snapshot.tags))
        and (not choice.hosts or snapshot.host in choice.hosts)
        and (not choice.environments or snapshot.environment in choice.environments)
        and (not choice.types or snapshot.type in choice.types)
        and (not choice.paths or any(_holds(saved, path) for path in choice.paths))
    )


def _holds(saved: Sequence[bytes], path: bytes) -> bool:
    wanted = posixpath.normpath(path)
    return any(
        wanted == one or wanted.startswith(one if one.endswith(b"/") else one + b"/")
        for one in saved
    )
