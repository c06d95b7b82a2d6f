"""Receiving WAL: whatever happens, and when, the server is told only of what is archived."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from strongroom.errors import InterruptError, SourceError, StoreUnavailableError
from strongroom.operations.wal.receive import ReceiveOptions, Receiver, Words
from strongroom.postgres.wal.history import History
from strongroom.postgres.wal.names import WalKind
from strongroom.postgres.wal.ranges import Missing
from strongroom.postgres.walstream import Alive, Identity, Place, Streamed
from strongroom.repository import layout
from strongroom.repository.wal import archive_of
from strongroom.repository.walgaps import GapReason, WalGaps
from strongroom.repository.walsources import WalSources
from strongroom.storage.memory import MemoryStore
from tests.support.faulty_store import WRITES, Fault, FaultyStore, Kind, Script
from tests.support.kit import Kit
from tests.support.wal import CLUSTER, SIZE, SYSTEM, numbered, segment

pytestmark = pytest.mark.spec("C6")

FIRST = 3
CONTENT = b"".join(segment(numbered(n), filled=SIZE - 40) for n in range(FIRST, FIRST + 4))
END = FIRST * SIZE + len(CONTENT)


class Server:
    """A server with WAL from ``FIRST`` on, and a slot; sends pieces of sizes from a seed.

    ``stop_at``: after so many messages somebody interrupts the receiver.
    """

    def __init__(self, seed: int = 0) -> None:
        self.restart = FIRST * SIZE + 5000
        self.stop_at: int | None = None
        self.skip = 0
        self._random = random.Random(seed)
        self._lsn = 0
        self._said = 0

    def identify(self) -> Identity:
        """Say who it is."""
        return Identity(SYSTEM, 1, END, SIZE)

    def slot(self, name: str) -> Place | None:
        """Return the slot."""
        assert name == "slot"
        return Place(1, self.restart)

    def archives(self) -> bool:
        """All WAL goes over the wire."""
        return False

    def create_slot(self, name: str) -> None:
        """Never needed."""
        raise AssertionError(name)

    def history(self, timeline: int) -> tuple[bytes, History]:
        """Never needed."""
        raise AssertionError(timeline)

    def start(self, slot: str, place: Place) -> None:
        """Begin at a position that the slot keeps."""
        assert slot == "slot"
        assert place.lsn == self.restart - self.restart % SIZE
        self._lsn, self._said = place.lsn + self.skip, 0

    def next(self, seconds: float) -> Streamed | Alive | None:
        """Send a piece, or a sign of life, or stop."""
        del seconds
        self._said += 1
        if self.stop_at is not None and self._said > self.stop_at:
            raise InterruptError(15)
        if self._lsn == END:
            return None
        if self._random.random() < 0.1:
            return Alive(answer=True)
        size = self._random.choice([1, 100, 8192, SIZE // 2, SIZE, 3 * SIZE])
        begin = self._lsn - FIRST * SIZE
        data = CONTENT[begin : begin + size]
        message = Streamed(self._lsn, memoryview(data))
        self._lsn += len(data)
        return message

    def report(self, durable: int) -> None:
        """Let go of what is durable, and of no more."""
        assert durable <= END
        self.restart = max(self.restart, durable)

    def ended(self) -> Place | None:
        """Stop."""
        return None


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """A host with a repository in memory."""
    kit = Kit(MemoryStore(), tmp_path / "state")
    kit.init()
    return kit


def _receive(kit: Kit, server: Server, partial: float | None = None) -> None:
    repository = kit.open()
    receiver = Receiver(
        archive_of(repository),
        Words(WalSources(repository), WalGaps(repository)),
        kit.clock,
        lambda _text: None,
        ReceiveOptions("slot", partial),
    )
    receiver.run(server, "db")


def test_what_the_slot_did_not_keep_is_a_gap_on_record(kit: Kit) -> None:
    """Where the archive ends before the slot begins, and the server does not archive by itself,
    nobody ever brings what lies between.
    """
    archive_of(kit.open()).put(CLUSTER, numbered(1), segment(numbered(1)))
    server = Server()
    with pytest.raises(SourceError):
        _receive(kit, server)
    (gap,) = WalGaps(kit.open()).of(SYSTEM)
    assert (gap.missing, gap.reason) == (Missing(1, 2, 2), GapReason.NOT_KEPT)


def _check_let_go(kit: Kit, server: Server) -> None:
    """Everything before what the server keeps is archived, byte for byte."""
    archive = archive_of(kit.open())
    have = bytearray(len(CONTENT))
    known = 0
    for one in archive.files(SYSTEM):
        begin = one.name.segment.number(SIZE) * SIZE - FIRST * SIZE
        content = bytes(archive.get(one))
        if one.name.kind is WalKind.SEGMENT:
            assert content == CONTENT[begin : begin + SIZE]
            have[begin : begin + SIZE] = content
            known = max(known, begin + SIZE)
    number = server.restart // SIZE
    for n in range(FIRST, number):
        assert archive.find(SYSTEM, numbered(n)), n
    rest = server.restart - number * SIZE
    parts = [one for one in archive.files(SYSTEM) if one.name.segment == numbered(number)]
    if server.restart > FIRST * SIZE + 5000 and rest:
        begin = number * SIZE - FIRST * SIZE
        wanted = CONTENT[begin : begin + rest]
        assert any(bytes(archive.get(one))[:rest] == wanted for one in parts)


@pytest.mark.parametrize("seed", range(6))
def test_interrupted_at_every_message(kit: Kit, seed: int) -> None:
    """After any number of messages: what the server let go of is archived, and the next receiver
    brings the rest.
    """
    server = Server(seed)
    for stop in [*range(8), None]:
        server.stop_at = stop
        with pytest.raises(SourceError if stop is None else (InterruptError, SourceError)):
            _receive(kit, server, None if seed % 2 else 0.0)
        _check_let_go(kit, server)
    assert server.restart == END
    archive = archive_of(kit.open())
    for n in range(FIRST, FIRST + 4):
        assert bytes(archive.get_agreed(archive.find(SYSTEM, numbered(n)))) == segment(
            numbered(n), filled=SIZE - 40
        )


@pytest.mark.parametrize("nth", range(1, 9))
@pytest.mark.parametrize("kind", [Kind.ERROR_BEFORE, Kind.ERROR_AFTER])
def test_a_store_that_fails_is_not_reported(kit: Kit, nth: int, kind: Kind) -> None:
    """What may not have been stored is not let go of."""
    server = Server(nth)
    inner = kit.store
    kit.store = FaultyStore(inner, Script(Fault(kind, WRITES, nth=nth, prefix=layout.WAL)))
    with pytest.raises((StoreUnavailableError, SourceError)):
        _receive(kit, server)
    kit.store = inner
    _check_let_go(kit, server)
    with pytest.raises(SourceError, match="ended the stream"):
        _receive(kit, server)
    _check_let_go(kit, server)
    assert server.restart == END


@pytest.mark.parametrize("nth", range(2, 8))
@pytest.mark.parametrize("kind", [Kind.ERROR_BEFORE, Kind.ERROR_AFTER])
def test_interrupted_while_a_segment_is_stored(kit: Kit, nth: int, kind: Kind) -> None:
    """A segment that is whole and was not acknowledged is archived as one, or not let go of."""
    server = Server(nth)
    inner = kit.store

    def interrupt(_text: str) -> InterruptError:
        return InterruptError(15)

    fault = Fault(kind, WRITES, nth=nth, prefix=layout.WAL, error=interrupt)
    kit.store = FaultyStore(inner, Script(fault))
    with pytest.raises((InterruptError, SourceError)):
        _receive(kit, server)
    kit.store = inner
    _check_let_go(kit, server)
    with pytest.raises(SourceError, match="ended the stream"):
        _receive(kit, server)
    _check_let_go(kit, server)
    assert server.restart == END


def test_a_hole_in_the_stream_is_refused(kit: Kit) -> None:
    """WAL that does not follow what came before it is not archived."""
    server = Server()
    server.skip = 8192
    with pytest.raises(SourceError, match="was to come"):
        _receive(kit, server)
    assert archive_of(kit.open()).files(SYSTEM) == []
    assert server.restart == FIRST * SIZE + 5000
