"""Logs of runs that make no archive: a file each, beside the archives."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from strongroom.app.machine import Run
from strongroom.archive.files import TROUBLE, Files, TakenError
from strongroom.archive.runlog import RunLog, failed_line
from strongroom.clock import as_utc
from strongroom.errors import InterruptError

_STAMP: Final = "%Y%m%d_%H%M%S"
_NAME: Final = re.compile(r"(?:verify|restore|cleanup)-([0-9]{8}_[0-9]{6})(?:-[0-9]+)?\.log")


@contextmanager
def kept_log(run: Run, files: Files, verb: str) -> Iterator[tuple[Run, RunLog]]:
    """Keep a log of the block in the folder of archives, if there is one.

    Gives the run whose events are written down too. It is written when the block has ended: what
    was done, or failed, is so whether or not a log of it can be kept, which is said.
    """
    lines = io.BytesIO()
    clock = run.machine.clock
    log = RunLog(lines, clock)
    try:
        yield replace(run, sink=log.sink(run.sink)), log
    except BaseException as error:
        lines.write(failed_line(clock, error))
        raise
    finally:
        _keep(run, files, verb, lines.getvalue())


def _keep(run: Run, files: Files, verb: str, data: bytes) -> None:
    try:
        if not files.names():  # there are no archives, so there is no place for a log
            return
        stem = f"{verb}-{as_utc(run.machine.clock.now_ns()).astimezone().strftime(_STAMP)}"
        number = 1
        while True:
            name = f"{stem}.log" if number == 1 else f"{stem}-{number}.log"
            try:
                files.write(name, data)
            except TakenError:
                number += 1
            else:
                return
    except (*TROUBLE, InterruptError) as error:  # what there was to do is done, or has failed
        run.warn(f"no log is kept in {files.shown()}: {error.message}")


def old_logs(files: Files, before_ns: int) -> list[str]:
    """Return the logs of runs that ended before a moment, by the time in their names."""
    before = as_utc(before_ns).astimezone().strftime(_STAMP)
    return [
        name for name in files.names() if (found := _NAME.fullmatch(name)) and found[1] < before
    ]
