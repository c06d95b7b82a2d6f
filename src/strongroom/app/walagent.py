"""The resident agent: the repository stays open, and a socket takes what the server asks for.

A request is the working folder and the path, each ended by a zero byte, and then the end of the
stream. The answer is one byte and a text: ``0`` the file is durable, ``1`` it is not, and why.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.app.machine import Run
from strongroom.app.wal import source_of
from strongroom.app.walopening import opened_wal
from strongroom.errors import InterruptError, RefusedError, StrongroomError
from strongroom.model.store import Store
from strongroom.operations.wal.gapwatch import GapWatch
from strongroom.operations.wal.lookahead import LookAhead
from strongroom.operations.wal.push import Pusher
from strongroom.repository import layout
from strongroom.repository.wal import archive_of
from strongroom.repository.walgaps import WalGaps
from strongroom.repository.walparts import WithWal
from strongroom.repository.walsources import WalSources
from strongroom.system.causes import cause_of
from strongroom.system.unixsocket import MOST_LENGTH, InUseError, Listener, peer_user

_STORED, _FAILED = b"0", b"1"
_MOST_REQUEST: Final = 16 << 10
_CONNECTIONS: Final = 8
_PUSHES: Final = 4
_LARGE: Final = 64 << 20  # of a segment, which is read as a whole
_PATIENCE: Final = 5.0  # seconds for a request to be said
_ANSWER_WITHIN: Final = 55.0  # before whoever asked gives up


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """Where an agent listens, and for which source."""

    source: str
    socket: Path


def agent_place(run: Run, source: str | None) -> AgentPlace:
    """Return where the agent of a source listens: in the state folder, by a short name."""
    name = source_of(run, source)
    digest = hashlib.sha256(b"strongroom wal agent\0" + name.encode()).hexdigest()[:16]
    path = run.settings.state_dir / f"wal-{digest}.sock"
    if len(os.fsencode(path)) > MOST_LENGTH:
        raise RefusedError(
            f"the path of the agent's socket is too long: {path}",
            hint="Set STRONGROOM_STATE_DIR to a folder with a shorter path.",
        )
    return AgentPlace(name, path)


def serve(run: Run, source: str | None, ready: Callable[[AgentPlace], None]) -> int:
    """Archive what is asked for until somebody asks to stop; how many files were asked for."""
    place = agent_place(run, source)
    listener = _listening(place)
    try:
        with opened_wal(run) as repository, _threads(_PUSHES) as pushes:
            ahead = LookAhead(run.machine.fs, _pushing(run, repository, place), pushes)
            ready(place)
            with _threads(_CONNECTIONS) as connections, suppress(InterruptError):
                while True:
                    connections.submit(_answer, listener.accept(), ahead, run)
        return ahead.archived
    finally:
        listener.close()


@contextmanager
def _threads(most: int) -> Iterator[ThreadPoolExecutor]:
    """Lend threads; at the end what has begun is waited for, and the rest is dropped."""
    executor = ThreadPoolExecutor(most)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _pushing(run: Run, repository: WithWal, place: AgentPlace) -> Callable[[bytes], object]:
    """Return what archives one file, and looks once more whether that was the repository."""
    pusher = Pusher(archive_of(repository), WalSources(repository), run.machine.fs, place.source)
    watch = GapWatch(archive_of(repository), WalGaps(repository), run.machine.fs, run.tell)
    check, fs = _StillThere(repository.store), run.machine.fs
    large_ones = threading.Lock()

    def push(path: bytes) -> None:
        try:
            is_large = fs.stat(path).size > _LARGE
        except OSError:
            is_large = False  # the push says what is wrong
        with large_ones if is_large else nullcontext():  # memory holds one of them
            pushed = pusher.push(path)
            check()
            watch.archived(path, pushed)

    return push


class _StillThere:
    """Compares the repository with what it was: a folder may be unmounted while the agent runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._config = store.get(layout.CONFIG)

    def __call__(self) -> None:
        if self._store.get(layout.CONFIG) != self._config:
            raise RefusedError(
                f"{self._store.url} holds another repository than when the agent was started",
                hint="Start the agent again if that is meant.",
            )


def _listening(place: AgentPlace) -> Listener:
    try:
        place.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Listener(place.socket)
    except InUseError as error:
        raise RefusedError(
            f"an agent for '{place.source}' is at work already, at {place.socket}",
            hint="One is enough. Stop that one first.",
        ) from error
    except OSError as error:
        raise StrongroomError(f"cannot listen at {place.socket}: {cause_of(error)}") from error


def _answer(connection: socket.socket, ahead: LookAhead, run: Run) -> None:
    with connection, suppress(OSError):
        answer = _outcome(connection, ahead, run)
        connection.settimeout(_PATIENCE)
        connection.sendall(answer)


def _outcome(connection: socket.socket, ahead: LookAhead, run: Run) -> bytes:
    try:
        path = _asked(connection)
        if peer_user(connection) not in {os.geteuid(), 0}:
            return _FAILED + b"another user than the agent's may not ask"
        if path is None:
            return _FAILED + b"that is no request"
        ahead.archive(path, _ANSWER_WITHIN)
    except StrongroomError as error:
        run.tell(f"warning: not archived: {error.message}")
        return _FAILED + f"{error.message}. {error.hint}".encode()
    except TimeoutError:
        return _FAILED + b"no answer from the repository yet; ask again"
    except Exception as error:  # noqa: BLE001 - whatever it is, the server has to be told
        run.tell(f"warning: not archived: unexpected {type(error).__name__}: {error}")
        return _FAILED + f"unexpected {type(error).__name__}: {error}".encode()
    return _STORED


def _asked(connection: socket.socket) -> bytes | None:
    """Return the absolute path that is asked for; None if it is no request."""
    connection.settimeout(_PATIENCE)
    said = b""
    while len(said) <= _MOST_REQUEST and (part := connection.recv(_MOST_REQUEST)):
        said += part
    fields = said.split(b"\0")
    if len(fields) != 3 or fields[2] or not fields[0].startswith(b"/"):  # noqa: PLR2004
        return None
    return os.path.join(fields[0], fields[1])  # noqa: PTH118 - names are bytes
