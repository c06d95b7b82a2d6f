"""The header at the beginning of a WAL segment, and whether a file is the segment it is called.

``XLogLongPageHeaderData`` of PostgreSQL's ``xlog_internal.h``: u16 magic, u16 flags, u32 timeline,
u64 page address, u32 remaining length, 4 bytes, u64 system identifier, u32 segment size, u32 block
size, in the byte order of the machine that wrote it.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from strongroom.postgres.wal.names import WalKind, WalName, format_lsn, is_segment_size

HEADER_SIZE: Final = 40
_LAYOUT: Final = "HHIQI4xQII"
_LONG: Final = 0x0002
_FAMILIES: Final = (0xD0, 0xD1)  # the first byte of every magic since 8.0
_MAJORS: Final = {
    0xD101: 12,
    0xD106: 13,
    0xD10D: 14,
    0xD110: 15,
    0xD113: 16,
    0xD116: 17,
    0xD118: 18,
}


Bytes = bytes | bytearray | memoryview


class WalContentError(Exception):
    """A file is not the WAL file that its name says; the message says in which way."""


class Cluster(NamedTuple):
    """Which cluster WAL is of; ``segment_size`` in bytes."""

    system_id: int
    segment_size: int


class PageHeader(NamedTuple):
    """What a segment says of itself; ``major`` is None for a version that is not known here."""

    magic: int
    timeline: int
    address: int
    system_id: int
    segment_size: int
    block_size: int

    @property
    def major(self) -> int | None:
        """The major version of the server that wrote it."""
        return _MAJORS.get(self.magic)


def read_page_header(begin: Bytes) -> PageHeader:
    """Read the first page header of a segment; ``WalContentError`` if there is none."""
    if len(begin) < HEADER_SIZE:
        msg = f"{len(begin)} bytes are too short for a WAL segment"
        raise WalContentError(msg)
    order = "<" if begin[1] in _FAMILIES else ">"
    magic, flags, timeline, address, _left, system_id, size, block = struct.unpack_from(
        order + _LAYOUT, begin
    )
    if magic >> 8 not in _FAMILIES:
        msg = f"it begins with {magic:04X}, which no PostgreSQL writes there"
        raise WalContentError(msg)
    if not flags & _LONG or not system_id or not is_segment_size(size):
        msg = "its first page header is not that of a segment"
        raise WalContentError(msg)
    return PageHeader(magic, timeline, address, system_id, size, block)


def check_segment(name: WalName, begin: Bytes, size: int) -> PageHeader:
    """Return the header of a segment, or of a partial one, of ``size`` bytes called ``name``.

    ``WalContentError`` unless size, address and timeline are those of the name. After a switch the
    first segment of a timeline begins with pages of the one before.
    """
    if name.kind not in {WalKind.SEGMENT, WalKind.PARTIAL}:
        msg = f"{name.text} is no segment"
        raise WalContentError(msg)
    header = read_page_header(begin)
    if size != header.segment_size:
        msg = f"it is {size} bytes long, and the cluster's segments have {header.segment_size}"
        raise WalContentError(msg)
    if not name.fits(size) or header.address != name.lsn(size):
        msg = f"its pages are those of position {format_lsn(header.address)}, not of its name"
        raise WalContentError(msg)
    if not 0 < header.timeline <= name.timeline:
        msg = f"its pages are of timeline {header.timeline}, its name is of {name.timeline}"
        raise WalContentError(msg)
    return header
