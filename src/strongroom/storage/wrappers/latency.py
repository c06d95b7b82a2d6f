"""A store that is as far away as a benchmark wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from strongroom.clock import Clock
from strongroom.model.store import ObjectInfo, Store
from strongroom.storage.wrappers.forwarding import Answer, ForwardingStore, Verb, bytes_received
from strongroom.storage.wrappers.pacing import Pace

_KEYS_PER_PAGE: Final = 1000  # of a listing by S3


class LatencyStore(ForwardingStore):
    """Adds ``seconds`` to every request and every further page of a listing.

    ``bandwidth`` (bytes per second; None: unlimited) is that of one line, which all threads share
    and both directions use.
    """

    def __init__(
        self, within: Store, clock: Clock, *, seconds: float, bandwidth: float | None = None
    ) -> None:
        super().__init__(within)
        self._clock = clock
        self._seconds = seconds
        self._line = None if bandwidth is None else Pace(clock, bandwidth, saved_seconds=0)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``."""
        return self._pages(super().list(prefix))

    def _pages(self, objects: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        for number, found in enumerate(objects):
            if number and number % _KEYS_PER_PAGE == 0:
                self._clock.sleep(self._seconds)
            yield found

    def _request(self, _verb: Verb, sent: int, ask: Callable[[], Answer], /) -> Answer:
        self._clock.sleep(self._seconds)
        if self._line is None:
            return ask()
        self._line.take(sent)
        answer = ask()
        self._line.take(bytes_received(answer))
        return answer
