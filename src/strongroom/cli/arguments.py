"""Types of arguments: what does not fit is refused with an example of what does."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import click

from strongroom.config.quantities import parse_seconds, parse_size
from strongroom.errors import UsageError

_LONGEST: Final = 255
_PERCENT: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})?")
_WHOLE: Final = 100.0


class _Quantity(click.ParamType[int]):
    """A number with a unit, read as the configuration file reads it."""

    def __init__(self, name: str, parse: Callable[[str, str], int]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read it; a default is there already."""
        if isinstance(value, int):
            return value
        try:
            return self._parse(str(value), param.opts[-1] if param is not None else self.name)
        except UsageError as error:
            raise click.UsageError(f"{error.message}. {error.hint}", ctx) from error


class _Part(click.ParamType[float]):
    name = "part"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a percentage as a part of 1; ``unlimited`` is all of it."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        if text == "unlimited":
            return 1.0
        number = text.removesuffix("%")
        fits = text.endswith("%") and _PERCENT.fullmatch(number) is not None
        if not fits or float(number) > _WHOLE:
            name = param.opts[-1] if param is not None else "part"
            raise click.UsageError(
                f"{name} {text!r} is no percentage. Give one up to 100%, such as 5%, or "
                "'unlimited'.",
                ctx,
            )
        return float(number) / _WHOLE


SIZE: Final = _Quantity("size", parse_size)
SPAN: Final = _Quantity("time", parse_seconds)
PART: Final = _Part()


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
