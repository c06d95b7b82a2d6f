"""Logs of runs that make no archive: a file each, beside the archives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from strongroom.app.machine import Run
from strongroom.archive.files import Files, FilesError, TakenError
from strongroom.archive.runlog import RunLog, logged
from strongroom.clock import as_utc

_STAMP: Final = "%Y%m%d_%H%M%S"
_NAME: Final = re.compile(
    r"(?:verify|restore|cleanup|recompress)-[0-9]{8}_[0-9]{6}(?:-[0-9]+)?\.log"
)


@contextmanager
def kept_log(run: Run, files: Files, verb: str) -> Iterator[tuple[Run, RunLog | None]]:
    """Keep a log of the block in the folder of archives, if there is one.

    Gives the run whose events are written down too. Where no log can be kept that is said, and the
    work goes on.
    """
    name = _free_name(run, files, verb)
    if name is None:
        yield run, None
        return
    with logged(files, name, run.machine.clock) as log:
        yield replace(run, sink=log.sink(run.sink)), log
    if log.broken is not None:
        run.warn(f"the log {name} is not whole: {log.broken.message}")


def _free_name(run: Run, files: Files, verb: str) -> str | None:
    """Make sure that a log can be written, and return its name; None where there is no folder."""
    if not files.names():
        return None
    stem = f"{verb}-{as_utc(run.machine.clock.now_ns()).astimezone().strftime(_STAMP)}"
    number = 1
    while True:
        name = f"{stem}.log" if number == 1 else f"{stem}-{number}.log"
        try:
            files.write(name, b"")
            files.remove(name)
        except TakenError:
            number += 1
        except FilesError as error:
            run.warn(f"no log is kept: {error.message}")
            return None
        else:
            return name


def old_logs(files: Files, before_ns: int) -> list[str]:
    """Return the logs that were last written before a moment."""
    return [n for n in files.names() if _NAME.fullmatch(n) and files.mtime_ns(n) < before_ns]
