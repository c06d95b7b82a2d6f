"""The one place where anything is tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from strongroom.clock import Clock
from strongroom.errors import ObjectExistsError, ObjectMissingError, StoreUnavailableError
from strongroom.model.fs import Buffer
from strongroom.model.randomness import Randomness
from strongroom.model.store import ObjectInfo, Store
from strongroom.storage.arguments import flat
from strongroom.storage.wrappers.forwarding import Answer, ForwardingStore, Verb


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on; seconds.

    The n-th pause is between 0 and ``first * 2**n``, evenly, and at most ``longest``: clients that
    failed together do not come back together. ``deadline`` counts from the first failure; the
    default outlasts the restart of a server and most failovers.
    """

    first: float = 0.5
    longest: float = 30
    deadline: float = 300


_DEFAULT: Final = Patience()
_RANDOM_BYTES: Final = 7  # 56 bits, more than a float between 0 and 1 holds


class RetryingStore(ForwardingStore):
    """Tries a request again while the store is unavailable, and nothing else.

    A put whose answer was lost may have happened. If its next try finds the key taken, the value
    is read back: the same bytes are success, made durable by ``sync``; others are the
    ObjectExistsError. A listing that breaks off goes on after the last key it gave.
    """

    def __init__(
        self,
        within: Store,
        clock: Clock,
        randomness: Randomness,
        *,
        patience: Patience = _DEFAULT,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """Take ``tell`` as what to do with one line about every pause."""
        super().__init__(within)
        self._clock = clock
        self._randomness = randomness
        self._patience = patience
        self._tell = tell

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``."""
        last = ""
        tries = self._tries()
        while True:
            try:
                for found in self._within.list(prefix):
                    if found.key > last:
                        last = found.key
                        tries.failures = 0
                        yield found
            except StoreUnavailableError as error:
                tries.pause(error)
            else:
                return

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        tries = self._tries()
        while True:
            try:
                self._within.put(key, value)
            except StoreUnavailableError as error:
                tries.pause(error)
            except ObjectExistsError:
                if tries.failures and self._holds(key, value):
                    return
                raise
            else:
                return

    def _holds(self, key: str, value: Buffer) -> bool:
        try:
            if self.get(key) != flat(value):
                return False
        except ObjectMissingError:
            return False
        above, slash, _ = key.rpartition("/")
        self.sync([above + slash])
        return True

    def _request(self, _verb: Verb, _sent: int, ask: Callable[[], Answer], /) -> Answer:
        tries = self._tries()
        while True:
            try:
                return ask()
            except StoreUnavailableError as error:
                tries.pause(error)

    def _tries(self) -> _Tries:
        return _Tries(self._patience, self._clock, self._randomness, self._tell)


class _Tries:
    """The failures of one request since it last got on."""

    def __init__(
        self,
        patience: Patience,
        clock: Clock,
        randomness: Randomness,
        tell: Callable[[str], None] | None,
    ) -> None:
        self.failures = 0
        self._patience = patience
        self._clock = clock
        self._randomness = randomness
        self._tell = tell
        self._began = 0.0

    def pause(self, error: StoreUnavailableError) -> None:
        """Wait before the next try; StoreUnavailableError if that would be too late."""
        now = self._clock.elapsed()
        if self.failures == 0:
            self._began = now
        limit = min(self._patience.longest, self._patience.first * 2 ** min(self.failures, 32))
        seconds = limit * int.from_bytes(self._randomness.take(_RANDOM_BYTES)) / 256**_RANDOM_BYTES
        self.failures += 1
        if now + seconds > self._began + self._patience.deadline:
            raise StoreUnavailableError(
                f"{error.message}; given up after {self.failures} tries "
                f"in {now - self._began:.0f} seconds",
                hint=error.hint,
            ) from error
        if self._tell is not None:
            self._tell(f"{error.message}; trying again in {seconds:.1f} seconds")
        self._clock.sleep(seconds)
