"""Real servers archive with ``wal push`` and recover with ``wal fetch``.

What PostgreSQL does with a refusal was measured (``docs/postgres.md``): it takes it for the end,
promotes and is content. So each way in which a segment in the middle can be missing is tried here,
and the server must never be promoted short.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from strongroom.crypto.keytext import text_to_key
from strongroom.repository.records import SlotKind
from strongroom.repository.slots import Secret
from strongroom.repository.wal import archive_of
from strongroom.storage.local import LocalStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.support.kit import Kit
from tests.support.postgres import IN_TURN
from tests.support.wal_server import Place, Server, place_of, wait_for

pytestmark = pytest.mark.spec("C6")

ROWS = 4


def _push(place: Place) -> str:
    return f"{place.program} wal push --source db %p"


def _fetch(place: Place, more: str = "") -> str:
    return f'{place.program} wal fetch {more} "%f" "%p"'


@pytest.mark.parametrize("major", IN_TURN)
def test_every_segment_is_archived_byte_for_byte(major: int, tmp_path: Path) -> None:
    """Under load each segment that the server lets go is in the repository as it was; a backup
    label and a history as well.
    """
    with place_of(major) as place:
        kept = place.top / "kept"
        place.good("--version")
        command = f"mkdir -p {kept} && cp %p {kept}/%f && {_push(place)}"
        server = place.make("main", command).start()
        server.pgbench("-i", "-s", "1", "-I", "dtg")
        server.pgbench("-t", "100", "-c", "2")
        server.base_backup("copy")
        last = server.switch()
        assert wait_for(lambda: server.archived(last) and not server.ready()), server.log
        server.stop()
        names = sorted(path.name for path in kept.iterdir())
        assert len([name for name in names if len(name) == 24]) >= 5
        assert any(name.endswith(".backup") for name in names)
        kit = Kit(LocalStore(PosixFs(), str(place.repository), SystemRandomness()), tmp_path)
        kit.secrets = [Secret(SlotKind.KEY_FILE, text_to_key((place.top / "key").read_text()))]
        archive = archive_of(kit.open())
        (system_id,) = archive.systems()
        listed = {one.name.text: one for one in archive.files(system_id)}
        assert set(names) <= set(listed)
        for name in names:
            assert bytes(archive.get(listed[name])) == (kept / name).read_bytes(), name


@dataclass
class Archived:
    """A base backup, and an archive with a row in each of the segments that follow it."""

    place: Place
    base: Server
    segments: list[str]

    def object_of(self, name: str) -> Path:
        """The file in the repository that holds a segment."""
        (found,) = (self.place.repository / "wal").rglob(name.lower())
        return found


@pytest.fixture(scope="module")
def archived() -> Iterator[Archived]:
    """Return a server's past: a base backup, then a row and a switch, several times."""
    with place_of(15) as place:
        server = place.make("main", _push(place)).start()
        server.sql("CREATE TABLE t (n int)")
        base = server.base_backup("base")
        server.switch()
        segments = []
        for n in range(ROWS):
            server.sql(f"INSERT INTO t VALUES ({n})")
            segments.append(server.switch())
        assert wait_for(lambda: not server.ready()), server.log
        server.stop(signal.SIGQUIT)
        yield Archived(place, base, segments)


def _recovering(archived: Archived, name: str, command: str, more: str = "") -> Server:
    """Return a copy of the base backup that recovers with a command; it is not started."""
    server = archived.place.copy(archived.base, name)
    server.configure(
        f"archive_mode = off\nrestore_command = '{command}'\n"
        f"recovery_target_action = 'promote'\n{more}"
    )
    signal_file = server.data / "recovery.signal"
    signal_file.touch()
    if os.geteuid() == 0:
        os.chown(signal_file, 65534, 65534)
    return server


def _rows(server: Server) -> int:
    return int(server.sql("SELECT count(*) FROM t"))


def _promoted(server: Server) -> bool:
    return server.answers() and server.sql("SELECT pg_is_in_recovery()") == "f"


def test_a_recovery_to_the_end_has_every_row(archived: Archived) -> None:
    """All segments are handed out, the end is the end, and the server opens with all rows."""
    server = _recovering(archived, "whole", _fetch(archived.place))
    server.start()
    assert wait_for(lambda: _promoted(server)), server.log
    assert _rows(server) == ROWS
    server.stop()


def _without(path: Path) -> Callable[[], None]:
    content = path.read_bytes()
    path.unlink()
    return lambda: _put_back(path, content)


