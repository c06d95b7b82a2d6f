"""Where the process begins: what PostgreSQL calls keeps to the exit codes that PostgreSQL reads.

To ``restore_command`` a code from 1 to 125 means the end of the archive, and PostgreSQL promotes;
to ``archive_command`` one above 125 means that the archiver has to die. Python ends with 1 if a
module is missing, and a usage error is 2. So for these two commands only a ``Verdict`` counts, and
whatever else happens is a failure in PostgreSQL's words. Nothing but the standard library is
imported here.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn, cast

from strongroom.cli.codes import NOT_FETCHED, NOT_STORED, Verdict
from strongroom.cli.loading import load

_TAKE_VALUES: Final = frozenset(
    {
        "-r",
        "--repository",
        "--passphrase-file",
        "--passphrase-command",
        "--key-file",
        "--config",
        "--cache-dir",
        "--limit-upload",
        "--limit-download",
    }
)
_STANDBY: Final = "--standby"
_ABSENT: Final = 1
_HELP: Final = frozenset({"-h", "--help"})
_WATCHED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def main() -> int:
    """Run the command line; the exit code."""
    return run(_load)


def run(program: Callable[[], Callable[..., int]]) -> int:
    """Run the command line with what ``program`` gives; the exit code."""
    arguments = sys.argv[1:]
    failed = failed_code(arguments)
    if failed is not None:
        _run_for_postgres(program, failed)
    return program()(None)


def _run_for_postgres(program: Callable[[], Callable[..., int]], failed: int) -> NoReturn:
    """Run a command of PostgreSQL's, and end as it reads it: ``failed`` but for a verdict."""
    for number in _WATCHED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _ends_with(failed))
    code = failed
    try:
        found = program()(None, stopped=failed)
        if isinstance(found, Verdict) or _HELP.intersection(sys.argv[1:]):
            code = found
    except BaseException:  # noqa: BLE001 - a module is missing, or worse
        sys.excepthook(*sys.exc_info())
    _end(code)


def _end(code: int) -> NoReturn:
    """End at once: while Python takes itself down, a signal would end it by its own code."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


def failed_code(arguments: Sequence[str]) -> int | None:
    """Return what PostgreSQL reads as a failure of the command; None if it is not its command."""
    words = _words(arguments)[:2]
    if words == ["wal", "push"]:
        return NOT_STORED
    if words == ["wal", "fetch"]:
        return _ABSENT if _STANDBY in arguments else NOT_FETCHED
    return None


def _words(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that are no options."""
    words: list[str] = []
    skipped = False
    for one in arguments:
        if skipped:
            skipped = False
        elif one.startswith("-"):
            skipped = one in _TAKE_VALUES
        else:
            words.append(one)
    return words


def _load() -> Callable[..., int]:
    return cast(Callable[..., int], load("strongroom.cli.main").main)


def _ends_with(code: int) -> Callable[[int, FrameType | None], NoReturn]:
    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        os._exit(code)

    return end


if __name__ == "__main__":
    sys.exit(main())
