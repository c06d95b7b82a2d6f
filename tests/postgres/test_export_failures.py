"""Exports of databases that fail, and files of them that are not what they were."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final
from unittest import mock

import pytest

from strongroom.app.export import ExportRequest, export_to_folder
from strongroom.app.machine import Run, this_machine
from strongroom.app.plainfiles import DatabaseForm
from strongroom.cli.common import Common
from strongroom.cli.flags import flags_of
from strongroom.config.environment import read_environment
from strongroom.config.settings import load_settings
from strongroom.errors import StrongroomError
from strongroom.model.events import ignore
from tests.archives.project import QuickFs, within
from tests.cli.harness import Program, Result
from tests.postgres.kit import children_of, configure, is_running, only, started, wait_for
from tests.postgres.test_formats import dump
from tests.support.hook_fs import hook_fs
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("B9")


@pytest.fixture
def saved(server: PostgresServer, program: Program) -> Program:
    """Return the program with a snapshot of the database ``app``."""
    server.make_app()
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    return program


def exported(program: Program, *options: str) -> Path:
    """Export the snapshot; the folder of the archive."""
    program.good("export", "latest", "--to", "out", *options)
    (made,) = (program.folder / "out").iterdir()
    return made


def no_archive(program: Program, result: Result) -> None:
    """Nothing counts as an archive, nothing is left in scratch, and one line says why."""
    assert "Traceback" not in result.err
    assert len([line for line in result.err.splitlines() if line.startswith("error: ")]) == 1
    nothing_left(program)


def nothing_left(program: Program) -> None:
    """No file of an archive that counts, and an empty scratch."""
    for folder in (program.folder / "out").iterdir():
        assert folder.name.endswith("-failed")
        assert [one.suffix for one in folder.iterdir()] == [".log"]
    assert not list((program.cache / "scratch").iterdir())


# -- making


def restoring(server: PostgresServer, folder: Path, text: str) -> str:
    """Return a folder of programs of which pg_restore does what ``text`` says."""
    folder.mkdir()
    for name in ("pg_dump", "pg_dumpall", "psql"):
        (folder / name).symlink_to(server.programs / name)
    path = folder / "pg_restore"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("form", ["dump", "both", "sql"])
def test_a_disk_that_is_full(saved: Program, form: str) -> None:
    """Whatever room there is below what is needed: exit code 1, no archive, a log that says why."""

    class Room:
        def __init__(self, room: int) -> None:
            self.room = room
            self.taken = 0

        def write(self, _fd: int, data: memoryview) -> None:
            if self.taken + len(data) > self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.taken += len(data)

        def unlink(self, _name: bytes, *, dir_fd: int) -> None:
            del dir_fd
            self.room += 1 << 20

    def export(room: Room) -> None:
        out = saved.folder / "out"
        fs = within(out, hook_fs({"write": room.write, "unlink": room.unlink}, within=QuickFs()))
        request = ExportRequest(snapshot="latest", databases=DatabaseForm(form))
        with (
            contextlib.chdir(saved.folder),
            mock.patch.dict(os.environ, saved._environment(None), clear=True),
        ):
            settings = load_settings(flags_of(Common()), read_environment())
            run = Run(settings, replace(this_machine(), fs=fs), ignore)
            export_to_folder(run, request, str(out))

    whole = Room(1 << 30)
    export(whole)
    total = whole.taken
    for part in range(8):
        shutil.rmtree(saved.folder / "out")  # what failed there would be removed, which makes room
        with pytest.raises(StrongroomError, match="no space left") as caught:
            export(Room(total * part // 8))
        assert caught.value.code == 1
        nothing_left(saved)
    shutil.rmtree(saved.folder / "out")
    export(Room(total))
    saved.good("archive", "verify", "--folder", "out")


def test_a_pg_restore_that_is_not_content(server: PostgresServer, saved: Program) -> None:
    """What it says ends the export with exit code 4, also where our own reader finds nothing."""
    text = "cat >/dev/null; echo 'pg_restore: error: it is odd' >&2; exit 1"
    folder = restoring(server, saved.folder / "programs", text)
    configure(saved, server, programs=folder, more=only("app"))
    result = saved.run("export", "latest", "--to", "out")
    assert result.code == 4
    assert "app.dump" in result.err
    assert "it is odd" in result.err
    no_archive(saved, result)


def test_sql_that_does_not_come_to_its_end(server: PostgresServer, saved: Program) -> None:
    """A pg_restore that ends too early, or says nothing, makes no SQL."""
    for number, (text, code) in enumerate([("exit 0", 4), ("echo 'SELECT 1;'; exit 3", 1)]):
        folder = restoring(server, saved.folder / f"programs{number}", text)
        configure(saved, server, programs=folder, more=only("app"))
        result = saved.run("export", "latest", "--to", "out", "--databases", "sql")
        assert result.code == code, result
        no_archive(saved, result)


def test_an_interruption(server: PostgresServer, saved: Program) -> None:
    """SIGINT while pg_restore reads: exit code 130, no archive, no process; the next one works."""
    folder = restoring(server, saved.folder / "programs", "exec sleep 300")
    configure(saved, server, programs=folder, more=only("app"))
    export = started(saved, "export", "latest", "--to", "out")
    try:
        wait_for(lambda: "sleep" in {name for _, name in children_of(export.pid)})
        (child,) = [pid for pid, name in children_of(export.pid) if name == "sleep"]
        export.send_signal(2)
        _, err = export.communicate(timeout=60)
    finally:
        export.kill()
    assert export.returncode == 130, err
    assert not is_running(child)
    nothing_left(saved)
    configure(saved, server, more=only("app"))
    saved.good("export", "latest", "--to", "out")


def test_an_interrupted_import(server: PostgresServer, saved: Program) -> None:
    """SIGTERM while pg_restore reads somebody's dump: exit code 143, no snapshot, no scratch."""
    made = dump(server, "app", saved.folder / "theirs", "-Fc")
    before = saved.good("snapshots", "--json").records
    folder = restoring(server, saved.folder / "programs", "exec sleep 300")
    configure(saved, server, programs=folder, more=only("app"))
    bringing = started(saved, "import", str(made))
    try:
        wait_for(lambda: "sleep" in {name for _, name in children_of(bringing.pid)})
        bringing.terminate()
        _, err = bringing.communicate(timeout=60)
    finally:
        bringing.kill()
    assert bringing.returncode == 143, err
    assert saved.good("snapshots", "--json").records == before
    assert not list((saved.cache / "scratch").iterdir())


