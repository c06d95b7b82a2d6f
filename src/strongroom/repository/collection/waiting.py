"""Step 3 of a run: which sessions are at work, and when each has come to its decision.

Only a COMMIT or an ABORT ends a wait. For a session that is silent for long, by the store's clock,
or whose process on this host has ended, the collector puts an ABORT itself: the store lets one of
the two have the key, and the loser learns of it. So a wrong clock costs a backup that has to be run
again, never data. In a store that does not decide between two, a person says who is dead instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from strongroom.clock import rfc3339
from strongroom.errors import (
    BusyError,
    DamageError,
    NotFoundError,
    ObjectExistsError,
    ObjectMissingError,
    RefusedError,
)
from strongroom.model.events import Notice
from strongroom.postgres.wal.names import format_lsn
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.lease import NAMED_AFTER_NS
from strongroom.repository.records import ABORT, Abort, AbortReason, Heartbeat, read_body
from strongroom.repository.repository import Repository
from strongroom.repository.standing import revoked_by

_POLL_SECONDS: Final = 5.0
_HOUR_NS: Final = 3600 * 1_000_000_000
_SHOWN: Final = 5


class Signs(NamedTuple):
    """What is listed of a session: its objects, and when the last of them was put, if known."""

    keys: tuple[str, ...]
    last_ns: int | None


class Waiting:
    """Waits for sessions of one repository, with patience for ``wait_seconds`` in all."""

    def __init__(
        self,
        repository: Repository,
        silent_ns: int,
        wait_seconds: float,
        show: Callable[[], None] = lambda: None,
    ) -> None:
        """``show``: is called while it waits, so that the collector shows a sign of life."""
        self._repository = repository
        self._silent_ns = silent_ns
        self._wait_seconds = wait_seconds
        self._show = show

    def listed(self) -> dict[str, Signs]:
        """Return the sessions that are listed now, by key."""
        found: dict[str, Signs] = {}
        for info in self._repository.store.list(layout.SESSIONS):
            ids = layout.session_ids(info.key)
            if ids is None:
                continue  # nobody's session; 'verify' tells of it
            key = layout.session(ids[0], ids[1])
            before = found.get(key, Signs((), None))
            times = [t for t in (before.last_ns, info.stored_ns) if t is not None]
            found[key] = Signs((*before.keys, info.key), max(times, default=None))
        return found

    def objects_of(self, sessions: Collection[str]) -> list[str]:
        """Return the keys of all objects of these sessions that are listed."""
        wanted = set(sessions)
        listed = self.listed() if wanted else {}
        return [key for name, signs in listed.items() if name in wanted for key in signs.keys]

    def has_ended_sessions(self) -> bool:
        """Whether there are sessions that came to their decision, and are still listed."""
        store = self._repository.store
        decided = {info.key for info in store.list(layout.COMMITS)}
        return any(_commit_key(session) in decided for session in self.listed())

    def wait(self, sessions: Iterable[str], killed: Collection[str]) -> None:
        """Wait until each has its decision; ``BusyError`` if that takes too long.

        ``killed``: commits that collectors removed, which were decisions too.
        """
        clock = self._repository.around.clock
        began = clock.elapsed()
        waiting = [s for s in sessions if _commit_key(s) not in killed and not self._decided(s)]
        told = False
        while waiting:
            self._show()
            signs = self.listed()
            for session in self._revoked(waiting):
                self._fence(session, "whose writer was revoked", AbortReason.REVOKED)
            if not self._repository.config.is_weaker:
                self._fence_by_themselves(waiting, signs)
            waiting = [session for session in waiting if not self._decided(session)]
            if not waiting:
                return
            left = self._wait_seconds - (clock.elapsed() - began)
            if left <= 0:
                raise self._busy(waiting, signs)
            if not told:
                told = True
                self._repository.around.sink(Notice(f"waits for {self._names(waiting, signs)}"))
            clock.sleep(min(_POLL_SECONDS, left))

    def _fence_by_themselves(self, waiting: Sequence[str], signs: Mapping[str, Signs]) -> None:
        """Give up who is silent; where the store does not decide, a person has to say it."""
        for session in self._dead(waiting):
            self._fence(session, "whose process has ended")
        for session in self._silent(waiting, signs):
            self._fence(session, "which is silent for too long")

    def decided(self, sessions: Iterable[str], killed: Collection[str]) -> list[str]:
        """Return those that came to their decision; only their objects may go."""
        return [s for s in sessions if _commit_key(s) in killed or self._decided(s)]

    def give_up(self, text: str, waited_for: Collection[str] = ()) -> None:
        """Put the ABORT of a session that a person says is dead, by the first digits of its id.

        It is listed, or an unfinished run waits for it, though nothing of it is there any more.

        ``NotFoundError`` if none is open that begins so, or several are; ``RefusedError`` if it
        gave a sign of life lately, and the store does not decide between two.
        """
        signs = self.listed()
        opened = [one for one in sorted({*signs, *waited_for}) if not self._decided(one)]
        found = [one for one in opened if one.rpartition("/")[2].startswith(text)]
        if len(found) != 1 or not text:
            there = self._names(opened, signs) or "none"
            raise NotFoundError(
                f"{len(found)} open sessions begin with {text!r} (open: {there})",
                hint="Give the first digits of one, as this message and 'prune' show them.",
            )
        session = found[0]
        if self._repository.config.is_weaker and session in signs:
            self._refuse_if_alive(session, signs)
        self._fence(session, "which is dead, as you say")

    def _refuse_if_alive(self, session: str, signs: Mapping[str, Signs]) -> None:
        now_ns, last_ns = self._repository.store.time_ns(), signs[session].last_ns
        if now_ns is None or last_ns is None or now_ns - last_ns < NAMED_AFTER_NS:
            raise RefusedError(
                f"{self._name(session, signs[session])} may be alive: it counts as silent after "
                f"{NAMED_AFTER_NS // _HOUR_NS} hours, by the clock of the store",
                hint="In this store it would go on without knowing. Wait, and say it again.",
            )

    def _decided(self, session: str) -> bool:
        try:
            self._repository.store.size(_commit_key(session))
        except ObjectMissingError:
            return False
        return True

    def _silent(self, sessions: Sequence[str], signs: Mapping[str, Signs]) -> list[str]:
        """Return those that gave no sign of life for long, or vanished without a decision."""
        now_ns = self._repository.store.time_ns()
        silent = []
        for session in sessions:
            if session not in signs:
                silent.append(session)
                continue
            last_ns = signs[session].last_ns
            if now_ns is None or last_ns is None:
                continue  # nobody knows how long
            if now_ns - last_ns > self._silent_ns:
                silent.append(session)
        return silent

    def _dead(self, sessions: Sequence[str]) -> list[str]:
        """Return those that a process of this host worked on that has ended."""
        is_dead = self._repository.around.presence.is_dead
        return [session for session in sessions if is_dead(_session_id(session))]

    def _revoked(self, sessions: Sequence[str]) -> list[str]:
        """Return those of writers whose commits count no more."""
        revoked = revoked_by(self._repository.orders.read_all(lambda _key, _error: None))
        return [one for one in sessions if (layout.session_ids(one) or (b"",))[0] in revoked]

    def _fence(self, session: str, why: str, reason: AbortReason = AbortReason.FENCED) -> None:
        repository = self._repository
        key = _commit_key(session)
        admin = repository.keyring.admin_signer()
        body = encode(Abort(ABORT, reason, repository.around.clock.now_ns()))
        try:
            repository.store.put(
                key,
                wrap(
                    Kind.COMMIT,
                    repository.id,
                    key,
                    body,
                    admin.sign,
                    version=repository.keyring.version,
                ),
            )
        except ObjectExistsError:
            return  # it came to its decision in the last moment
        repository.around.presence.forget(_session_id(session))
        name = session.rpartition("/")[2][:8]
        repository.around.sink(Notice(f"gave up session {name}, {why}"))

    def _busy(self, waiting: Sequence[str], signs: Mapping[str, Signs]) -> BusyError:
        hint = (
            "Nothing is lost: the next 'strongroom prune' goes on from here. Wait longer with "
            "--wait. Who is at work shows a sign of life each hour; "
        )
        if self._repository.config.is_weaker:
            first = waiting[0].rpartition("/")[2][:8]
            hint += f"what was killed is given up if you say so: strongroom prune --dead {first}"
        else:
            hint += "what was killed on another host is given up sooner with --fence-after 2h."
        return BusyError(f"still at work: {self._names(waiting, signs)}", hint=hint)

    def _names(self, waiting: Sequence[str], signs: Mapping[str, Signs]) -> str:
        texts = [self._name(session, signs.get(session)) for session in waiting[:_SHOWN]]
        more = len(waiting) - _SHOWN
        return ", ".join(texts) + (f" and {more} more" if more > 0 else "")

    def _name(self, session: str, signs: Signs | None) -> str:
        ids = layout.session_ids(session)
        writer = "?"
        if ids is not None:
            try:
                writer = self._repository.writers.writer(ids[0]).name.decode("utf-8", "replace")
            except DamageError:
                writer = ids[0].hex()[:8]
        sign = "" if signs is None or signs.last_ns is None else rfc3339(signs.last_ns)
        since = f" (last sign of life {sign})" if sign else ""
        needs = self._needs(signs)
        return f"session {session.rpartition('/')[2][:8]} of {writer}{needs}{since}"

    def _needs(self, signs: Signs | None) -> str:
        """Say from where on a base backup at work needs WAL; for people, so not verified."""
        repository = self._repository
        for key in signs.keys if signs is not None else ():
            ids = layout.session_ids(key)
            if ids is None or not ids[2]:
                continue
            try:
                found = unwrap(repository.store.get(key), Kind.HEARTBEAT, key, repository.id)
                beat = read_body(key, found.body, Heartbeat)
            except (DamageError, ObjectMissingError):
                continue
            for one in beat.positions or ():
                return f", a base backup of cluster {one.system_id} from {format_lsn(one.lsn)} on"
        return ""


def _session_id(session: str) -> bytes:
    ids = layout.session_ids(session)
    return ids[1] if ids is not None else b""


def _commit_key(session: str) -> str:
    return layout.COMMITS + session.removeprefix(layout.SESSIONS)
