"""The moment at which a command ends, whatever it is doing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def deadline(seconds: float, code: int, text: str) -> Iterator[Callable[[], None]]:
    """End the process with ``code`` if the block lasts longer, also where a disk does not answer.

    Gives what ends that; with a ``text``, it is said as an error.
    It ends as by ``kill -9``, which a repository and what is delivered survive at any point.
    """

    def end() -> None:
        with suppress(OSError):
            if text:
                os.write(2, f"error: {text}\n".encode())
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()
