"""A store that leaves room on the line for others."""

from __future__ import annotations

from collections.abc import Callable

from strongroom.clock import Clock
from strongroom.model.store import Store
from strongroom.storage.wrappers.forwarding import Answer, ForwardingStore, Verb, bytes_received
from strongroom.storage.wrappers.pacing import Pace


class ThrottledStore(ForwardingStore):
    """Limits bytes per second, sent and received each by itself; None is no limit.

    Holds over a few values: within one, the line runs at its own speed. What is sent waits
    before, what is received after, since its size is known only then.
    """

    def __init__(
        self,
        within: Store,
        clock: Clock,
        *,
        upload: float | None = None,
        download: float | None = None,
    ) -> None:
        super().__init__(within)
        self._upload = None if upload is None else Pace(clock, upload)
        self._download = None if download is None else Pace(clock, download)

    def _request(self, _verb: Verb, sent: int, ask: Callable[[], Answer], /) -> Answer:
        if sent and self._upload is not None:
            self._upload.take(sent)
        answer = ask()
        received = bytes_received(answer)
        if received and self._download is not None:
            self._download.take(received)
        return answer
