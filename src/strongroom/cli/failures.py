"""Errors for people and programs: what, why, what next; never a traceback."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from strongroom.cli.names import harmless
from strongroom.cli.output import SCHEMA, say
from strongroom.errors import StrongroomError


def tell(error: BaseException, *, json_lines: bool, debug: bool) -> int | None:
    """Say what ended a command and return its exit code; None if nobody foresaw this error."""
    if isinstance(error, StrongroomError):
        if debug:
            return None
        details = getattr(error, "details", ())
        show(error.message, error.hint, error.code, details, json_lines=json_lines)
        return error.code
    if isinstance(error, click.ClickException):
        return _tell_of_usage(error, json_lines=json_lines)
    if isinstance(error, click.Abort):
        code = 6
        show("no answer, so nothing was done", "", code, json_lines=json_lines)
        return code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return None


def show(
    message: str, hint: str, code: int, details: Sequence[str] = (), *, json_lines: bool
) -> None:
    """Print an error: one line and its details, and with ``--json`` a last JSON line."""
    if json_lines:
        record = {"message_type": "exit_error", "schema": SCHEMA, "code": code, "message": message}
        more = {"hint": hint, "details": list(details)}
        say(json.dumps({**record, **{k: v for k, v in more.items() if v}}, separators=(",", ":")))
        return
    sentence = harmless(message)
    end = "" if sentence.endswith((".", "?")) else "."
    say(f"error: {sentence}{end}" + (f" {harmless(hint)}" if hint else ""))
    for detail in details:
        say(f"  {harmless(detail)}")


def _tell_of_usage(error: click.ClickException, *, json_lines: bool) -> int:
    """Say what is wrong with the arguments; without any, click's message is the whole help."""
    message = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        say(message)
        return error.exit_code
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"See '{context.command_path} --help'." if context is not None else ""
    message = message[:1].lower() + message[1:]
    show(message, hint, error.exit_code, json_lines=json_lines)
    return error.exit_code
