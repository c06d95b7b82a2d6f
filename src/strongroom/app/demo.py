"""The demonstration: a project is saved, changed, saved again, lost, and brought back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from strongroom.app.backup import BackupReport, BackupRequest, backup
from strongroom.app.init import init
from strongroom.app.machine import Run
from strongroom.app.restore import RestoreReport, RestoreRequest, restore
from strongroom.app.verify import Wanted, verify
from strongroom.config.places import Place, SecretKind, SecretSetting
from strongroom.config.values import Level, Value
from strongroom.errors import RefusedError, StrongroomError
from strongroom.operations.demo import (
    Seen,
    change_project,
    count_files,
    destroy_project,
    differences,
    look_at,
    make_project,
    total_size,
)


@dataclass(frozen=True, slots=True)
class Made:
    """The project was made; sizes in bytes."""

    folder: str
    files: int
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Initialised:
    """The repository was made."""

    folder: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A backup was made."""

    number: int
    report: BackupReport


@dataclass(frozen=True, slots=True)
class Changed:
    """Files of the project were changed."""

    files: int


@dataclass(frozen=True, slots=True)
class Destroyed:
    """The project was removed."""

    folder: str


@dataclass(frozen=True, slots=True)
class Restored:
    """A snapshot was restored, and compared with what was there when it was made."""

    number: int
    report: RestoreReport
    differences: list[tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class Verified:
    """Every byte of the repository was read."""

    packs: int
    damaged: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Where everything is, for whoever wants to look around."""

    folder: str
    repository: str
    key_file: str


Step = Made | Initialised | Saved | Changed | Destroyed | Restored | Verified | Kept


def demo(run: Run, folder: str | None, tell: Callable[[Step], None], *, keep: bool) -> bool:
    """Run the demonstration in a folder of its own; whether everything came back as it was."""
    with _folder(run, folder, keep=keep) as place:
        good = _Demo(run, place, tell).run()
        if keep:
            tell(Kept(str(place), str(place / "repository"), str(place / "key")))
        return good


class _Demo:
    def __init__(self, run: Run, place: Path, tell: Callable[[Step], None]) -> None:
        key = Value(str(place / "key"), "the demonstration", Level.FLAG)
        settings = replace(
            run.settings,
            place=Place(str(place / "repository"), place, "the demonstration"),
            secrets=(SecretSetting(SecretKind.KEY_FILE, key),),
            cache_dir=place / "cache",
            state_dir=place / "state",
            sources={},
        )
        self._run = Run(settings, run.machine, run.sink)
        self._place = place
        self._project = place / "project"
        self._tell = tell

    def run(self) -> bool:
        project = self._project
        make_project(project)
        first = look_at(project)
        seen = list(first.values())
        self._tell(Made(str(project), count_files(seen), len(seen), total_size(seen)))
        self._tell(Initialised(init(self._run).url))
        first_snapshot = self._save(1)
        self._tell(Changed(change_project(project)))
        second = look_at(project)
        second_snapshot = self._save(2)
        destroy_project(project)
        self._tell(Destroyed(str(project)))
        again = self._restore(2, second_snapshot, project, second)
        earlier = self._place / "as it was first"
        before = self._restore(1, first_snapshot, earlier, first)
        checked = verify(self._run, None, Wanted(read_data=True))
        self._tell(Verified(checked.packs_read, checked.damaged))
        return again and before and not checked.damaged

    def _save(self, number: int) -> str:
        request = BackupRequest(names=[str(self._project)])
        report = backup(self._run, request, totals=False)
        if report.problems:
            problem = report.problems[0]
            path = os.fsdecode(problem.path)
            raise StrongroomError(f"backup {number} is incomplete: {path}: {problem.cause}")
        self._tell(Saved(number, report))
        return report.snapshot.id

    def _restore(self, number: int, snapshot: str, to: Path, wanted: dict[bytes, Seen]) -> bool:
        request = RestoreRequest(snapshot=snapshot, path=str(self._project), to=str(to))
        report = restore(self._run, request, lambda _plan: True)
        if report is None:
            raise StrongroomError(f"restore {number} did not begin")
        found = differences(wanted, look_at(to))
        found += [(problem.path, problem.cause) for problem in (*report.damaged, *report.problems)]
        self._tell(Restored(number, report, found))
        return not found


@contextmanager
def _folder(run: Run, folder: str | None, *, keep: bool) -> Iterator[Path]:
    """Lend a new folder; what is in it is removed at the end, unless it is to be kept."""
    if folder is None:
        place = Path(tempfile.mkdtemp(prefix="strongroom-demo-"))
    else:
        place = run.settings.folder / folder
        if os.path.lexists(place) and (not place.is_dir() or any(place.iterdir())):
            raise RefusedError(
                f"{place} exists already", hint="Give a folder that is new or empty."
            )
    made = not place.exists() or folder is None
    place.mkdir(parents=True, exist_ok=True)
    place = place.resolve()
    try:
        yield place
    finally:
        if not keep:
            destroy_project(place, itself=made)
