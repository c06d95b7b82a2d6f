"""From what the command line says of a stream to a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.app.folders import host_id, source_name
from strongroom.app.listing import path_in_snapshot
from strongroom.app.machine import Machine, Run
from strongroom.errors import UsageError
from strongroom.operations.backup import PlannedSource
from strongroom.sources.stream.source import CommandOutput, StandardInput, Stream, StreamSource


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """A stream to be saved as one file; without a ``command``, standard input is.

    ``filename`` may have slashes; it is the path of the file in the snapshot.
    """

    filename: str
    command: Sequence[str] = ()


def stream_source(run: Run, request: StreamRequest) -> PlannedSource:
    """Make the source; nothing is read or started yet. ``UsageError`` for a bad name."""
    path = path_in_snapshot(request.filename)
    if not path:
        raise UsageError(
            f"--stdin-filename '{request.filename}' is no name of a file",
            hint="Give one such as database.sql.",
        )
    kind = "command" if request.command else "stdin"
    name = source_name(host_id(run), [kind.encode(), path])
    machine = run.machine

    def opened() -> Stream:
        return _opened(machine, request)

    return PlannedSource(StreamSource(kind, name, path, machine.clock, opened), [b"/" + path])


def _opened(machine: Machine, request: StreamRequest) -> Stream:
    if request.command:
        return CommandOutput(machine.spawn, request.command)
    return StandardInput(machine.fs)
