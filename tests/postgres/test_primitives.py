"""Names, connection strings, programs and records, without a server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import DamageError, RefusedError, SourceError, UsageError
from strongroom.model.spawn import Attended
from strongroom.postgres.catalog import Locale
from strongroom.postgres.client import Client
from strongroom.postgres.connection import Connection, client_environment
from strongroom.postgres.custom import FolderFiles, custom_pieces
from strongroom.postgres.names import folder_name, identifier, literal
from strongroom.postgres.programs import Programs, choose, choose_sound, find_programs
from strongroom.postgres.record import Record, Table, decoded
from strongroom.postgres.recordtext import encoded
from strongroom.system.spawn import SystemSpawn
from tests.postgres.kit import is_running, wait_for

NAMES = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=63)
RECORD = Record(
    version=1,
    database="a",
    server="18.4",
    client="18.4",
    major=18,
    time="2026-11-26T18:00:00Z",
    lsn="0/1",
    owner="x",
    locale=Locale("UTF8", "C", "C"),
    extensions={"plpgsql": "1.0"},
    tables=(Table("s", "t", "1.dat", 3),),
)


@given(NAMES, NAMES)
def test_names_of_folders(one: str, other: str) -> None:
    """Two databases never share a folder, and none leaves the folder that all are in."""
    first, second = folder_name(one), folder_name(other)
    assert (first == second) == (one == other)
    assert "/" not in first
    assert first not in {".", "..", "globals.sql"}


@given(NAMES)
def test_an_identifier_is_one_word(name: str) -> None:
    """Whatever is in it, it ends where it ends: quotes inside are doubled."""
    inner = identifier(name)[1:-1]
    assert inner.replace('""', "").count('"') == 0
    assert inner.replace('""', '"') == name
    assert literal("a'b\\c") == " E'a''b\\\\c'"


def test_a_connection_string_holds_no_password_and_any_name() -> None:
    """Names with quotes, equals signs and backslashes are one value; a password is in the file."""
    connection = Connection(host="h", port=5433, user="u'v", password="p:w\\d")
    text = connection.string("dbname=x host='evil'\\")
    assert "dbname='dbname=x host=\\'evil\\'\\\\'" in text
    assert "user='u\\'v'" in text
    assert "p:w" not in text
    assert "p:w" not in repr(connection)
    assert connection.password_file() == b"*:*:*:*:p\\:w\\\\d\n"
    assert connection.redacted("failed for p:w\\d!") == "failed for (hidden)!"
    with pytest.raises(UsageError, match="several lines"):
        Connection(password="a\nb").password_file()


def test_clients_see_a_short_list_of_our_environment() -> None:
    """What names a server or changes what it does is left out."""
    ours = {"PATH": "/bin", "PGHOST": "h", "PGOPTIONS": "-c x=y", "DB_PASSWORD": "s", "HOME": "/h"}
    assert client_environment(ours, "/f") == {
        "PATH": "/bin",
        "HOME": "/h",
        "LC_ALL": "C.UTF-8",
        "PGPASSFILE": "/f",
    }


def _installed(folder: Path, says: str, *, lacks: str = "") -> Path:
    folder.mkdir(parents=True)
    for name in {"pg_dump", "pg_dumpall", "pg_restore", "psql"} - {lacks}:
        (folder / name).write_text(f"#!/bin/sh\n{says}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.spec("C9")
def test_the_oldest_version_that_is_new_enough(tmp_path: Path) -> None:
    """Several versions: neither the first found nor the newest; what is broken does not count."""
    folders = [
        _installed(tmp_path / "18", "echo 'pg_dump (PostgreSQL) 18.4'"),
        _installed(tmp_path / "15", "echo 'pg_dump (PostgreSQL) 15.9 (Debian 15.9-1)'"),
        _installed(tmp_path / "17", "echo 'pg_dump (PostgreSQL) 17beta1'"),
        _installed(tmp_path / "13", "echo 'pg_dump (PostgreSQL) 13.1'", lacks="psql"),
        _installed(tmp_path / "12", "exit 1"),
        tmp_path / "nowhere",
    ]
    found = find_programs(SystemSpawn(), folders, "")
    assert [(one.major, one.version) for one in found] == [
        (15, "15.9"),
        (17, "17beta1"),
        (18, "18.4"),
    ]
    assert choose(found, 14, "it").major == 15
    assert choose(found, 16, "it").folder == tmp_path / "17"
    with pytest.raises(SourceError, match="it is of PostgreSQL 19") as error:
        choose(found, 19, "it")
    assert "postgresql-client-19" in error.value.hint
    with pytest.raises(SourceError, match="none are here"):
        choose([], 15, "it")


@pytest.mark.spec("C4", "C9")
@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ("13.21", False),
        ("13.22", True),
        ("14.18", False),
        ("15.13", False),
        ("15.14", True),
        ("16.9", False),
        ("16.10", True),
        ("17.5", False),
        ("17.6", True),
        ("17beta1", True),  # of those that build it themselves
        ("12.22", False),
        ("18.0", True),
    ],
)
def test_versions_with_known_holes(tmp_path: Path, version: str, sound: bool) -> None:  # noqa: FBT001
    """Programs before the minor versions of August 2025 restore nothing."""
    folder = _installed(tmp_path / "x", f"echo 'pg_dump (PostgreSQL) {version}'")
    (programs,) = find_programs(SystemSpawn(), [folder], "")
    assert programs.sound == sound


@pytest.mark.spec("C4", "C9")
def test_a_sound_version_is_chosen(tmp_path: Path) -> None:
    """The oldest that is new enough and sound; else it is refused, with what to install."""
    folders = [
        _installed(tmp_path / "15", "echo 'pg_dump (PostgreSQL) 15.13'"),
        _installed(tmp_path / "16", "echo 'pg_dump (PostgreSQL) 16.10'"),
    ]
    found = find_programs(SystemSpawn(), folders, "")
    assert choose_sound(found, 15, "it").major == 16
    with pytest.raises(RefusedError, match=r"15\.13 in .*/15 has CVE-2025-8715") as error:
        choose_sound(found[:1], 15, "it")
    assert "15.14" in error.value.hint
    with pytest.raises(SourceError, match="it is of PostgreSQL 17"):
        choose_sound(found, 17, "it")


def test_the_wrapper_of_debian_is_passed_over(tmp_path: Path) -> None:
    """It chooses a version by the clusters of this machine, which is not the server's."""
    folder = _installed(tmp_path / "wrapped", "echo 'pg_dump (PostgreSQL) 99.1'")
    (folder / "pg_dump").rename(folder / "pg_wrapper")
    (folder / "pg_dump").symlink_to("pg_wrapper")
    real = _installed(tmp_path / "real", "echo 'pg_dump (PostgreSQL) 98.1'")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "pg_dump").symlink_to(real / "pg_dump")
    found = find_programs(SystemSpawn(), [], f"{folder}:{linked}:relative")
    majors = [one.major for one in found]
    assert 99 not in majors
    assert 98 in majors