def _changed(path: Path) -> Callable[[], None]:
    content = path.read_bytes()
    middle = len(content) // 2
    _put_back(path, content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    return lambda: _put_back(path, content)


def _cut(path: Path) -> Callable[[], None]:
    content = path.read_bytes()
    _put_back(path, content[: len(content) // 2])
    return lambda: _put_back(path, content)


def _empty(path: Path) -> Callable[[], None]:
    content = path.read_bytes()
    _put_back(path, b"")
    return lambda: _put_back(path, content)


def _another(path: Path) -> Callable[[], None]:
    """The segment before it, at its place: sound, signed, of the right size, and not it."""
    content = path.read_bytes()
    others = sorted(path.parent.iterdir())
    _put_back(path, others[others.index(path) - 1].read_bytes())
    return lambda: _put_back(path, content)


def _put_back(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(0o644)


HARM: dict[str, Callable[[Path], Callable[[], None]]] = {
    "missing": _without,
    "changed": _changed,
    "truncated": _cut,
    "empty": _empty,
    "another": _another,
}


@pytest.mark.trial(10)
@pytest.mark.spec("C7")
@pytest.mark.parametrize("harm", HARM)
def test_a_bad_segment_in_the_middle_stops_the_recovery(archived: Archived, harm: str) -> None:
    """The server stops and says why; made good, the same server goes on and has every row."""
    make_good = HARM[harm](archived.object_of(archived.segments[1]))
    server = _recovering(archived, harm, _fetch(archived.place))
    try:
        assert server.launch().wait(60) != 0
        assert archived.segments[1] in server.log
        assert "exit code 200" in server.log
        assert "archive recovery complete" not in server.log
    finally:
        make_good()
    server.start()
    assert wait_for(lambda: _promoted(server)), server.log
    assert _rows(server) == ROWS
    server.stop()


CAUSES = {
    "unreachable": ("--repository /nowhere", "no repository at /nowhere"),
    "wrong key": ("--key-file /dev/null", "key"),
    "usage": ("--bogus", "no such option"),
    "other cluster": ("--system-id 77", "is of cluster"),
    "no time": ("--timeout 1s --limit-download 1", "no answer within 1 seconds"),
}


@pytest.mark.trial(11, 20)
@pytest.mark.spec("C7")
@pytest.mark.parametrize("cause", CAUSES)
def test_a_command_that_cannot_know_stops_the_recovery(archived: Archived, cause: str) -> None:
    """An archive that cannot be asked is not taken for one that has ended."""
    more, said = CAUSES[cause]
    server = _recovering(archived, cause.replace(" ", "_"), _fetch(archived.place, more))
    assert server.launch().wait(60) != 0
    assert said in server.log
    assert "exit code 200" in server.log


@pytest.mark.trial(11)
@pytest.mark.spec("C7")
def test_an_archive_that_goes_away_in_the_middle(archived: Archived) -> None:
    """The server stops, and does not open short; when the archive is back it goes on from where it
    was, and has every row.
    """
    place, away = archived.place, archived.place.top / "away"
    cut = f"if [ %f = {archived.segments[1]} ]; then mv {place.repository} {away}; fi"
    server = _recovering(archived, "cut", f"{cut}; exec {_fetch(place)}")
    try:
        assert server.launch().wait(60) != 0
        assert "exit code 200" in server.log
        assert "archive recovery complete" not in server.log
    finally:
        away.rename(place.repository)
    server.configure(f"restore_command = '{_fetch(place)}'\n")
    server.start()
    assert wait_for(lambda: _promoted(server)), server.log
    assert _rows(server) == ROWS
    server.stop()


@pytest.mark.spec("C7")
def test_a_command_that_is_killed_stops_the_recovery(archived: Archived) -> None:
    """Killed from outside, at a segment in the middle, it is no end of the archive."""
    kill = f"if [ %f = {archived.segments[1]} ]; then kill -9 $$; fi; exec {_fetch(archived.place)}"
    server = _recovering(archived, "killed", kill)
    assert server.launch().wait(60) != 0
    assert "archive recovery complete" not in server.log
    assert "was terminated by signal 9" in server.log or "exit code 137" in server.log


@pytest.mark.spec("C7")
def test_a_broken_installation_stops_the_recovery(archived: Archived) -> None:
    """A module that cannot be loaded is no end of the archive."""
    broken = archived.place.top / "broken"
    broken.mkdir(exist_ok=True)
    (broken / "click.py").write_text("raise ImportError('broken')\n")
    script = archived.place.top / "broken.sh"
    text = archived.place.program.read_text().replace("PYTHONPATH=", f"PYTHONPATH={broken}:")
    script.write_text(text)
    script.chmod(0o755)
    server = _recovering(archived, "import", f'{script} wal fetch "%f" "%p"')
    assert server.launch().wait(60) != 0
    assert "exit code 200" in server.log


@pytest.mark.spec("C7")
def test_a_hole_can_be_taken_for_the_end_on_purpose(archived: Archived) -> None:
    """With --past-holes the server opens with what is before the hole, and is told so."""
    make_good = _without(archived.object_of(archived.segments[2]))
    try:
        server = _recovering(archived, "past", _fetch(archived.place, "--past-holes")).start()
        assert wait_for(lambda: _promoted(server)), server.log
        assert _rows(server) == 2
        assert "taken for the end" in server.log
        server.stop()
    finally:
        make_good()


def test_a_standby_asks_again(archived: Archived) -> None:
    """With --standby an archive that cannot be asked is 1: the standby waits and goes on later."""
    place = archived.place
    flag = place.top / "reachable"
    command = (
        f"if [ -e {flag} ]; then exec {_fetch(place, '--standby')}; "
        f"else exec {_fetch(place, '--standby --repository /nowhere')}; fi"
    )
    server = _recovering(archived, "standby", command)
    (server.data / "recovery.signal").rename(server.data / "standby.signal")
    server.configure("hot_standby = on\n")
    process = server.launch()
    assert wait_for(lambda: "no repository at /nowhere" in server.log)
    assert process.poll() is None
    flag.touch()
    assert wait_for(lambda: server.answers() and _rows(server) == ROWS), server.log
    assert server.sql("SELECT pg_is_in_recovery()") == "t"
    server.stop()
