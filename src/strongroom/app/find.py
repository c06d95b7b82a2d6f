"""Find entries in the snapshots of the repository that the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.app.choosing import Chosen, choice_of
from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.config.moments import parse_moment
from strongroom.errors import UsageError
from strongroom.model.entry import Entry, EntryKind
from strongroom.operations.choosing import choose
from strongroom.operations.find import Matches, Take
from strongroom.operations.find import find as search
from strongroom.repository.findings import Finding
from strongroom.sources.files.excludes import Line, Patterns, decoded, from_options

__all__ = ["Chosen", "FindReport", "FindRequest", "Finding", "find"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRequest:
    """What the command line says. ``oldest`` and ``newest`` are times as people write them."""

    patterns: Sequence[str]
    chosen: Chosen
    ignore_case: bool = False
    oldest: str | None = None
    newest: str | None = None


@dataclass(frozen=True, slots=True)
class FindReport:
    """What was searched and found; ``unreadable`` counts commits that could not be read."""

    snapshots: int
    matches: int
    damaged: Sequence[Finding]
    unreadable: int


def find(run: Run, request: FindRequest, take: Take) -> FindReport:
    """Give every entry that a pattern matches to ``take``, the newest snapshot first."""
    matches = _matcher(run, request)
    with opened_repository(run) as opened:
        listing = opened.repository.list_snapshots()
        snapshots = choose(listing.found, choice_of(run, request.chosen))
        result = search(opened.repository, snapshots[::-1], matches, take)
        return FindReport(result.snapshots, result.matches, result.damaged, listing.unreadable)


def _matcher(run: Run, request: FindRequest) -> Matches:
    now = run.machine.clock.now_ns()
    oldest, newest = (
        None if text is None else parse_moment(text, name, now, at_end=name == "--newest")
        for text, name in ((request.oldest, "--oldest"), (request.newest, "--newest"))
    )
    if oldest is not None and newest is not None and oldest > newest:
        raise UsageError("--oldest is later than --newest, so nothing can match")
    patterns = _compiled(request.patterns, ignore_case=request.ignore_case)
    fold = str.lower if request.ignore_case else str

    def matches(entry: Entry) -> bool:
        path = fold(decoded(entry.path))
        name = path.rpartition("/")[2]
        return (
            patterns.decide(name, path, directory=entry.kind == EntryKind.DIRECTORY) is True
            and (oldest is None or entry.mtime_ns >= oldest)
            and (newest is None or entry.mtime_ns <= newest)
        )

    return matches


def _compiled(texts: Sequence[str], *, ignore_case: bool) -> Patterns:
    """Compile patterns: of a name, of a path from the root, or of the end of a path."""
    lines = []
    for given in texts:
        text = given.lower() if ignore_case else given
        if not text:
            raise UsageError("a pattern is empty", hint="To list everything: strongroom ls SNAP.")
        if text.startswith(("!", "#")):
            text = "\\" + text  # a name that begins so; nothing is taken back here
        if "/" in text.rstrip("/") and not text.startswith(("/", "**/")):
            text = "**/" + text.removeprefix("./")
        lines.append(Line(text, "PATTERN"))
    return from_options(lines, b"")
