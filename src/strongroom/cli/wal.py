"""``strongroom wal push`` and ``strongroom wal fetch``."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Final

from strongroom.app.wal import FetchRequest, fetch_file, push_file
from strongroom.cli.codes import NOT_FETCHED, NOT_STORED, Verdict
from strongroom.cli.deadline import deadline
from strongroom.cli.job import job

DELIVERED: Final = 0
_AHEAD_SECONDS: Final = 60.0


def push(path: str, *, source: str | None, timeout: int) -> int:
    """Archive one file."""
    late = f"{path} is not archived: no answer within {timeout} seconds"
    with deadline(timeout, NOT_STORED, late), job() as one:
        done = push_file(one.run, os.fsencode(path), source)
        one.output.record(
            "wal_pushed",
            name=done.name,
            system_id=str(done.system_id),
            bytes=done.size,
            already_there=done.same,
        )
        if done.same:
            one.output.notice(f"{done.name} was archived before, with the same content")
    return Verdict(0)


def fetch(  # noqa: PLR0913 - one for each option
    name: str,
    destination: str,
    *,
    system_id: int | None,
    writer: str | None,
    standby: bool,
    past_holes: bool,
    absent_code: int,
    ahead: str | None,
    timeout: int,
) -> int:
    """Hand out one file."""
    failed = absent_code if standby else NOT_FETCHED
    late = f"{name} is not handed out: no answer within {timeout} seconds"
    request = FetchRequest(
        name, os.fsencode(destination), system_id, writer, past_holes, os.fsencode(ahead or "")
    )
    with deadline(timeout, failed, late) as met, ExitStack() as stack, job() as one:

        def delivered() -> None:
            met()
            if ahead:  # the file is there, and what is not yet fetched ahead is fetched later
                stack.enter_context(deadline(_AHEAD_SECONDS, DELIVERED, ""))

        done = fetch_file(one.run, request, delivered)
        one.output.record(
            "wal_fetched",
            name=done.name,
            delivered=done.delivered,
            partial=done.partial,
            ahead=done.ahead,
        )
        if not done.delivered:
            one.output.notice(f"{done.name} is not in the archive, and nothing that comes after it")
    return Verdict(0 if done.delivered else absent_code)
