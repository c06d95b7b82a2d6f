"""The scripts of the backup procedures guide, written so that they call strongroom."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.errors import RefusedError, StrongroomError
from strongroom.system.causes import cause_of

NAMES: Final = ("backup-system.sh", "verify-backup.sh", "restore-backup.sh")
ASIDE: Final = ".before-strongroom"
_MARK: Final = "# Written by 'strongroom shims install'"
_MODE: Final = 0o755
_LARGEST: Final = 1 << 20
_SHIM: Final = """\
#!/usr/bin/env bash
{mark}; changes are lost when it runs again.
# It works on the project whose folder it was called by, also where scripts/ is a link.
set -euo pipefail
unset CDPATH  # or cd goes elsewhere

called=${{BASH_SOURCE[0]}}
folder=$(cd -L -- "$(dirname -- "$called")" && pwd -L)
real=$(readlink -f -- "$called")
program=({program})
if [[ ! -x ${{program[0]}} ]]; then
  program=(strongroom)
  if ! command -v strongroom >/dev/null; then
    echo "ERROR: strongroom is not installed here: it was {where}" >&2
    echo "Install it, and run 'strongroom shims install' again." >&2
    exit 127
  fi
fi
exec "${{program[@]}}" shims run --project "$(dirname -- "$folder")" \\
  --home "$(dirname -- "$(dirname -- "$real")")" --bash "$BASH_VERSION" {name} "$@"
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """Scripts that were written, and those that were put aside for them."""

    written: Sequence[Path]
    aside: Sequence[Path]


def install(folder: Path, *, replace: bool) -> Installed:
    """Write the scripts; ``RefusedError`` if one would take the place of somebody else's."""
    targets = [folder / name for name in NAMES]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = [path for path in targets if os.path.lexists(path) and not _is_ours(path)]
        if others and not replace:
            raise RefusedError(
                f"{', '.join(map(str, others))}: there already, and not written by strongroom",
                hint=f"With --replace they are kept as NAME{ASIDE}.",
            )
        return Installed(targets, list(_written(targets, others)))
    except OSError as error:
        raise StrongroomError(f"cannot write into {folder}: {cause_of(error)}") from error


def _written(targets: Sequence[Path], others: Sequence[Path]) -> Iterator[Path]:
    for path in targets:
        new = path.with_name(f"{path.name}.new")
        new.write_text(_text(path.name))
        new.chmod(_MODE)
        if path in others:
            yield _put_aside(path)
        new.replace(path)


def _put_aside(path: Path) -> Path:
    """Keep a script under another name, which is free."""
    aside, number = path.with_name(path.name + ASIDE), 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}{ASIDE}.{number}")
    path.rename(aside)
    return aside


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return _MARK.encode() in file.read(_LARGEST)


def _text(name: str) -> str:
    program = _program()
    return _SHIM.format(
        mark=_MARK, program=shlex.join(program), where=program[0], name=shlex.quote(name)
    )


def _program() -> list[str]:
    """Return what starts this program, wherever the caller is."""
    called = Path(sys.argv[0])
    if called.name == "strongroom" and os.access(called, os.X_OK):
        return [str(called.absolute())]
    beside = Path(sys.executable).with_name("strongroom")
    if os.access(beside, os.X_OK):
        return [str(beside)]
    return [sys.executable, "-m", "strongroom.cli.main"]
