"""A file system that fails, crashes or really dies at a given call, and writes down every call."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, NamedTuple, NoReturn, cast

from strongroom.model.fs import Fs
from tests.support.crash import SimulatedCrash

CREATING: Final = frozenset({"create", "create_unnamed"})
WRITING: Final = frozenset({"write", "pwrite", "truncate", "fsync", "syncfs"})
NAMING: Final = frozenset(
    {"mkdir", "unlink", "rmdir", "link_fd", "link", "symlink", "mknod", "rename", "rename_new"}
)
CHANGING: Final = frozenset(
    {
        *("fchmod", "fchown", "futime", "chown", "chmod", "utime"),
        *("set_xattr", "set_xattr_at", "remove_xattr_at"),
    }
)
MUTATING: Final = CREATING | WRITING | NAMING | CHANGING


class Call(NamedTuple):
    """One call that came back: ``what`` is its name, or ``create`` and ``create_unnamed``."""

    what: str
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    result: Any


@dataclass(frozen=True, slots=True)
class FsFault:
    """What happens at the calls ``nth`` to ``nth + times - 1`` of those in ``calls``.

    ``number`` is an errno. ``when`` it strikes ``after``, the call has had its effect; ``amid``, a
    write has taken the first half of its data.
    """

    does: Literal["error", "crash", "kill"]
    nth: int = 1
    calls: frozenset[str] = MUTATING
    when: Literal["before", "amid", "after"] = "before"
    number: int = 0
    times: int = 1


def faulty_fs(
    within: Fs,
    *faults: FsFault,
    lacks: Mapping[str, int] | None = None,
    most_written: int | None = None,
) -> tuple[Fs, FaultyFs]:
    """Return an ``Fs``, and the same object as what counts and records its calls.

    ``lacks``: calls that this file system does not have, and the errno that it answers.
    ``most_written``: the most bytes that one write takes.
    """
    made = FaultyFs(within, faults, dict(lacks or {}), most_written)
    return cast("Fs", made), made


class FaultyFs:
    """Each method is that of the file system within; see ``faulty_fs``.

    ``trace``: the calls that came back; ``attempts``: all calls by name; ``mutations``: how many
    of those in MUTATING reached the file system or a fault.
    """

    def __init__(
        self,
        within: Fs,
        faults: tuple[FsFault, ...],
        lacks: dict[str, int],
        most_written: int | None,
    ) -> None:
        self.trace: list[Call] = []
        self.attempts = Counter[str]()
        self.mutations = 0
        self._within = within
        self._faults = faults
        self._seen = [0] * len(faults)
        self._lacks = lacks
        self._most_written = most_written
        self._dead = False
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method of the file system within, with faults."""
        return partial(self._call, name, getattr(self._within, name))

    def _call(self, name: str, act: Callable[..., Any], *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - any call
        what = _kind(name, arguments)
        self.attempts[what] += 1
        if self._dead:
            if name == "close":  # as the kernel does for the dead
                return act(*arguments)
            raise SimulatedCrash
        if what in self._lacks:
            raise _error(self._lacks[what])
        if what == "write" and self._most_written is not None:
            arguments = (arguments[0], memoryview(arguments[1])[: self._most_written])
        fault = self._next(what)
        if fault is None:
            return self._done(what, act, arguments, named)
        if fault.when == "amid" and what == "write":
            half = memoryview(arguments[1])[: len(arguments[1]) // 2]
            self._done(what, act, (arguments[0], half), named)
        if fault.when == "after":
            self._done(what, act, arguments, named)
        return self._strike(fault)

    def _next(self, what: str) -> FsFault | None:
        chosen = None
        with self._lock:
            self.mutations += what in MUTATING
            for number, fault in enumerate(self._faults):
                if what in fault.calls:
                    self._seen[number] += 1
                    if chosen is None and 0 <= self._seen[number] - fault.nth < fault.times:
                        chosen = fault
        return chosen

    def _done(
        self, what: str, act: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - of any call
        result = act(*arguments, **named)
        kept = tuple(bytes(one) if isinstance(one, memoryview) else one for one in arguments)
        self.trace.append(Call(what, kept, named, result))
        return result

    def _strike(self, fault: FsFault) -> NoReturn:
        if fault.does == "error":
            raise _error(fault.number)
        if fault.does == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        self._dead = True
        raise SimulatedCrash


def _kind(name: str, arguments: tuple[Any, ...]) -> str:
    if name != "open":
        return name
    flags = arguments[1]
    if flags & os.O_TMPFILE == os.O_TMPFILE:
        return "create_unnamed"
    return "create" if flags & os.O_CREAT else "open"


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
