"""How a files source is captured, as far as a person may choose it."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.sources.files.excludes import Line

LARGE = 1 << 20


@dataclass(frozen=True, slots=True)
class FilesOptions:
    """Nothing is left out unless asked for, but for what a ``.strongroomignore`` names.

    ``exclude``: patterns, see ``excludes``. ``exclude_caches``: of a directory with a valid
    ``CACHEDIR.TAG`` only that file is saved. ``larger_than``: regular files of more bytes are left
    out. ``one_file_system``: directories on another file system than their root are saved empty;
    other entries are saved wherever they are. ``large``: from this size on a file is opened and
    not loaded.
    """

    exclude: tuple[Line, ...] = ()
    exclude_caches: bool = False
    larger_than: int | None = None
    one_file_system: bool = False
    large: int = LARGE
