"""Which sources an exported snapshot becomes again."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from strongroom.archive.metadata import ExportedSnapshot, ExportedSource
from strongroom.aws.keys import source_path as objects_folder
from strongroom.aws.records import KIND, folder_of
from strongroom.errors import DamageError, UsageError
from strongroom.model.snapshot import Order
from strongroom.operations.import_ import Part
from strongroom.postgres.cluster import DATA, cluster_path, read_position
from strongroom.postgres.cluster import KIND as CLUSTER
from strongroom.postgres.names import source_path
from strongroom.postgres.wal.names import segment_name
from strongroom.postgres.wal.pages import Cluster
from strongroom.repository.tree import is_below

ARCHIVE: Final = "archive"
ROOT: Final = (b"/",)


class _Own(NamedTuple):
    """A kind of source that has a folder of its own in a snapshot, and the order of its tree."""

    folder: Callable[[str], str | bytes]
    order: Order = Order.COMPONENTS


_KINDS: Final = {
    "postgres": _Own(source_path),
    KIND: _Own(folder_of),
    CLUSTER: _Own(cluster_path),
    "s3": _Own(objects_folder, Order.RAW),
}


def parts_of(
    snapshot: ExportedSnapshot, scope: Sequence[str], name: str
) -> tuple[list[Part], bytes]:
    """Return the sources, and the folder of the tree that names in the archive are relative to.

    Databases, clusters, documents and configuration in AWS stay what they were, below their folder,
    also where only these were exported; all else is the source that it was, where it is all of one,
    or one of the whole archive. ``name``: what a person calls that one, empty for nothing;
    ``UsageError`` where there is nothing else, ``DamageError`` for a position that is none.
    """
    path = _bytes(snapshot.path).removeprefix(b"/").removesuffix(b"/")
    own = [one for one in snapshot.sources if _stays(snapshot, one)]
    parts = [
        _part(snapshot, one)
        for one in own
        if is_below(_top(one), path) or is_below(path, _top(one))
    ]
    others = [one for one in snapshot.sources if one not in own]
    if parts and (path or not others):
        if name:
            raise UsageError(
                "--name is for files: databases, documents and configuration are known by their "
                "folder",
                hint="Import it without --name.",
            )
        below = path if tuple(scope) == (".",) or not path else path.rpartition(b"/")[0]
        return parts, below
    return [_rest(snapshot, others, name), *parts], b""


def _stays(snapshot: ExportedSnapshot, source: ExportedSource) -> bool:
    """Whether a source is one of its kind again.

    A base backup is one only with all that it needs: without a file of it, or without its WAL,
    which is in the repository that it is from, there are only files to restore.
    """
    if source.kind != CLUSTER:
        return source.kind in _KINDS
    position = read_position(_position(source)) if _is_all(snapshot, source) else None
    return position is not None and position.standalone


def _is_all(snapshot: ExportedSnapshot, source: ExportedSource) -> bool:
    """Whether all of a source is in the archive."""
    path = _bytes(snapshot.path).strip(b"/")
    is_chosen = bool(snapshot.include or snapshot.exclude)
    return not is_chosen and (not path or is_below(_top(source), path))


def _part(snapshot: ExportedSnapshot, source: ExportedSource) -> Part:
    is_all = _is_all(snapshot, source)
    return Part(
        name=source.name,
        kind=source.kind,
        paths=tuple(map(_bytes, source.paths)),
        top=_top(source),
        order=_KINDS[source.kind].order,
        position=_position(source) if is_all else b"",
        lacking="" if is_all else "the archive holds only a part of this source",
        needs=_wal_of(source),
    )


def cluster_of(part: Part) -> Cluster | None:
    """Return the cluster that a part is a base backup of; None for everything else."""
    position = read_position(part.position) if part.kind == CLUSTER else None
    return None if position is None else Cluster(position.system, position.segment_size)


def _wal_of(source: ExportedSource) -> dict[bytes, int]:
    """Return the WAL that a base backup must have in it, by path, with its size."""
    if source.kind != CLUSTER:
        return {}
    position = read_position(_position(source))
    if position is None:
        return {}
    folder = _top(source) + f"/{DATA}/pg_wal/".encode()
    return {
        folder + segment_name(position.timeline, one, position.segment_size).text.encode(): (
            position.segment_size
        )
        for one in range(position.first_segment, position.last_segment + 1)
    }


def _position(source: ExportedSource) -> bytes:
    """Return what a source said of its moment, or its place."""
    try:
        return b64decode(source.position, validate=True)
    except ValueError as error:
        raise DamageError(
            f"the metadata of the archive states a position of {source.name} that is none: {error}",
            hint="Nothing was saved. Import another one.",
        ) from error


def _rest(snapshot: ExportedSnapshot, sources: Sequence[ExportedSource], name: str) -> Part:
    if snapshot.is_whole and len(sources) == 1 and sources[0].kind not in _KINDS:
        (one,) = sources
        return Part(name or one.name, one.kind, tuple(map(_bytes, one.paths)))
    names = [one.name for one in sources]
    said = " ".join([*names, *([snapshot.path] if snapshot.path != "/" else [])])
    return Part(name or said, ARCHIVE, ROOT)


def _top(source: ExportedSource) -> bytes:
    folder = _KINDS[source.kind].folder(source.name)
    return folder if isinstance(folder, bytes) else _bytes(folder)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
