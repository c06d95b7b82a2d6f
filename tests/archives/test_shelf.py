"""The folder of all archives: what counts, what does not, and who holds what."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from strongroom.archive.files import Access, Files, TakenError
from strongroom.archive.metadata import Metadata, write_metadata
from strongroom.archive.naming import ArchiveId, archive_id, failed_id, partial_id
from strongroom.archive.shelf import Shelf, State
from strongroom.errors import NotFoundError
from tests.archives.project import Project, QuickFs, names_in
from tests.cli.harness import COMMAND

KILLED = b"2024 ERROR killed\n"
ONE = ArchiveId("20241219_143022")
pytestmark = pytest.mark.spec("A4", "A7")


@pytest.fixture(name="shelf")
def _shelf(tmp_path: Path) -> Shelf:
    return Shelf(Files(QuickFs(), bytes(tmp_path / "backup"), Access()))


def _put(
    shelf: Shelf,
    one: ArchiveId,
    folder: str = "",
    status: str = "",
    chain: tuple[str, ...] = (),
    created: str = "",
) -> Path:
    path = Path(shelf.path) / (folder or one.folder)
    path.mkdir(parents=True)
    (path / one.archive(".tar.gz")).write_bytes(b"12345")
    metadata = Metadata(
        backup_timestamp=str(one),
        backup_size=5,
        program="strongroom 1",
        verified="now",
        status=status,
        chain=chain,
        created=created,
    )
    (path / one.metadata).write_bytes(write_metadata(metadata))
    return path


def _states(shelf: Shelf) -> dict[str, State]:
    return {str(one.id): one.state for one in shelf.listed()}


@pytest.mark.parametrize(
    "name", ["20241219_143022x", "x20241219_143022", "2024", "pre-restore-", "٢٠٢٤١٢١٩_143022", ""]
)
def test_what_is_no_id(name: str) -> None:
    """Only a moment, with the word of restores before it or not."""
    assert archive_id(name) is None
    assert partial_id(f".partial-{name}") is None
    assert failed_id(f"{name}-failed") is None


def test_ids_come_back() -> None:
    """From folders of every state."""
    for one in (ONE, ArchiveId("20241219_143022", before_restore=True)):
        assert archive_id(one.folder) == one
        assert partial_id(one.partial) == one
        assert failed_id(one.failed) == one
        assert archive_id(one.partial) is None
        assert archive_id(one.failed) is None


def test_states(shelf: Shelf) -> None:
    """Known from the metadata, without reading the archive."""
    _put(shelf, ONE)
    _put(shelf, ArchiveId("20241219_143023"), status="incomplete")
    wrong = _put(shelf, ArchiveId("20241219_143024"))
    (wrong / "backup-20241219_143024.tar.gz").write_bytes(b"1234")
    other = _put(shelf, ArchiveId("20241219_143025"))
    (other / "backup-metadata.json").write_bytes((wrong / "backup-metadata.json").read_bytes())
    two = _put(shelf, ArchiveId("20241219_143026"))
    (two / "backup-20241219_143026.tar.zst").write_bytes(b"x")
    assert [state.name for state in _states(shelf).values()] == [
        *("GOOD", "INCOMPLETE", "DAMAGED", "DAMAGED", "DAMAGED")
    ]
    assert all(one.why for one in shelf.listed() if one.state is not State.GOOD)


def test_chains(shelf: Shelf) -> None:
    """Without a base, or with one that is damaged, what builds on it is damaged too."""
    ids = [f"20241219_14302{n}" for n in range(3)]
    for n, one in enumerate(ids):
        _put(shelf, ArchiveId(one), chain=tuple(ids[: n + 1]))
    assert set(_states(shelf).values()) == {State.GOOD}
    (Path(shelf.path) / ids[0] / f"backup-{ids[0]}.tar.gz").write_bytes(b"")
    assert set(_states(shelf).values()) == {State.DAMAGED}


def test_finding(shelf: Shelf) -> None:
    """By id, with a slash that a shell adds, or the latest; else it is said what there is."""
    with pytest.raises(NotFoundError, match="no archive"):
        shelf.find("latest")
    _put(shelf, ONE)
    _put(shelf, ArchiveId("20251219_143022", before_restore=True))
    assert shelf.find("latest").id == ONE
    assert shelf.find("20241219_143022/").id == ONE
    assert shelf.find("pre-restore-20251219_143022").id.before_restore
    with pytest.raises(NotFoundError, match="pre-restore-20251219_143022"):
        shelf.find("20251219_143022")


def test_who_holds_a_folder(shelf: Shelf) -> None:
    """It is locked before it has its name; nobody settles it, and its id is taken."""
    with shelf.begun(ONE) as inside:
        inside.write("x", b"x")
        (one,) = shelf.listed()
        assert one.why == "a run is at work on it"
        assert shelf.settle(KILLED) == []
        assert names_in(Path(shelf.path)) == [".partial-20241219_143022"]
        with pytest.raises(TakenError), shelf.begun(ONE):
            pass
    (one,) = shelf.listed()
    assert one.why == "its run was killed"
    assert shelf.settle(KILLED) == []
    assert names_in(Path(shelf.path) / ONE.failed) == [ONE.log]
    assert (Path(shelf.path) / ONE.failed / ONE.log).read_bytes() == KILLED
    with pytest.raises(TakenError), shelf.begun(ONE):
        pass


@pytest.mark.parametrize(
    ("there", "after"),
    [
        ([".beginning"], []),
        ([".removed"], []),
        ([".replaced"], [""]),
        ([".replaced", ""], [""]),
        ([".replaced", ".partial"], [""]),
        (["", ".partial"], [""]),
        (["", ".replaced", ".beginning", ".removed"], [""]),
    ],
    ids=str,
)
def test_what_killed_runs_left(shelf: Shelf, there: list[str], after: list[str]) -> None:
    """One run of ``settle`` leaves the archive under its id, or nothing; meanwhile it is listed."""
    for state in there:
        _put(shelf, ONE, f"{state}-{ONE}" if state else "")
    expected = {str(ONE): State.GOOD} if after else {}
    assert _states(shelf) == expected
    assert shelf.settle(KILLED) == []
    assert names_in(Path(shelf.path)) == [str(ONE)] * len(after)
    assert _states(shelf) == expected


@pytest.mark.spec("A1")
def test_many_at_once(project: Project) -> None:
    """Processes that begin in the same second each make an archive, and none disturbs another."""
    command = [*COMMAND, "archive", "create"]
    running = [
        subprocess.Popen(
            command,
            cwd=project.folder,
            env=project.program.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in running]
    assert [code for _, code in ended] == [0] * 4, ended
    assert {one.state for one in project.shelf().listed()} == {State.GOOD}
    assert len(project.names()) == 4
    project.cli("archive", "verify", "--all")


def test_the_end_of_summer_time(shelf: Shelf) -> None:
    """The hour that comes twice: the later archive is the latest, though its name is the lower."""
    before, after = ArchiveId("20251026_025000"), ArchiveId("20251026_021500")
    _put(shelf, before, created="2025-10-26T00:50:00Z")
    _put(shelf, after, created="2025-10-26T01:15:00Z")
    assert [one.id for one in shelf.listed()] == [before, after]
    assert shelf.find("latest").id == after
