"""Files into pipes: each as fast as it is read, and little of what nobody reads yet."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec
import pytest

from strongroom.errors import DamageError
from strongroom.model.entry import EXTENT, HOLE, Entry
from strongroom.model.events import Event
from strongroom.operations.feeding import Feeder
from strongroom.repository.reader import Lost, Reader
from strongroom.sources.made import made_file

PIECE = 40_000


class _Chunks:
    """A reader of chunks whose bytes follow from their ids; counts those that were asked for."""

    def __init__(self, lost: Iterable[bytes] = ()) -> None:
        self.asked = 0
        self.lost = set(lost)

    def fetch(self, ids: list[bytes]) -> list[bytes]:
        return [_bytes_of(one) for one in ids]

    def begin(self, ids: Sequence[bytes], consume: Any) -> _Chunks._Stream:  # noqa: ANN401
        self.asked += len(ids)
        consume([(one, memoryview(_bytes_of(one))) for one in ids if one not in self.lost])
        return self._Stream([Lost(one, DamageError("gone")) for one in ids if one in self.lost])

    class _Stream:
        def __init__(self, lost: list[Lost]) -> None:
            self._lost = lost

        def finish(self) -> list[Lost]:
            return self._lost

        def cancel(self) -> None:
            pass


def _bytes_of(chunk_id: bytes) -> bytes:
    return chunk_id[:4] * (PIECE // 4)


def _ids(number: int, pieces: int) -> list[bytes]:
    return [((number + 1) << 16 | piece).to_bytes(4, "big") * 8 for piece in range(pieces)]


def _file(number: int, pieces: int) -> Entry:
    """Return a file of pieces, of which the last is a hole."""
    ids = [*_ids(number, pieces - 1), HOLE]
    content = b"".join(EXTENT.pack(one, PIECE) for one in ids)
    entry = made_file(b"%d.dat" % number, PIECE * pieces, 0)
    return msgspec.structs.replace(entry, content=content)


def _whole(number: int, pieces: int) -> bytes:
    return b"".join(map(_bytes_of, _ids(number, pieces - 1))) + bytes(PIECE)


def test_files_are_read_in_any_order() -> None:
    """What is read last takes next to nothing until then; each comes whole, and then its end."""
    chunks, events = _Chunks(), list[Event]()
    pipes = [os.pipe() for _ in range(5)]
    files = [(_file(number, 400), writing) for number, (_, writing) in enumerate(pipes)]
    feeder = Feeder(cast(Reader, chunks), events.append, files)
    over = threading.Event()
    feeding = threading.Thread(target=feeder.feed, args=(over.is_set,))
    feeding.start()
    try:
        for number, (reading, _) in reversed(list(enumerate(pipes))):
            with os.fdopen(reading, "rb") as file:
                assert file.read() == _whole(number, 400)
            left = number * 10  # of each that nobody has read yet, a few chunks
            assert chunks.asked < (5 - number) * 400 + left
    finally:
        over.set()
        feeding.join()
    feeder.close()


def test_damage_and_a_reader_that_goes() -> None:
    """A chunk that is lost names its file; a reader that goes ends its own file only."""
    lost = _ids(0, 4)[3]
    for chunks, goes in ((_Chunks([lost]), False), (_Chunks(), True)):
        pipes = [os.pipe() for _ in range(2)]
        files = [(_file(number, 6), writing) for number, (_, writing) in enumerate(pipes)]
        feeder = Feeder(cast(Reader, chunks), lambda _: None, files)
        os.set_blocking(pipes[0][0], False)
        if goes:
            os.close(pipes[0][0])
        reader = threading.Thread(target=_drain, args=([one for one, _ in pipes[goes:]],))
        reader.start()
        if goes:
            feeder.feed(lambda: False)
        else:
            with pytest.raises(DamageError, match=r"0\.dat is damaged: gone"):
                feeder.feed(lambda: False)
        feeder.close()
        reader.join()


def _drain(pipes: list[int]) -> None:
    for one in reversed(pipes):
        os.set_blocking(one, True)
        with os.fdopen(one, "rb") as file:
            file.read()
