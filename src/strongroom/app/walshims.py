"""The scripts that PostgreSQL calls: a thin one to archive, and one to fetch.

A shell starts in a millisecond, and Python without its site in ten: that is all that stands between
the server and the agent. Where no agent answers, the program itself does the work. The shell knows
only the exit codes that PostgreSQL reads, so a missing interpreter is a failure and no end.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.app.addresses import address_of
from strongroom.app.machine import Run
from strongroom.app.walagent import agent_place
from strongroom.config.environment import (
    CACHE_DIR,
    CONFIG,
    KEY_FILE,
    PASSPHRASE_COMMAND,
    PASSPHRASE_FILE,
    REPOSITORY,
    STATE_DIR,
)
from strongroom.config.places import SecretKind, variables_of
from strongroom.config.settings import Settings
from strongroom.config.values import Level
from strongroom.errors import RefusedError, StrongroomError
from strongroom.system.causes import cause_of

PUSH: Final = "strongroom-wal-push"
FETCH: Final = "strongroom-wal-fetch"
_MARK: Final = "# Written by 'strongroom wal shims'; changes are lost when it runs again."
_MODE: Final = 0o755
_VARIABLES: Final = {
    SecretKind.KEY_FILE: KEY_FILE,
    SecretKind.PASSPHRASE_FILE: PASSPHRASE_FILE,
    SecretKind.PASSPHRASE_COMMAND: PASSPHRASE_COMMAND,
}

# Asks the agent. 0: stored. 8: not stored. Anything else: nobody there who can be asked.
_ASK: Final = """\
import _socket as s, sys
try:
    c = s.socket(s.AF_UNIX, s.SOCK_STREAM); c.settimeout(60); c.connect(sys.argv[1])
except OSError:
    sys.exit(7)
try:
    n = lambda t: t.encode("utf-8", "surrogateescape") + bytes(1)
    c.send(n(sys.argv[2]) + n(sys.argv[3])); c.shutdown(s.SHUT_WR)
    a = b""
    while p := c.recv(4096): a += p
except TimeoutError:
    sys.stderr.write("the agent does not answer\\n"); sys.exit(8)
except OSError:
    sys.exit(7)
if a == b"0": sys.exit(0)
if a[:1] == b"1": sys.stderr.write(a[1:].decode("utf-8", "replace") + "\\n"); sys.exit(8)
sys.exit(7)"""

_PUSH_TEXT: Final = """\
#!/bin/sh
{mark}
[ $# -eq 1 ] || {{ echo "usage: {name} %p" >&2; exit 1; }}
trap 'exit 1' HUP INT QUIT TERM
{python} -I -S -c '{ask}' {socket} "$PWD" "$1"
case $? in
  0) exit 0 ;;
  8) exit 1 ;;
esac
{exports}{program} wal push --source {source} -- "$1" && exit 0
exit 1
"""
_FETCH_TEXT: Final = """\
#!/bin/sh
{mark}
[ $# -ge 2 ] || {{ echo "usage: {name} %f %p" >&2; exit 200; }}
trap 'exit 200' HUP INT QUIT TERM
{exports}{program} wal fetch --absent-code 44 "$@"
case $? in
  0) exit 0 ;;
  44) exit 1 ;;
esac
exit 200
"""


class WrittenShims(NamedTuple):
    """Where the scripts are, and what to write into postgresql.conf."""

    push: Path
    fetch: Path
    lines: tuple[str, ...]


def write_shims(run: Run, source: str | None, folder: Path) -> WrittenShims:
    """Write both scripts; ``RefusedError`` if one would take the place of somebody else's."""
    place = agent_place(run, source)
    push, fetch = folder / PUSH, folder / FETCH
    given = {
        "mark": _MARK,
        "exports": "".join(f"export {name}={shlex.quote(v)}\n" for name, v in _said(run.settings)),
        "program": shlex.join([sys.executable, "-P", "-m", "strongroom.cli.entry"]),
        "python": shlex.quote(sys.executable),
        "ask": _ASK,
        "socket": shlex.quote(str(place.socket)),
        "source": shlex.quote(place.source),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in ((push, _PUSH_TEXT), (fetch, _FETCH_TEXT)):
            if os.path.lexists(path) and _MARK not in path.read_text(errors="replace"):
                raise RefusedError(
                    f"{path} is there already, and not written by strongroom",
                    hint="Move it away, or choose another folder.",
                )
            new = path.with_name(f"{path.name}.new")
            new.write_text(text.format(name=path.name, **given))
            new.chmod(_MODE)
            new.replace(path)
    except OSError as error:
        raise StrongroomError(f"cannot write into {folder}: {cause_of(error)}") from error
    return WrittenShims(
        push,
        fetch,
        (
            "archive_mode = on",
            f"archive_command = {_setting(push, '%p')}",
            f"restore_command = {_setting(fetch, '%f', '%p')}",
        ),
    )


def _said(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what the scripts say to the program, for PostgreSQL's environment is empty.

    What the configuration file says is left to it, so that a change there counts.
    """
    place = settings.require_place()
    if settings.config_file is not None:
        yield CONFIG, str(settings.config_file)
    told = variables_of(place)
    yield from told.items()
    if place.name and not told:
        yield REPOSITORY, place.name
    elif not told:
        address = address_of(place)
        yield REPOSITORY, address.path if address.scheme == "file" else place.url
    for secret in settings.secrets:
        if secret.setting.level is not Level.FILE:
            yield _VARIABLES[secret.kind], secret.setting.value
    yield CACHE_DIR, str(settings.cache_dir)
    yield STATE_DIR, str(settings.state_dir)


def _setting(path: Path, *words: str) -> str:
    """Quote a command for the shell, for PostgreSQL's percent signs, and for its settings."""
    program = shlex.quote(str(path)).replace("%", "%%")
    text = " ".join((program, *(f'"{word}"' for word in words)))
    return "'" + text.replace("'", "''") + "'"