def test_no_room_for_a_dump_of_anybody(server: PostgresServer, saved: Program) -> None:
    """Exit code 14, and how to name a folder with more."""
    made = dump(server, "app", saved.folder / "theirs", "-Fc")
    (saved.folder / "file").write_text("")
    configure(saved, server, more=f'{only("app")}\nscratch = "file/below"')
    result = saved.run("import", made, "--name", "db")
    assert result.code == 14
    assert "scratch = " in result.err


def test_a_chunk_of_a_dump_that_cannot_be_read(saved: Program) -> None:
    """Exit code 4, and no archive."""
    for pack in (saved.repository / "packs").rglob("*"):
        if pack.is_file():
            data = bytearray(pack.read_bytes())
            data[len(data) // 2] ^= 1
            pack.chmod(0o600)
            pack.write_bytes(data)
    result = saved.run("export", "latest", "--to", "out")
    assert result.code == 4
    assert "Traceback" not in result.err
    out = saved.folder / "out"
    assert not out.exists() or not list(out.rglob("*.dump"))


def test_no_room_in_scratch(saved: Program, server: PostgresServer) -> None:
    """For SQL it is needed, and nothing of an archive counts without it; a dump does without."""
    (saved.folder / "file").write_text("")
    configure(saved, server, more=f'{only("app")}\nscratch = "file/below"')
    result = saved.run("export", "latest", "--to", "out", "--databases", "both")
    assert result.code == 14
    assert "no room for dumps" in result.err
    nothing_left(saved)
    saved.good("export", "latest", "--to", "out")
    saved.good("dump", "latest", "--database", "app", "--format", "custom")


def test_without_any_pg_restore(saved: Program, server: PostgresServer) -> None:
    """A dump needs none, and is read by our own reader; SQL does, and is refused at once."""
    with (saved.folder / "strongroom.toml").open("w") as file:
        file.write("version = 1\n")  # nobody says where the programs of this version are
    made = exported(saved)
    (one, _) = json.loads((made / "backup-metadata.json").read_text())["plain_files"]
    assert one["verification"] == "structure"
    refused = saved.run("export", "latest", "--to", "other", "--databases", "sql")
    assert refused.code == 14
    assert f"postgresql-client-{server.major}" in refused.err
    assert not (saved.folder / "other").exists()


# -- verifying

Spoil = Callable[[Path], object]


def _cut(made: Path) -> None:
    os.truncate(made / "app.dump", (made / "app.dump").stat().st_size // 2)


def _flip(made: Path) -> None:
    data = bytearray((made / "app.dump").read_bytes())
    data[len(data) * 3 // 4] ^= 4
    (made / "app.dump").write_bytes(data)


def _other_sum(made: Path) -> None:
    sums = made / "backup-checksum.sha256"
    lines = sums.read_text().splitlines()
    changed = ["0" * 64 + line[64:] if line.endswith("app.dump") else line for line in lines]
    sums.write_text("\n".join(changed) + "\n")


def _unnamed(made: Path) -> None:
    sums = made / "backup-checksum.sha256"
    lines = [line for line in sums.read_text().splitlines() if not line.endswith("app.dump")]
    sums.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut, "app.dump"),
        (_flip, "app.dump"),
        (lambda made: (made / "app.dump").unlink(), "app.dump"),
        (lambda made: (made / "globals.sql").unlink(), "globals.sql"),
        (lambda made: os.truncate(made / "globals.sql", 100), "globals.sql"),
        (_other_sum, "different checksums of app.dump"),
        (_unnamed, "different checksums of app.dump"),
    ],
    ids=["cut", "flipped", "missing", "no globals", "globals cut", "other sum", "unnamed"],
)
def test_what_is_not_as_it_was_is_found(saved: Program, spoil: Spoil, said: str) -> None:
    """Exit code 4 and the file, and from then on it counts as damaged."""
    spoil(exported(saved))
    result = saved.run("archive", "verify", "--folder", "out")
    assert result.code == 4, result
    assert said in result.out + result.err
    assert "damaged" in saved.run("archive", "list", "--folder", "out").out
    (made,) = (one for one in (saved.folder / "out").iterdir() if one.is_dir())
    saved.good("import", made)  # of the tar, which is whole
    (tar,) = made.glob("*.tar.gz")
    data = bytearray(tar.read_bytes())
    data[len(data) // 2] ^= 1
    tar.write_bytes(data)
    assert saved.run("import", made).code == 4


@pytest.mark.trial(28)
@pytest.mark.parametrize("programs", [True, False], ids=["pg_restore", "our own reader"])
@pytest.mark.parametrize("packed", [True, False], ids=["compressed", "not compressed"])
@pytest.mark.parametrize("cut", [1, 7, 3000])
def test_a_dump_cut_short_is_found_by_reading_it(
    saved: Program, *, cut: int, packed: bool, programs: bool
) -> None:
    """Also where all checksums are those of what is left; a list of its contents proves nothing."""
    made = exported(saved, *(() if packed else ("--format", "none")))
    if not programs:
        (saved.folder / "strongroom.toml").write_text("version = 1\n")
    os.truncate(made / "app.dump", (made / "app.dump").stat().st_size - cut)
    _make_sums_fit(made)
    subprocess.run(
        ["sha256sum", "-c", "backup-checksum.sha256"], cwd=made, check=True, capture_output=True
    )
    result = saved.run("archive", "verify", "--folder", "out")
    assert result.code == 4, result
    assert "app.dump: the dump is damaged: it is cut short" in result.out + result.err


def test_rows_that_are_gone_are_found(saved: Program) -> None:
    """A whole dump of fewer rows is not the one that was exported."""
    made = exported(saved, "--format", "none")
    data = (made / "app.dump").read_bytes()
    gone = data.replace(b"\n7\t", b"\\7\t", 1)
    assert gone != data
    (made / "app.dump").write_bytes(gone)
    _make_sums_fit(made)
    result = saved.run("archive", "verify", "--folder", "out")
    assert result.code == 4
    assert "1,999 rows, and not 2,000" in result.out + result.err


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"file": "../../key"}, 4), ({"form": "of a later version"}, 0), ({"client": "odd"}, 0)],
)
def test_metadata_of_somebody(saved: Program, changed: dict[str, str], code: int) -> None:
    """A name that leads elsewhere is refused; what is not known is compared by its checksum."""
    made = exported(saved)
    stated = json.loads((made / "backup-metadata.json").read_text())
    stated["plain_files"][0] |= changed
    (made / "backup-metadata.json").write_text(json.dumps(stated))
    sums = made / "backup-checksum.sha256"
    lines = [line for line in sums.read_text().splitlines() if "metadata" not in line]
    sha256 = hashlib.sha256((made / "backup-metadata.json").read_bytes()).hexdigest()
    sums.write_text("\n".join([*lines, f"{sha256}  backup-metadata.json"]) + "\n")
    result = saved.run("archive", "verify", "--folder", "out")
    assert result.code == code, result
    assert "Traceback" not in result.err


