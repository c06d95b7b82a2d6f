"""Receive WAL as a stream, and archive each segment when it is whole.

The server keeps what is not reported as durable, in a slot. Nothing is reported that is not in the
repository, so a receiver that dies at any moment has lost nothing: it goes on where the slot is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from strongroom.clock import Clock
from strongroom.errors import InterruptError, SourceError
from strongroom.postgres.wal.history import History
from strongroom.postgres.wal.names import WalKind, WalName, format_lsn, segment_name
from strongroom.postgres.wal.pages import HEADER_SIZE, Cluster
from strongroom.postgres.wal.ranges import Missing
from strongroom.postgres.walstream import Alive, Identity, Place, Streamed
from strongroom.repository.wal import WalArchive
from strongroom.repository.walgaps import GapReason, WalGaps
from strongroom.repository.walsources import WalSources

_REPORT_SECONDS: Final = 10.0
_WAIT_SECONDS: Final = 1.0


class Stream(Protocol):
    """A replication connection, as ``postgres.walstream`` has it."""

    def identify(self) -> Identity:
        """Ask which server it is."""
        ...

    def slot(self, name: str) -> Place | None:
        """Return where a slot begins."""
        ...

    def archives(self) -> bool:
        """Whether the server archives by itself as well."""
        ...

    def create_slot(self, name: str) -> None:
        """Make a slot that keeps WAL from now on."""
        ...

    def history(self, timeline: int) -> tuple[bytes, History]:
        """Return the history of a timeline."""
        ...

    def start(self, slot: str, place: Place) -> None:
        """Begin to stream."""
        ...

    def next(self, seconds: float) -> Streamed | Alive | None:
        """Return what comes next; None at the end of a timeline."""
        ...

    def report(self, durable: int) -> None:
        """Say up to which position everything is durable."""
        ...

    def ended(self) -> Place | None:
        """Return where the next timeline begins; None: the server stops."""
        ...


class ReceiveOptions(NamedTuple):
    """How to receive: the slot, and after how many seconds a part of a segment is archived too.

    ``partial_seconds``: None, only at the end.
    """

    slot: str
    partial_seconds: float | None = None


class Words(NamedTuple):
    """What is said of WAL in the repository, beside the files."""

    sources: WalSources
    gaps: WalGaps


class Segment:
    """The segment that comes: its bytes so far."""

    def __init__(self, cluster: Cluster, place: Place) -> None:
        """Take the position at which a segment begins."""
        self._cluster = cluster
        self._timeline = place.timeline
        self._begin = place.lsn
        self._filled = 0
        self._content = bytearray(cluster.segment_size)

    @property
    def lsn(self) -> int:
        """Up to which position bytes came."""
        return self._begin + self._filled

    @property
    def name(self) -> WalName:
        """Its name."""
        size = self._cluster.segment_size
        return segment_name(self._timeline, self._begin // size, size)

    @property
    def partial(self) -> tuple[WalName, bytes] | None:
        """What there is of it, with zeros for the rest; None if that is nothing of use."""
        if self._filled < HEADER_SIZE:
            return None
        name = self.name
        return WalName(WalKind.PARTIAL, *name[1:4]), bytes(self._content)

    def add(self, lsn: int, data: memoryview) -> memoryview:
        """Take bytes, and return those that belong to the next segment."""
        if lsn != self.lsn:
            raise SourceError(
                f"the server sent WAL from {format_lsn(lsn)} on, and {format_lsn(self.lsn)} was "
                "to come"
            )
        taken = data[: len(self._content) - self._filled]
        self._content[self._filled : self._filled + len(taken)] = taken
        self._filled += len(taken)
        return data[len(taken) :]

    def whole(self) -> bytes | None:
        """Return the segment if it is whole."""
        return bytes(self._content) if self._filled == len(self._content) else None

    def following(self) -> Segment:
        """Return the one after it."""
        return Segment(self._cluster, Place(self._timeline, self.lsn))


class Receiver:
    """Receives the WAL of one source until the server or somebody ends it."""

    def __init__(
        self,
        archive: WalArchive,
        words: Words,
        clock: Clock,
        tell: Callable[[str], None],
        options: ReceiveOptions,
    ) -> None:
        self._archive = archive
        self._words = words
        self._clock = clock
        self._tell = tell
        self._options = options
        self.segments = 0

    def run(self, stream: Stream, source: str) -> None:
        """Receive, timeline after timeline; InterruptError after what there is was archived."""
        identity = stream.identify()
        cluster = Cluster(identity.system_id, identity.segment_size)
        self._words.sources.register(source, cluster)
        place: Place | None = self._first_place(stream, cluster, Place(*identity[1:3]))
        while place is not None:
            self._archive_histories(stream, cluster, place.timeline)
            self._tell(f"receiving timeline {place.timeline} from {format_lsn(place.lsn)} on")
            place = self._receive(stream, cluster, place)
        raise SourceError(
            "the server ended the stream: it stops",
            hint="Start 'strongroom wal receive' again when it is back; the slot keeps its place.",
        )

    def _first_place(self, stream: Stream, cluster: Cluster, current: Place) -> Place:
        """Return where the slot begins, at the begin of a segment; the slot is made if need be."""
        found = stream.slot(self._options.slot)
        if found is None:
            stream.create_slot(self._options.slot)
            found = stream.slot(self._options.slot)
            self._tell(f"made the replication slot {self._options.slot}")
        place = found if found is not None and found.lsn else current
        place = Place(
            place.timeline or current.timeline, place.lsn - place.lsn % cluster.segment_size
        )
        self._tell_of_gap(stream, cluster, place)
        return place

    def _tell_of_gap(self, stream: Stream, cluster: Cluster, place: Place) -> None:
        """Say that the slot did not keep what follows the archive, and put it on record.

        Unless the server archives as well: then it may have it yet.
        """
        found = self._archive.extent(cluster, {}).timelines.get(place.timeline)
        number = place.lsn // cluster.segment_size
        if found is not None and found.last is not None and found.last + 1 < number:
            missing = Missing(place.timeline, found.last + 1, number - 1)
            named = missing.text(cluster.segment_size)
            if stream.archives():
                self._tell(
                    f"warning: {named} are in neither the archive nor the slot; unless "
                    "archive_command brings them, make a new base backup"
                )
                return
            self._words.gaps.record(cluster, missing, GapReason.NOT_KEPT)
            self._tell(
                f"warning: {named} are in neither the archive nor the slot, and never come: a gap "
                "is on record. Make a new base backup"
            )

    def _archive_histories(self, stream: Stream, cluster: Cluster, timeline: int) -> None:
        """Archive the history of a timeline and of all that it comes from."""
        if timeline == 1:
            return
        content, history = stream.history(timeline)
        for ancestor in (fork.timeline for fork in history if fork.timeline > 1):
            older, _ = stream.history(ancestor)
            self._archive.put(cluster, WalName(WalKind.HISTORY, ancestor), older)
        self._archive.put(cluster, WalName(WalKind.HISTORY, timeline), content)

    def _receive(self, stream: Stream, cluster: Cluster, place: Place) -> Place | None:
        """Receive one timeline; where the next one begins, or None."""
        stream.start(self._options.slot, place)
        segment, durable = Segment(cluster, place), place.lsn
        reported = parted = self._clock.elapsed()
        try:
            while (message := stream.next(_WAIT_SECONDS)) is not None:
                due = isinstance(message, Alive) and message.answer
                if isinstance(message, Streamed):
                    segment, whole_to = self._taken(cluster, segment, message)
                    due |= whole_to is not None
                    durable = max(durable, whole_to or 0)
                now = self._clock.elapsed()
                if self._part_is_due(now - parted) and segment.lsn > durable:
                    durable = max(durable, self._put_part(cluster, segment))
                    parted, due = now, True
                if due or now - reported >= _REPORT_SECONDS:
                    stream.report(durable)
                    reported = now
        except InterruptError:
            stream.report(max(durable, self._put_part(cluster, segment)))
            raise
        stream.report(max(durable, self._put_part(cluster, segment)))
        following = stream.ended()
        if following is None:
            return None
        return Place(following.timeline, following.lsn - following.lsn % cluster.segment_size)

    def _taken(
        self, cluster: Cluster, segment: Segment, message: Streamed
    ) -> tuple[Segment, int | None]:
        """Archive each segment that becomes whole; the one that comes, and what is durable now."""
        lsn, rest, durable = message.lsn, message.data, None
        while rest:
            left = segment.add(lsn, rest)
            lsn, rest = lsn + len(rest) - len(left), left
            content = segment.whole()
            if content is not None:
                self._archive.put(cluster, segment.name, content)
                self.segments += 1
                durable = segment.lsn
                segment = segment.following()
        return segment, durable

    def _part_is_due(self, seconds: float) -> bool:
        often = self._options.partial_seconds
        return often is not None and seconds >= often

    def _put_part(self, cluster: Cluster, segment: Segment) -> int:
        """Archive what there is of a segment; up to which position that is durable.

        Whoever interrupts may do so when it is whole, and not archived yet.
        """
        content, lsn = segment.whole(), segment.lsn
        part = (segment.name, content) if content is not None else segment.partial
        if part is None:
            return 0
        self._archive.put(cluster, *part)
        return lsn
