"""Types of arguments: what does not fit is refused with an example of what does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from strongroom.config.quantities import parse_size
from strongroom.errors import UsageError

_LONGEST: Final = 255


class _Size(click.ParamType[int]):
    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read a size in bytes."""
        if isinstance(value, int):
            return value
        try:
            return parse_size(str(value), param.opts[-1] if param is not None else "size")
        except UsageError as error:
            raise click.UsageError(f"{error.message}. {error.hint}", ctx) from error


SIZE: Final = _Size()


def checked_text(
    _context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Refuse a text that a snapshot cannot hold, or that nobody could type again."""
    if value is not None:
        _check(parameter, value)
    return value


def checked_texts(
    _context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> Sequence[str]:
    """Refuse texts as ``checked_text`` does."""
    for value in values:
        _check(parameter, value)
    return values


def _check(parameter: click.Parameter, text: str) -> None:
    if not text or not text.isprintable() or len(text.encode("utf-8", "replace")) > _LONGEST:
        raise click.UsageError(
            f"{parameter.opts[-1]} {text!r} is not a short printable text, such as 'nightly'"
        )


def snapshot_and_path(text: str) -> tuple[str, str]:
    """Split ``SNAP:PATH``; without a colon the path is empty."""
    snapshot, _, path = text.partition(":")
    return snapshot, path
