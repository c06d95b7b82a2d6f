"""``START_REPLICATION`` of WAL as it comes over the wire.

Protocol: PostgreSQL manual, "Streaming Replication Protocol". Messages begin with a letter: ``w``
WAL (u64 position, u64 end at the server, u64 time, bytes), ``k`` a sign of life (u64 end, u64 time,
u8 an answer is wanted); we send ``r`` (u64 written, u64 flushed, u64 applied, u64 time, u8).
"""

from __future__ import annotations

import re
import struct
from typing import Final, NamedTuple

from strongroom.clock import Clock
from strongroom.errors import SourceError
from strongroom.postgres.names import identifier, literal
from strongroom.postgres.wal.history import History, parse_history
from strongroom.postgres.wal.names import format_lsn, is_segment_size, parse_lsn
from strongroom.postgres.wal.pages import WalContentError
from strongroom.postgres.wire import ServerError, Wire, connected, rows_of

_WAL: Final = struct.Struct(">cQQQ")
_ALIVE: Final = struct.Struct(">cQQB")
_STATUS: Final = struct.Struct(">cQQQQB")
_SLOT_NAME: Final = re.compile(r"[a-z0-9_]{1,63}")
_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01, from which PostgreSQL counts
_READS_SLOTS: Final = 150_000  # the version from which on replication connections do that
_SLOT: Final = "SELECT slot_type, restart_lsn, NULL FROM pg_replication_slots WHERE slot_name = {}"
_UNITS: Final = {"kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


class Identity(NamedTuple):
    """Which server it is, and how far it is; ``segment_size`` in bytes."""

    system_id: int
    timeline: int
    lsn: int
    segment_size: int


class Place(NamedTuple):
    """A position on a timeline."""

    timeline: int
    lsn: int


class Streamed(NamedTuple):
    """WAL that came: where it begins, and its bytes."""

    lsn: int
    data: memoryview


class Alive(NamedTuple):
    """A sign of life; ``answer``: the server wants one."""

    answer: bool


class WalStream:
    """WAL on a replication connection, one timeline after the other."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire = wire
        self._clock = clock

    def identify(self) -> Identity:
        """Ask which server it is."""
        ((system_id, timeline, lsn, *_),) = self._wire.ask("IDENTIFY_SYSTEM")
        text = self._wire.value("SHOW wal_segment_size")
        number, unit = text.rstrip("kMGB"), text.lstrip("0123456789")
        size = int(number) * _UNITS.get(unit, 1)
        if not is_segment_size(size):
            raise SourceError(f"the server says its WAL segments have {text!r}")
        return Identity(int(system_id or 0), int(timeline or 0), _lsn(lsn), size)

    def slot(self, name: str) -> Place | None:
        """Return where a slot begins, (0, 0) for one that never was used; None if there is none."""
        if self._wire.version < _READS_SLOTS:
            with connected(self._wire.connection) as sql:
                rows = sql.ask(_SLOT.format(literal(name)))
        else:
            rows = self._wire.ask(f"READ_REPLICATION_SLOT {identifier(name)}")
        kind, lsn, timeline = rows[0] if rows else (None, None, None)
        if kind is None:
            return None
        if kind != "physical":
            raise SourceError(f"the slot {name} is not a physical one")
        if not lsn:
            return Place(0, 0)
        return Place(int(timeline or 0) or self._timeline_at(_lsn(lsn)), _lsn(lsn))

    def _timeline_at(self, lsn: int) -> int:
        """Return the timeline that the way to the server's own was on at a position."""
        now = self.identify().timeline
        forks = self.history(now)[1] if now > 1 else ()
        return next((one.timeline for one in forks if lsn < one.lsn), now)

    def archives(self) -> bool:
        """Whether the server archives by itself as well."""
        return self._wire.value("SHOW archive_mode") != "off"

    def create_slot(self, name: str) -> None:
        """Make a slot that keeps WAL from now on."""
        self._wire.ask(f"CREATE_REPLICATION_SLOT {identifier(name)} PHYSICAL RESERVE_WAL")

    def history(self, timeline: int) -> tuple[bytes, History]:
        """Return the history of a timeline, as it is and read."""
        ((_name, content),) = self._wire.ask(f"TIMELINE_HISTORY {timeline}")
        raw = (content or "").encode("utf-8", "surrogateescape")
        try:
            return raw, parse_history(timeline, raw)
        except WalContentError as error:
            raise SourceError(f"the server's history of timeline {timeline}: {error}") from error

    def start(self, slot: str, place: Place) -> None:
        """Begin to stream from a position on."""
        self._wire.send(
            f"START_REPLICATION SLOT {identifier(slot)} PHYSICAL {format_lsn(place.lsn)} "
            f"TIMELINE {place.timeline}"
        )
        result = self._wire.result()
        error = self._wire.lost() if result is None else self._wire.error_of(result)
        if error is not None:
            raise error

    def next(self, seconds: float) -> Streamed | Alive | None:
        """Return what comes next; a sign of life if nothing came; None at the end of a timeline."""
        message = self._wire.copied_within(seconds)
        if message is None:
            return None
        if not message:
            return Alive(answer=False)
        if message[:1] == b"w":
            return Streamed(_WAL.unpack_from(message)[1], memoryview(message)[_WAL.size :])
        if message[:1] == b"k":
            return Alive(answer=bool(_ALIVE.unpack_from(message)[3]))
        raise SourceError(f"the server sent a message that makes no sense here: {message[:1]!r}")

    def report(self, durable: int) -> None:
        """Say up to which position everything is durable; the server may let go of that."""
        now = self._clock.now_ns() // 1000 - _EPOCH_US
        self._wire.say(_STATUS.pack(b"r", durable, durable, 0, now, 0))

    def ended(self) -> Place | None:
        """Return where the next timeline begins, after the end of one; None: the server stops."""
        self._wire.end_copy()
        place: Place | None = None
        failure: ServerError | None = None
        while (result := self._wire.result()) is not None:
            failure = self._wire.error_of(result) or failure
            for timeline, lsn, *_ in rows_of(result):
                place = Place(int(timeline or 0), _lsn(lsn))
        if failure is not None:
            raise failure
        return place


def is_slot_name(text: str) -> bool:
    """Whether PostgreSQL takes a name for a slot."""
    return _SLOT_NAME.fullmatch(text) is not None


def _lsn(text: str | None) -> int:
    found = parse_lsn(text or "")
    if found is None:
        raise SourceError(f"the server sent {literal(str(text))} for a position")
    return found
