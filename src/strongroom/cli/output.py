"""What a command says: lines for people, or JSON lines for programs."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import click

from strongroom.cli.names import harmless

SCHEMA: Final = 1
Field = (
    str
    | int
    | float
    | bool
    | None
    | list[str]
    | dict[str, str]
    | dict[str, int]
    | Mapping[str, object]
)


class Output:
    """Standard output and standard error of one command; safe in any thread.

    ``stream``: what is printed is what the command is for, so it ends when nobody reads on
    (BrokenPipeError). Otherwise the work goes on without its words.
    """

    def __init__(self, *, json_lines: bool, quiet: bool, stream: bool) -> None:
        self.json_lines = json_lines
        self.quiet = quiet
        self._stream = stream
        self._mute = False
        self._lock = threading.Lock()

    def line(self, text: str) -> None:
        """Print a line of the result for people; nothing with ``--quiet`` or ``--json``."""
        if not self.quiet and not self.json_lines:
            self._print(text)

    def wanted(self, text: str) -> None:
        """Print a line that was asked for: also with ``--quiet``, not with ``--json``."""
        if not self.json_lines:
            self._print(text)

    def record(self, message_type: str, **fields: Field) -> None:
        """Print a JSON line, with ``--json`` only."""
        if self.json_lines:
            record = {"message_type": message_type, "schema": SCHEMA, **fields}
            self._print(json.dumps(record, separators=(",", ":")))

    def notice(self, text: str) -> None:
        """Say something on standard error, or as a JSON line."""
        if self.json_lines:
            self.record("notice", message=text)
        elif not self.quiet or text.startswith("warning"):
            say(harmless(text))

    def flush(self) -> None:
        """Hand everything on."""
        with self._lock:
            try:
                sys.stdout.flush()
            except OSError as error:
                self._failed(error)

    def _print(self, text: str) -> None:
        with self._lock:
            if self._mute:
                return
            try:
                sys.stdout.write(f"{text}\n")
                if self.json_lines:
                    sys.stdout.flush()
            except OSError as error:
                self._failed(error)

    def _failed(self, error: OSError) -> None:
        if self._stream:
            raise error
        self._mute = True
        discard_stdout()
        if not isinstance(error, BrokenPipeError):
            say(f"warning: cannot write the output: {(error.strerror or '').lower()}")


def say(text: str) -> None:
    """Print a line on standard error; nothing can be done if that fails."""
    with suppress(OSError):
        click.echo(text, err=True)


def discard_stdout() -> None:
    """Let everything printed from now on go nowhere, what is still in the buffer too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
