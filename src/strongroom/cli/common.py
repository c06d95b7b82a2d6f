"""The options that every verb takes, before its name or after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import click

from strongroom.cli.completing import Complete, files, folders, repositories

F = TypeVar("F", bound=Callable[..., object])

_KEY: Final = "strongroom.cli.common"


@dataclass(slots=True)
class Common:
    """What was said; None where nothing was."""

    repository: str | None = None
    passphrase_file: str | None = None
    passphrase_command: str | None = None
    key_file: str | None = None
    cache_dir: str | None = None
    config: str | None = None
    as_of: str | None = None
    limit_upload: str | None = None
    limit_download: str | None = None
    nice: bool | None = None
    json: bool | None = None
    quiet: bool | None = None
    debug: bool | None = None


def common() -> Common:
    """Return the common options of the command that runs."""
    return common_of(click.get_current_context())


def common_of(context: click.Context) -> Common:
    """Return the common options that were said to a command."""
    kept = context.find_root().meta.setdefault(_KEY, Common())
    if not isinstance(kept, Common):
        raise TypeError(_KEY)
    return kept


def common_options(function: F) -> F:
    """Add the common options to a command; ``common`` returns them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def as_of_option(function: F) -> F:
    """Add ``--as-of`` to a command that only reads; ``common`` returns it."""
    add: Callable[[F], F] = _text(
        "--as-of",
        metavar="TIME",
        text="Read the repository as it was then, in a bucket that keeps versions.",
    )
    return add(function)


def _keep(_context: click.Context, parameter: click.Parameter, value: str | bool | None) -> None:  # noqa: FBT001
    """Keep a value; the same option given twice with different values is refused."""
    if value is None or value is False:
        return
    kept = common()
    name = str(parameter.name)
    before = getattr(kept, name)
    if before is not None and before != value:
        raise click.UsageError(
            f"--{name.replace('_', '-')} is given twice, as {before!r} and {value!r}"
        )
    if value == "":
        raise click.UsageError(f"--{name.replace('_', '-')} is empty")
    setattr(kept, name, value)


def _text(
    *names: str, metavar: str, text: str, complete: Complete | None = None
) -> Callable[[F], F]:
    return click.option(
        *names,
        metavar=metavar,
        help=text,
        callback=_keep,
        expose_value=False,
        is_eager=True,
        shell_complete=complete,
    )


def _flag(*names: str, text: str) -> Callable[[F], F]:
    return click.option(
        *names, is_flag=True, help=text, callback=_keep, expose_value=False, is_eager=True
    )


_OPTIONS: Final = (
    _text(
        "-r",
        "--repository",
        metavar="FOLDER",
        text="Where the repository is: a folder, s3://BUCKET/PREFIX, or a configured name.",
        complete=repositories,
    ),
    _text(
        "--passphrase-file", metavar="FILE", text="Read the passphrase from a file.", complete=files
    ),
    _text("--passphrase-command", metavar="COMMAND", text="Read the passphrase from a command."),
    _text(
        "--key-file", metavar="FILE", text="Open the repository with a key file.", complete=files
    ),
    _text("--config", metavar="FILE", text="Use this strongroom.toml.", complete=files),
    _text("--cache-dir", metavar="FOLDER", text="Where caches are kept.", complete=folders),
    _text(
        "--limit-upload", metavar="RATE", text="Send at most so many bytes a second (500K, 20M)."
    ),
    _text("--limit-download", metavar="RATE", text="Read at most so many bytes a second."),
    _flag("--nice", text="Let others use processors and disks first; for scheduled runs."),
    _flag("--json", text="Print JSON lines."),
    _flag("-q", "--quiet", text="Print nothing but errors and what was asked for."),
    _flag("--debug", text="Show the traceback of an error."),
)