def test_a_record_keeps_names_of_any_bytes() -> None:
    """A database in SQL_ASCII may have names that are no UTF-8."""
    table = Table(os.fsdecode(b"\xff"), 'a"\n漢', "2.dat", 0)
    odd = msgspec.structs.replace(RECORD, tables=(table,))
    assert decoded(encoded(odd)) == odd


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"{" * 100_000,
        encoded(RECORD)[:-5],
        json.dumps({**json.loads(encoded(RECORD)), "version": 2}).encode(),
        json.dumps({**json.loads(encoded(RECORD)), "tables": [1]}).encode(),
    ],
)
def test_a_record_that_is_none_is_damage(data: bytes) -> None:
    """Never a crash."""
    with pytest.raises(DamageError, match="record of the dump"):
        decoded(data)


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """With all of its group."""
    script = tmp_path / "stubborn"
    script.write_text(
        "#!/bin/sh\ntrap '' TERM\nsleep 600 &\necho $! \necho said >&2\nread x\nwait\n"
    )
    script.chmod(0o755)
    programs = Programs(tmp_path, 18, "18")
    client = Client(SystemSpawn(), Connection(), programs, {"PATH": os.environ["PATH"]})
    with client.attended("stubborn", []) as child:
        below = int(child.line())
        assert child.ended(0.05) is None
        child.send(b"x\n")
    wait_for(lambda: not is_running(below))


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_table_of_contents_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int
) -> None:
    """Bytes that pg_dump never wrote are damage, not a crash."""
    folder = tmp_path_factory.getbasetemp()
    for content in (data, b"PGDMP\x01\x10\x00\x04\x08\x03" + data, (b"PGDMP" + data)[:cut]):
        (folder / "toc.dat").write_bytes(content)
        with pytest.raises(Exception) as error:  # noqa: PT011 - which one is looked at
            list(custom_pieces(FolderFiles(folder)))
        assert type(error.value).__module__ == "strongroom.errors"


class _Slow:
    """A child that takes three looks until it ends."""

    def __init__(self) -> None:
        self.looks = 0
        self.killed = 0

    def readinto(self, buffer: memoryview) -> int:
        del buffer
        return 0

    def wait(self) -> int:
        return 0

    def kill(self) -> None:
        self.killed += 1

    @property
    def input(self) -> int:
        return -1

    def send(self, data: bytes) -> None:
        del data

    def line(self) -> bytes:
        return b""

    def end_input(self) -> None:
        pass

    def ended(self, seconds: float) -> int | None:
        assert seconds < 60
        self.looks += 1
        return 0 if self.looks > 2 else None

    def hold(self) -> None:
        pass

    def go_on(self) -> None:
        pass

    def said(self) -> bytes:
        return b""


class _SpawnOf(SystemSpawn):
    """A port at which one child can be started."""

    def __init__(self, child: Attended) -> None:
        self._child = child

    def attend(self, command: Sequence[str], *, environment: Mapping[str, str]) -> Any:  # noqa: ANN401
        del command, environment
        return self._child


def test_a_long_dump_lets_others_work_meanwhile() -> None:
    """It yields now and then, for signs of life; whoever stops listening ends it."""
    for listens in (True, False):
        child = _Slow()
        client = Client(_SpawnOf(child), Connection(), Programs(Path("/x"), 18, "18"), {})
        working = client.working("pg_dump", [], "dumping")
        if listens:
            assert len(list(working)) == 2
        else:
            next(working)
            working.close()
        assert child.killed == 1
