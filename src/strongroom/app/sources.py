"""From what a person names to sources: paths of this machine, or names of the configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.app.folders import host_id, source_name
from strongroom.app.machine import Run
from strongroom.app.named_files import read_named
from strongroom.config.settings import SourceSettings
from strongroom.errors import RefusedError, UsageError
from strongroom.sources.files.excludes import Line, read_lines
from strongroom.sources.files.options import FilesOptions
from strongroom.sources.files.source import FilesSource

_LARGEST_LIST: Final = 16 << 20
_MEANINGFUL: Final = frozenset("\\*?[]!# ")  # in a pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Excludes:
    """What the command line leaves out, of every source; ``larger_than`` in bytes."""

    patterns: Sequence[str] = ()
    files: Sequence[str] = ()
    caches: bool = False
    larger_than: int | None = None
    one_file_system: bool = False


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A source that can be walked, and the absolute paths that it consists of."""

    source: FilesSource
    paths: tuple[bytes, ...]


@contextmanager
def opened_sources(
    run: Run, names: Sequence[str], excludes: Excludes, repository: str | None
) -> Iterator[list[NamedSource]]:
    """Open what is named, each a path or a source of files in the configuration.

    ``repository`` is the folder of the repository, if it is in one: it is never saved into itself.
    """
    with ExitStack() as stack:
        found = [source_of(run, settings, excludes, repository) for settings in _chosen(run, names)]
        for one in found:
            stack.enter_context(one.source)
        yield found


def is_path(text: str) -> bool:
    """Whether an argument is a path; a bare word is a name of the configuration."""
    return "/" in text or text in {".", ".."}


def _chosen(run: Run, names: Sequence[str]) -> list[SourceSettings]:
    settings = run.settings
    chosen = [settings.source(name) for name in dict.fromkeys(names) if not is_path(name)]
    paths = [absolute(settings.folder, text) for text in names if is_path(text)]
    if paths:
        name = source_name(host_id(run), [os.fsencode(path) for path in paths])
        chosen.append(SourceSettings(name, tuple(dict.fromkeys(paths))))
    return chosen


def absolute(folder: Path, text: str) -> Path:
    """Return a path from the root; ``..`` is followed as the system does, links before it too."""
    if "\0" in text:
        raise UsageError(f"not a path: {text!r}")
    path = folder / text
    return Path(os.path.realpath(path)) if ".." in path.parts else path


def source_of(
    run: Run, settings: SourceSettings, excludes: Excludes, repository: str | None
) -> NamedSource:
    """Make a source of what was decided about it; ``repository`` is left out of it."""
    paths = [_normal(absolute(run.settings.folder, str(path))) for path in settings.paths]
    lines = [Line(text, "--exclude") for text in excludes.patterns]
    for name in excludes.files:
        lines += exclude_lines(run.settings.folder / name, name)
    lines += [Line(text, settings.origin) for text in settings.exclude]
    if settings.exclude_file is not None:
        lines += exclude_lines(settings.exclude_file, str(settings.exclude_file))
    if repository is not None:
        lines += [Line(p, "the repository") for p in _without_repository(run, paths, repository)]
    sizes = [s for s in (excludes.larger_than, settings.exclude_larger_than) if s is not None]
    options = FilesOptions(
        exclude=tuple(lines),
        exclude_caches=excludes.caches or settings.exclude_caches,
        larger_than=min(sizes, default=None),
        one_file_system=excludes.one_file_system or settings.one_file_system,
    )
    machine = run.machine
    source = FilesSource(machine.fs, machine.clock, paths, name=settings.name, options=options)
    return NamedSource(source, tuple(paths))


def _normal(path: Path) -> bytes:
    return os.fsencode("/" + str(path).lstrip("/"))


def exclude_lines(path: Path, shown: str) -> list[Line]:
    """Read an exclude file; ``UsageError``."""
    return read_lines(read_named(path, f"the exclude file {shown}", _LARGEST_LIST), shown)


def _without_repository(run: Run, paths: Sequence[bytes], repository: str) -> Iterator[str]:
    """Yield patterns that leave the repository's folder out; ``RefusedError`` if it is all."""
    inside = os.fsencode(os.path.realpath(repository))
    for path in paths:
        real = os.path.realpath(path)
        if real == inside or real.startswith(inside + b"/"):
            raise RefusedError(
                f"{os.fsdecode(path)} is in the repository itself",
                hint="Name what is to be backed up; a repository is copied with its folder.",
            )
        above = real if real.endswith(b"/") else real + b"/"
        if inside.startswith(above):
            below = os.fsdecode(os.path.join(path, inside[len(above) :]))  # noqa: PTH118 - bytes
            run.tell(f"the repository {repository} is left out of its own backup")
            yield literal(below) + "/"


def literal(path: str) -> str:
    """Return a pattern that means this very path."""
    return "".join(f"\\{c}" if c in _MEANINGFUL else c for c in path)
