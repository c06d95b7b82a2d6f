"""Which sources an exported snapshot becomes again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strongroom.archive.metadata import ExportedSnapshot, ExportedSource
from strongroom.aws.records import KIND, folder_of
from strongroom.errors import UsageError
from strongroom.operations.import_ import Part
from strongroom.postgres.names import source_path
from strongroom.repository.tree import is_below

ARCHIVE: Final = "archive"
ROOT: Final = (b"/",)
_FOLDERS: Final = {"postgres": source_path, KIND: folder_of}  # each source has one of its own


def parts_of(
    snapshot: ExportedSnapshot, scope: Sequence[str], name: str
) -> tuple[list[Part], bytes]:
    """Return the sources, and the folder of the tree that names in the archive are relative to.

    Databases and configuration in AWS stay what they were, below their folder, also where only
    these were exported; all else is the source that it was, where it is all of one, or one of the
    whole archive. ``name``: what a person calls that one, empty for nothing; ``UsageError`` where
    there is nothing else.
    """
    path = _bytes(snapshot.path).strip(b"/")
    folders = [
        Part(one.name, one.kind, tuple(map(_bytes, one.paths)), _top(one))
        for one in snapshot.sources
        if one.kind in _FOLDERS and (is_below(_top(one), path) or is_below(path, _top(one)))
    ]
    others = [one for one in snapshot.sources if one.kind not in _FOLDERS]
    if folders and (path or not others):
        if name:
            raise UsageError(
                "--name is for files: databases and configuration are known by their folder",
                hint="Import it without --name.",
            )
        below = path if tuple(scope) == (".",) or not path else path.rpartition(b"/")[0]
        return folders, below
    return [_rest(snapshot, others, name), *folders], b""


def _rest(snapshot: ExportedSnapshot, sources: Sequence[ExportedSource], name: str) -> Part:
    if snapshot.is_whole and len(sources) == 1:
        (one,) = sources
        return Part(name or one.name, one.kind, tuple(map(_bytes, one.paths)))
    names = [one.name for one in sources]
    said = " ".join([*names, *([snapshot.path] if snapshot.path != "/" else [])])
    return Part(name or said, ARCHIVE, ROOT)


def _top(source: ExportedSource) -> bytes:
    return _bytes(_FOLDERS[source.kind](source.name))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
