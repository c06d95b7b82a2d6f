"""Asked to stop: once in order, twice at once."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Final, NoReturn

from strongroom.errors import InterruptError

_WATCHED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopping:
    """Turns the first signal into an ``InterruptError`` of the main thread.

    The second ends the process where it stands; a repository survives that at any point. A signal
    that was ignored from the beginning (``nohup``) stays ignored.
    """

    def __init__(self, exit_code: int | None = None) -> None:
        """Take the exit code of the second signal; None: that of a process that it ended."""
        self._asked = False
        self._exit_code = exit_code
        for number in _WATCHED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._asked_to)

    def _asked_to(self, number: int, _frame: FrameType | None) -> NoReturn:
        if self._asked:
            os._exit(128 + number if self._exit_code is None else self._exit_code)
        self._asked = True
        if os.isatty(2):
            os.write(2, b"\nstopping; press again to stop at once\n")
        raise InterruptError(number)

    def ends(self) -> None:
        """From now on the first signal ends the process as well: there is nothing left to do."""
        self._asked = True
