"""The second repository of a command: where a copy goes, where a repair takes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.config.settings import Settings


@contextmanager
def opened_other(
    run: Run, settings: Settings, option: str, *, asks: bool = True
) -> Iterator[Opened]:
    """Open the repository of these settings, which ``option`` names, beside that of ``run``.

    ``asks``: whether a person at a terminal may be asked for its passphrase.
    """
    person = run.person if asks else None
    with opened_repository(replace(run, settings=settings, person=person, other=option)) as opened:
        yield opened
