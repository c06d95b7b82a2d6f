"""What is in a pack, as columns: for pack footers and index segments (``docs/format.md`` 6)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from strongroom.errors import DamageError
from strongroom.repository.layout import HASH_SIZE
from strongroom.repository.records import PackColumns

FRAME: Final = struct.Struct(">IIIB")
MAX_PACK: Final = 64 << 20
MAX_FRAME_PLAIN: Final = 16 << 20
MAX_CHUNK: Final = MAX_FRAME_PLAIN
MAX_FRAMES: Final = 1 << 20
MAX_CHUNKS: Final = 1 << 20
LENGTH_SIZE: Final = 4


class ChunkKind(enum.IntEnum):
    """What a chunk holds: bytes of a file, or a piece of a tree. Numbers are part of the format."""

    DATA = 1
    TREE = 2


class FrameSpan(NamedTuple):
    """Where a frame lies in its pack, and what it must hold; lengths in bytes."""

    offset: int
    sealed_length: int
    plain_length: int
    kind: ChunkKind


class FrameRecord(NamedTuple):
    """One frame: where it lies in its pack, and which chunks it holds, in order."""

    offset: int
    sealed_length: int
    kind: ChunkKind
    ids: tuple[bytes, ...]
    lengths: tuple[int, ...]

    @property
    def plain_length(self) -> int:
        """Bytes of all its chunks."""
        return sum(self.lengths)

    @property
    def span(self) -> FrameSpan:
        """Where it lies, without what is in it."""
        return FrameSpan(self.offset, self.sealed_length, self.plain_length, self.kind)


def pack_lengths(lengths: Sequence[int]) -> bytes:
    """Return lengths as a column has them."""
    return struct.pack(f">{len(lengths)}I", *lengths)


def unpack_lengths(column: bytes) -> tuple[int, ...]:
    """Inverse of ``pack_lengths``."""
    return struct.unpack(f">{len(column) // LENGTH_SIZE}I", column)


def encode_columns(frames: Sequence[FrameRecord]) -> PackColumns:
    """Turn frames into columns."""
    lengths = [length for frame in frames for length in frame.lengths]
    return PackColumns(
        frames=b"".join(
            FRAME.pack(frame.offset, frame.sealed_length, len(frame.ids), frame.kind)
            for frame in frames
        ),
        ids=b"".join(b"".join(frame.ids) for frame in frames),
        lengths=pack_lengths(lengths),
    )


def decode_columns(where: str, columns: PackColumns) -> list[FrameRecord]:
    """Turn columns into frames; ``DamageError`` unless they fit each other and the limits."""
    count, rest = divmod(len(columns.ids), HASH_SIZE)
    number, fraction = divmod(len(columns.frames), FRAME.size)
    if rest or fraction or len(columns.lengths) != count * LENGTH_SIZE or number > MAX_FRAMES:
        msg = f"{where} is damaged: its columns are not of one length"
        raise DamageError(msg)
    lengths = unpack_lengths(columns.lengths)
    frames: list[FrameRecord] = []
    done, place = 0, 0
    for offset, sealed, chunks, kind in FRAME.iter_unpack(columns.frames):
        fits = 1 <= chunks <= min(count - done, MAX_CHUNKS) and place <= offset and kind in {1, 2}
        if not fits or sum(lengths[done : done + chunks]) > MAX_FRAME_PLAIN:
            msg = f"{where} is damaged: a frame does not fit its columns"
            raise DamageError(msg)
        ids = tuple(
            columns.ids[i : i + HASH_SIZE]
            for i in range(done * HASH_SIZE, (done + chunks) * HASH_SIZE, HASH_SIZE)
        )
        sizes = lengths[done : done + chunks]
        frames.append(FrameRecord(offset, sealed, ChunkKind(kind), ids, sizes))
        done += chunks
        place = offset + sealed
    if done != count:
        msg = f"{where} is damaged: {count} chunks are listed and {done} lie in frames"
        raise DamageError(msg)
    return frames
