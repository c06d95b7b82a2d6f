"""WAL files that no server wrote: with a page header as one writes it, and bytes from a seed."""

from __future__ import annotations

import struct
from typing import Final

from strongroom.postgres.wal.names import WalName, parse_name, segment_name
from strongroom.postgres.wal.pages import Cluster
from tests.support.noise import noise

SYSTEM: Final = 7_449_812_345_678_901_234
OTHER_SYSTEM: Final = 7_449_999_999_999_999_999
SIZE: Final = 1 << 20
CLUSTER: Final = Cluster(SYSTEM, SIZE)
MAGIC_15: Final = 0xD110


def named(text: str) -> WalName:
    """Return the parts of a name that is one."""
    name = parse_name(text)
    assert name is not None, text
    return name


def numbered(number: int, timeline: int = 1, size: int = SIZE) -> WalName:
    """Return the name of a segment."""
    return segment_name(timeline, number, size)


def segment(name: WalName, seed: str = "", cluster: Cluster = CLUSTER, filled: int = 3000) -> bytes:
    """Return a segment with ``filled`` bytes of content; the rest is zeros, as after a switch."""
    size = cluster.segment_size
    header = struct.pack(
        "<HHIQI4xQII",
        MAGIC_15,
        2,
        name.timeline,
        name.segment.number(size) * size,
        0,
        cluster.system_id,
        size,
        8192,
    )
    body = noise(filled, f"{seed}/{name.text}")
    return header + body + bytes(size - len(header) - len(body))


def history(*forks: tuple[int, str]) -> bytes:
    """Return a history file as PostgreSQL writes it."""
    return "\n".join(
        f"{line}\t{lsn}\tno recovery target specified\n" for line, lsn in forks
    ).encode()
