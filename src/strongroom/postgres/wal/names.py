"""Names of WAL files and positions in them.

The grammar is that of PostgreSQL's ``xlog_internal.h``; nothing else is a WAL file. Every number in
a name is hexadecimal, the timeline as well.
"""

from __future__ import annotations

import enum
import re
from typing import Final, NamedTuple

MIN_SEGMENT: Final = 1 << 20
MAX_SEGMENT: Final = 1 << 30
DEFAULT_SEGMENT: Final = 16 << 20
MAX_LSN: Final = (1 << 64) - 1
_PER_LOG: Final = 1 << 32

_SEGMENT: Final = re.compile(
    r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?:(\.partial)|\.([0-9A-F]{8})\.backup)?"
)
_HISTORY: Final = re.compile(r"([0-9A-F]{8})\.history")
_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


class WalKind(enum.Enum):
    """What a WAL file is."""

    SEGMENT = "segment"
    PARTIAL = "partial"
    BACKUP = "backup"
    HISTORY = "history"


class WalName(NamedTuple):
    """The name of a WAL file, in its parts; ``offset`` is that of a backup label in its segment."""

    kind: WalKind
    timeline: int
    log: int = 0
    part: int = 0
    offset: int = 0

    @property
    def text(self) -> str:
        """The name as PostgreSQL writes it."""
        if self.kind is WalKind.HISTORY:
            return f"{self.timeline:08X}.history"
        segment = f"{self.timeline:08X}{self.log:08X}{self.part:08X}"
        if self.kind is WalKind.PARTIAL:
            return f"{segment}.partial"
        if self.kind is WalKind.BACKUP:
            return f"{segment}.{self.offset:08X}.backup"
        return segment

    @property
    def segment(self) -> WalName:
        """The segment that a partial one or a backup label belongs to; of a segment itself."""
        return WalName(WalKind.SEGMENT, self.timeline, self.log, self.part)

    def fits(self, segment_size: int) -> bool:
        """Whether there is a segment of this number where segments have this size."""
        return self.kind is WalKind.HISTORY or self.part < _PER_LOG // segment_size

    def number(self, segment_size: int) -> int:
        """Return the number of the segment, counted from 0; ``ValueError`` if it does not fit."""
        if self.kind is WalKind.HISTORY or not self.fits(segment_size):
            msg = f"{self.text} is no segment of {segment_size} bytes"
            raise ValueError(msg)
        return self.log * (_PER_LOG // segment_size) + self.part

    def lsn(self, segment_size: int) -> int:
        """Return the position it begins at; of a backup label the one in its name, else 0."""
        if self.kind is WalKind.HISTORY:
            return 0
        return self.number(segment_size) * segment_size + self.offset


def parse_name(text: str) -> WalName | None:
    """Return the parts of a name as PostgreSQL writes it; None if it is none."""
    if match := _HISTORY.fullmatch(text):
        name = WalName(WalKind.HISTORY, int(match[1], 16))
    elif match := _SEGMENT.fullmatch(text):
        numbers = int(match[1], 16), int(match[2], 16), int(match[3], 16)
        if match[4]:
            name = WalName(WalKind.PARTIAL, *numbers)
        elif match[5]:
            name = WalName(WalKind.BACKUP, *numbers, int(match[5], 16))
        else:
            name = WalName(WalKind.SEGMENT, *numbers)
    else:
        return None
    return name if name.timeline else None


def segment_name(timeline: int, number: int, segment_size: int) -> WalName:
    """Return the name of the segment with this number."""
    log, part = divmod(number, _PER_LOG // segment_size)
    return WalName(WalKind.SEGMENT, timeline, log, part)


def is_segment_size(size: int) -> bool:
    """Whether ``initdb --wal-segsize`` can make segments of so many bytes."""
    return MIN_SEGMENT <= size <= MAX_SEGMENT and size & (size - 1) == 0


def format_lsn(lsn: int) -> str:
    """Write a position as PostgreSQL does."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> int | None:
    """Read a position as PostgreSQL writes it; None if it is none."""
    match = _LSN.fullmatch(text)
    return int(match[1], 16) << 32 | int(match[2], 16) if match else None