def _make_sums_fit(made: Path) -> None:
    """Let the metadata and the checksums say of app.dump what it now is."""
    stated = json.loads((made / "backup-metadata.json").read_text())
    data = (made / "app.dump").read_bytes()
    for one in stated["plain_files"]:
        if one["file"] == "app.dump":
            one |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (made / "backup-metadata.json").write_text(json.dumps(stated))
    names = [line[66:] for line in (made / "backup-checksum.sha256").read_text().splitlines()]
    sums = {name: hashlib.sha256((made / name).read_bytes()).hexdigest() for name in names}
    text = "".join(f"{sha256}  {name}\n" for name, sha256 in sums.items())
    (made / "backup-checksum.sha256").write_text(text)


# -- bringing in


@pytest.mark.parametrize("options", ["-Fc", "-Fc -Z0"])
def test_a_damaged_dump_of_anybody_is_not_imported(
    server: PostgresServer, saved: Program, options: str
) -> None:
    """Cut anywhere, or longer than it was: exit code 4, no snapshot, no scratch."""
    whole = dump(server, "app", saved.folder / "theirs", *options.split()).read_bytes()
    before = saved.good("snapshots", "--json").records
    spoiled = saved.folder / "spoiled"
    places = [12, 300, len(whole) // 3, len(whole) // 2, len(whole) - 5, len(whole) - 1]
    for data in (*(whole[:place] for place in places), whole + b"\1"):
        spoiled.write_bytes(data)
        result = saved.run("import", spoiled)
        assert result.code == 4, (len(data), result)
        assert "Traceback" not in result.err
        assert not list((saved.cache / "scratch").iterdir())
    assert saved.good("snapshots", "--json").records == before


SPOILED_FILES: Final[dict[str, Callable[[Path], object]]] = {
    "missing": lambda file: file.unlink(),
    "cut": lambda file: os.truncate(file, file.stat().st_size - 9),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"x"),
    "cut before it was packed": lambda file: file.write_bytes(
        gzip.compress(gzip.decompress(file.read_bytes())[:-4])
    ),
}


@pytest.mark.parametrize("how", SPOILED_FILES)
def test_a_damaged_folder_of_anybody_is_not_imported(
    server: PostgresServer, saved: Program, how: str
) -> None:
    """A file that is missing, cut, or of another length: exit code 4, and what is wrong."""
    made = dump(server, "app", saved.folder / "theirs", "-Fd")
    (file,) = made.glob("*.dat.gz")
    SPOILED_FILES[how](file)
    result = saved.run("import", made)
    assert result.code == 4, result
    assert file.name in result.err or "cut short" in result.err
    assert not list((saved.cache / "scratch").iterdir())
