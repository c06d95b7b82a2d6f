"""How much a store is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from strongroom.model.store import Store
from strongroom.storage.wrappers.forwarding import Answer, ForwardingStore, Verb, bytes_received


class Traffic(NamedTuple):
    """Requests begun, those that failed among them, and bytes of values in either direction."""

    requests: int = 0
    failures: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


class MeteredStore(ForwardingStore):
    """Counts requests and bytes by verb; a listing is one request, however long it is.

    ``sent_bytes`` counts every value that was offered, also one that was refused.
    """

    def __init__(self, within: Store) -> None:
        super().__init__(within)
        self._traffic: dict[Verb, Traffic] = {}
        self._lock = threading.Lock()

    def snapshot(self) -> dict[Verb, Traffic]:
        """Return the counts of this moment; verbs that were never used are not in it."""
        with self._lock:
            return self._traffic.copy()

    def _request(self, verb: Verb, sent: int, ask: Callable[[], Answer], /) -> Answer:
        self._add(verb, Traffic(requests=1, sent_bytes=sent))
        try:
            answer = ask()
        except Exception:
            self._add(verb, Traffic(failures=1))
            raise
        if received := bytes_received(answer):
            self._add(verb, Traffic(received_bytes=received))
        return answer

    def _add(self, verb: Verb, more: Traffic) -> None:
        with self._lock:
            before = self._traffic.get(verb, Traffic())
            self._traffic[verb] = Traffic(*(a + b for a, b in zip(before, more, strict=True)))
