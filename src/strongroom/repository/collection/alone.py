"""A collector where the store does not decide between two: it works only while it is alone.

It opens a session of its own, and ends if another collector has one open. So two that begin at once
both end, and one that was killed is in the way until a person says that it is dead.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from strongroom.errors import (
    BusyError,
    DamageError,
    FencedError,
    ObjectExistsError,
    ObjectMissingError,
    StrongroomError,
)
from strongroom.model.events import Notice
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.lease import Lease
from strongroom.repository.putting import put_own
from strongroom.repository.records import (
    ABORT,
    Abort,
    AbortReason,
    Heartbeat,
    Purpose,
    SessionBody,
    read_body,
)
from strongroom.repository.repository import Repository

_SIGN_SECONDS: Final = 1200.0


class Alone:
    """The session of a collector, for as long as the block lasts."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._identity = repository.keyring.writer()
        self._id = repository.around.randomness.take(layout.ID_SIZE)
        self._signs = 0
        self._last = repository.around.clock.elapsed()
        self.session = layout.session(self._identity.id, self._id)

    def __enter__(self) -> Self:
        """Begin; ``BusyError`` if there is another one, or one that was killed."""
        domain = self._repository.keyring.own_domain.domain_id
        now_ns = self._repository.around.clock.now_ns()
        body = SessionBody(Purpose.COLLECT, now_ns, domain, None)
        try:
            self._put(Kind.SESSION, self.session, encode(body))
            others = sorted(self._others())
        except BaseException:
            self._end()
            raise
        if others:
            self._end()
            raise BusyError(
                f"another collector is at work, or was killed: session {others[0][:8]}. In this "
                "store only one may be",
                hint="Nothing is lost. Wait for it; if you know that it is dead, say so: "
                f"strongroom prune --dead {others[0][:8]}",
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self._end()

    def show(self) -> None:
        """Show a sign of life now and then; called often while work goes on."""
        clock = self._repository.around.clock
        if clock.elapsed() - self._last < _SIGN_SECONDS:
            return
        self._last = clock.elapsed()
        self._signs += 1
        key = layout.session(self._identity.id, self._id, self._signs)
        self._put(Kind.HEARTBEAT, key, encode(Heartbeat(clock.now_ns(), None)))

    def require(self, last: str = "") -> None:
        """``FencedError`` if a person may have said that this collector is dead; see ``Lease``."""
        self.show()
        key = layout.commit(self._identity.id, self._id)
        try:
            self._repository.store.size(key)
        except ObjectMissingError:
            Lease(self._repository.store, self.session).require(last)
        else:
            raise FencedError(
                "a person said that this collector is dead, so it ends here",
                hint="Nothing is lost: run the same command again.",
            )

    def _others(self) -> Iterable[str]:
        """Yield the ids of sessions of collectors that have come to no decision.

        One that cannot be read may be anybody's.
        """
        store = self._repository.store
        sessions = [info.key for info in store.list(layout.SESSIONS)]
        decided = {info.key for info in store.list(layout.COMMITS)}
        for key in sessions:
            ids = layout.session_ids(key)
            if ids is None or ids[2] or key == self.session:
                continue
            if layout.commit(ids[0], ids[1]) not in decided and self._may_collect(key):
                yield ids[1].hex()

    def _may_collect(self, key: str) -> bool:
        try:
            found = unwrap(self._repository.store.get(key), Kind.SESSION, key, self._repository.id)
            return read_body(key, found.body, SessionBody).purpose == Purpose.COLLECT
        except ObjectMissingError:
            return False
        except DamageError:
            return True

    def _put(self, kind: Kind, key: str, body: bytes) -> None:
        repository = self._repository
        sign, version = self._identity.sign, repository.keyring.version
        put_own(repository.store, key, wrap(kind, repository.id, key, body, sign, version=version))

    def _end(self) -> None:
        """Put the ABORT that ends it, then remove its signs, which nobody waits for any more.

        An error on the way out leaves it open, which is told: the next collector has to be told of.
        """
        repository = self._repository
        body = encode(Abort(ABORT, AbortReason.FAILED, repository.around.clock.now_ns()))
        key = layout.commit(self._identity.id, self._id)
        try:
            with suppress(ObjectExistsError):  # somebody said that it is dead, so it has ended
                self._put(Kind.COMMIT, key, body)
            for number in range(self._signs + 1):
                repository.store.delete(layout.session(self._identity.id, self._id, number))
        except StrongroomError as error:
            text = f"warning: the session of this collector stays open ({error.message})"
            end = f"the next prune needs --dead {self._id.hex()[:8]}"
            repository.around.sink(Notice(f"{text}; {end}"))
