"""``strongroom wal`` as PostgreSQL, a person and a monitor call it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from strongroom.cli import common
from strongroom.cli.entry import failed_code
from strongroom.postgres.wal.names import WalName
from strongroom.postgres.wal.pages import Cluster
from tests.cli.harness import Program
from tests.support.wal import CLUSTER, OTHER_SYSTEM, SIZE, SYSTEM, history, numbered, segment

pytestmark = pytest.mark.spec("C6")

ENTRY = (sys.executable, "-m", "strongroom.cli.entry")
NOT_STORED, NOT_FETCHED = 1, 200


@pytest.fixture
def cluster(program: Program) -> Program:
    """A data folder with the segments 1, 2 and 4, to be archived from."""
    (program.folder / "pg_wal").mkdir()
    (program.folder / "global").mkdir()
    (program.folder / "global/pg_control").write_bytes(SYSTEM.to_bytes(8, sys.byteorder) + bytes(8))
    for number in (1, 2, 4):
        _write(program, numbered(number))
    return program


def _write(program: Program, name: WalName, seed: str = "", of: Cluster = CLUSTER) -> Path:
    path = program.folder / "pg_wal" / name.text
    path.write_bytes(segment(name, seed, of))
    return path


def _run(program: Program, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run it as a process, as PostgreSQL does."""
    return subprocess.run(
        [*ENTRY, *words],
        cwd=program.folder,
        env={**program.environment, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _archive(program: Program, *numbers: int) -> None:
    for number in numbers:
        program.good("wal", "push", "--source", "db", f"pg_wal/{numbered(number).text}")


def test_push_and_fetch(cluster: Program) -> None:
    """What was archived is handed out as it was; 0 is said for it and for the same once more."""
    path = f"pg_wal/{numbered(1).text}"
    assert _run(cluster, "wal", "push", "--source", "db", path).returncode == 0
    again = _run(cluster, "wal", "push", "--source", "db", path)
    assert (again.returncode, "archived before" in again.stderr) == (0, True)
    got = _run(cluster, "wal", "fetch", numbered(1).text, "pg_wal/RECOVERYXLOG")
    assert got.returncode == 0
    assert (cluster.folder / "pg_wal/RECOVERYXLOG").read_bytes() == segment(numbered(1))
    assert not list(cluster.folder.glob("pg_wal/*.strongroom"))


@pytest.mark.trial(14)
def test_other_bytes_under_the_name_are_refused(cluster: Program) -> None:
    """Nothing is overwritten, and the server keeps its file."""
    _archive(cluster, 1)
    _write(cluster, numbered(1), "other")
    done = _run(cluster, "wal", "push", "--source", "db", f"pg_wal/{numbered(1).text}")
    assert done.returncode == NOT_STORED
    assert "with other content" in done.stderr
    _run(cluster, "wal", "fetch", numbered(1).text, "out")
    assert (cluster.folder / "out").read_bytes() == segment(numbered(1))


@pytest.mark.trial(16)
def test_two_clusters_under_one_name_are_refused(cluster: Program) -> None:
    """Both ids are named, and what to do if it is meant; then it is done."""
    _archive(cluster, 1)
    other = Cluster(OTHER_SYSTEM, SIZE)
    path = _write(cluster, numbered(2), of=other)
    done = _run(cluster, "wal", "push", "--source", "db", str(path))
    assert done.returncode == NOT_STORED
    assert str(SYSTEM) in done.stderr
    assert f"strongroom wal accept --source db {OTHER_SYSTEM}" in done.stderr
    cluster.good("wal", "accept", "--source", "db", str(OTHER_SYSTEM), "--segment-size", "1M")
    assert _run(cluster, "wal", "push", "--source", "db", str(path)).returncode == 0
    _write(cluster, numbered(2))
    assert _run(cluster, "wal", "push", "--source", "db", str(path)).returncode == NOT_STORED


def test_absent_is_said_only_of_the_end(cluster: Program) -> None:
    """After the last segment: 1. In the middle: 200, and the sentence that names the hole."""
    _archive(cluster, 1, 2, 4)
    assert _run(cluster, "wal", "fetch", numbered(5).text, "out").returncode == 1
    assert _run(cluster, "wal", "fetch", "00000002.history", "out").returncode == 1
    hole = _run(cluster, "wal", "fetch", numbered(3).text, "out")
    assert hole.returncode == NOT_FETCHED
    assert f"{numbered(3).text} is missing, and {numbered(4).text}" in hole.stderr
    assert not (cluster.folder / "out").exists()
    past = _run(cluster, "wal", "fetch", numbered(3).text, "out", "--past-holes")
    assert past.returncode == 1
    code = _run(cluster, "wal", "fetch", numbered(5).text, "out", "--absent-code", "44")
    assert code.returncode == 44


def test_what_follows_is_handed_out_ahead(cluster: Program) -> None:
    """Into the folder that is named, by the names of segments; nothing where nothing follows."""
    _archive(cluster, 1, 2, 4)
    words = ("wal", "fetch", "--ahead", "ahead", "--json")
    done = _run(cluster, *words, numbered(1).text, "out")
    assert done.returncode == 0, done
    assert '"ahead":2' in done.stdout
    for number in (2, 4):
        name = numbered(number).text
        kept = (cluster.folder / "pg_wal" / name).read_bytes()
        assert (cluster.folder / "ahead" / name).read_bytes() == kept
    assert _run(cluster, *words, numbered(5).text, "out").returncode == 1


def test_a_partial_segment_is_handed_out_at_the_end(cluster: Program) -> None:
    """The last content of what was archived in part is better than nothing, if nothing follows."""
    _archive(cluster, 1, 2)
    for seed in ("first", "second"):
        path = cluster.folder / f"pg_wal/{numbered(3).text}.partial"
        path.write_bytes(segment(numbered(3), seed))
        cluster.good("wal", "push", "--source", "db", str(path))
    done = _run(cluster, "wal", "fetch", numbered(3).text, "out")
    assert done.returncode == 0
    assert (cluster.folder / "out").read_bytes() == segment(numbered(3), "second")
    _archive(cluster, 4)
    assert _run(cluster, "wal", "fetch", numbered(3).text, "out").returncode == NOT_FETCHED


def test_a_history_is_told_from_its_neighbours(cluster: Program) -> None:
    """Whose it is, is read from the segments beside it."""
    path = cluster.folder / "pg_wal/00000002.history"
    path.write_bytes(history((1, "0/200000")))
    cluster.good("wal", "push", "--source", "db", str(path))
    assert _run(cluster, "wal", "fetch", "00000002.history", "out").returncode == 0
    assert (cluster.folder / "out").read_bytes() == path.read_bytes()
    alone = cluster.folder / "alone"
    alone.mkdir()
    (alone / "00000002.history").write_bytes(path.read_bytes())
    assert _run(
        cluster, "wal", "push", "--source", "db", str(alone / "00000002.history")
    ).returncode == (NOT_STORED)


WRONG: dict[str, Sequence[str]] = {
    "no name": ("x", "out"),
    "nothing said": (),
    "bad option": ("--bogus",),
    "bad option before": ("000000010000000000000009", "out", "--limit-download", "x"),
    "no repository": ("-r", "/nowhere", "000000010000000000000009", "out"),
    "no key": ("--key-file", "/nowhere", "000000010000000000000009", "out"),
    "wrong cluster": ("--system-id", "7", "000000010000000000000009", "out"),
    "no folder": ("000000010000000000000001", "/nowhere/out"),
    "no writer": ("--writer", "nobody", "000000010000000000000001", "out"),
    "no configuration": ("--config", "/nowhere", "000000010000000000000001", "out"),
}


@pytest.mark.parametrize("case", WRONG)
def test_whatever_is_wrong_is_no_end_of_the_archive(cluster: Program, case: str) -> None:
    """Only what was proven is 1; for a standby, which asks again, everything is."""
    _archive(cluster, 1)
    assert _run(cluster, "wal", "fetch", *WRONG[case]).returncode == NOT_FETCHED
    assert _run(cluster, "wal", "fetch", "--standby", *WRONG[case]).returncode == 1


PUSHES: dict[str, Sequence[str]] = {
    "no name": ("--source", "db", "pg_wal/x"),
    "nothing said": (),
    "bad option": ("--bogus",),
    "no source": ("pg_wal/000000010000000000000001",),
    "no file": ("--source", "db", "pg_wal/000000010000000000000009"),
    "a folder": ("--source", "db", "pg_wal"),
    "no repository": ("-r", "/nowhere", "--source", "db", "pg_wal/000000010000000000000001"),
    "no key": ("--key-file", "/nowhere", "--source", "db", "pg_wal/000000010000000000000001"),
}


@pytest.mark.parametrize("case", PUSHES)
def test_whatever_is_wrong_is_not_archived(cluster: Program, case: str) -> None:
    """The only other code of a push is 1."""
    assert _run(cluster, "wal", "push", *PUSHES[case]).returncode == NOT_STORED


@pytest.mark.parametrize("module", ["click", "msgspec", "cryptography", "strongroom.app.wal"])
def test_a_module_that_cannot_be_loaded(cluster: Program, module: str) -> None:
    """A broken installation archives nothing, and ends no archive."""
    _archive(cluster, 1)
    code = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv[:] = ['strongroom', *{{words!r}}]; "
        "from strongroom.cli.entry import main; sys.exit(main())"
    )
    for words, expected in (
        (["wal", "fetch", "000000010000000000000009", "out"], NOT_FETCHED),
        (["wal", "push", "--source", "db", "pg_wal/000000010000000000000002"], NOT_STORED),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code.format(words=words)],
            cwd=cluster.folder,
            env=cluster.environment,
            capture_output=True,
            check=False,
        )
        assert done.returncode == expected, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
@pytest.mark.parametrize(("verb", "expected"), [("push", NOT_STORED), ("fetch", NOT_FETCHED)])
def test_asked_to_stop(cluster: Program, number: signal.Signals, verb: str, expected: int) -> None:
    """A signal is a failure in PostgreSQL's words, once or twice, early or late."""
    _archive(cluster, 1)
    words = {
        "push": ["--source", "db", "pg_wal/000000010000000000000002", "--limit-upload", "1"],
        "fetch": ["000000010000000000000001", "out", "--limit-download", "1"],
    }
    process = subprocess.Popen(
        [*ENTRY, "wal", verb, *words[verb]],
        cwd=cluster.folder,
        env=cluster.environment,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(0.8)
    process.send_signal(number)
    time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(30) == expected


@pytest.mark.parametrize(("verb", "expected"), [("push", NOT_STORED), ("fetch", NOT_FETCHED)])
def test_time_is_bounded(cluster: Program, verb: str, expected: int) -> None:
    """What takes too long ends as a failure, and says so."""
    _archive(cluster, 1)
    words = {
        "push": ["--source", "db", "pg_wal/000000010000000000000002", "--limit-upload", "1"],
        "fetch": ["000000010000000000000001", "out", "--limit-download", "1"],
    }
    done = _run(cluster, "wal", verb, *words[verb], "--timeout", "1s")
    assert done.returncode == expected
    assert "no answer within 1 seconds" in done.stderr


def test_no_other_command_changes_its_codes() -> None:
    """Words that look alike are none of PostgreSQL's commands."""
    assert failed_code(["backup", "wal", "push"]) is None
    assert failed_code(["wal", "status", "push"]) is None
    assert failed_code(["--config", "wal", "backup", "push"]) is None
    assert failed_code(["-r", "wal", "wal", "push", "x"]) == NOT_STORED
    assert failed_code(["wal", "--json", "fetch", "x", "y"]) == NOT_FETCHED
    assert failed_code(["wal", "fetch", "--standby", "x", "y"]) == 1
    takes_value = {
        name
        for option in common._OPTIONS
        for parameter in option(lambda: None).__click_params__  # type: ignore[attr-defined]
        if not parameter.is_flag
        for name in parameter.opts
    }
    for name in takes_value:
        assert failed_code([name, "x", "wal", "push"]) == NOT_STORED, name


def test_status_shows_what_there_is(cluster: Program) -> None:
    """Clusters with their sources, timelines, gaps by name, the newest segment and its age."""
    assert "no WAL" in cluster.good("wal", "status").out
    _archive(cluster, 1, 2, 4)
    text = cluster.good("wal", "status", "db").out
    assert f"cluster {SYSTEM} (db)" in text
    assert f"gap: {numbered(3).text} missing" in text
    assert f"newest segment {numbered(4).text}, archived" in text
    found = cluster.good("wal", "status", "--json")
    line = found.record("wal_timeline")
    assert (line["first"], line["last"], line["segments"]) == (
        numbered(1).text,
        numbered(4).text,
        3,
    )
    assert found.record("wal_gap")["first"] == numbered(3).text
    assert found.record("wal_cluster")["sources"] == ["db"]
    windows = [one for one in found.records if one["message_type"] == "wal_window"]
    assert [(one["first"], one["last"]) for one in windows] == [
        (numbered(1).text, numbered(2).text),
        (numbered(4).text, numbered(4).text),
    ]
    assert cluster.run("wal", "status", "nothing").code == 15


def test_a_gap_can_be_put_on_record(cluster: Program) -> None:
    """It is no damage any more and named with its reason, the code is 3 as long as no base backup
    began after it; where the segment came, nothing is said.
    """
    _archive(cluster, 1, 2, 4)
    assert cluster.run("wal", "verify", "db").code == 4
    assert cluster.good("wal", "status", "db", "--json").record("wal_gap")["recorded"] is None
    said = cluster.good("wal", "status", "db", "--record-gaps").out
    assert f"gap: {numbered(3).text} missing, on record since" in said
    assert "somebody gave them up" in said
    found = cluster.good("wal", "status", "db", "--json").record("wal_gap")
    assert (found["reason"], found["first"]) == ("given_up", numbered(3).text)
    result = cluster.run("wal", "verify", "db")
    assert result.code == 3
    assert f"no base backup began after the gap of {numbered(3).text}: make one" in result.out
    (cluster.folder / "pg_wal" / numbered(3).text).write_bytes(segment(numbered(3)))
    _archive(cluster, 3)
    assert "gap:" not in cluster.good("wal", "status", "db").out
    assert "no damage and no gap found:" in cluster.good("wal", "verify", "db").out


def test_an_agent_and_a_reader_look_as_well(cluster: Program) -> None:
    """An agent sees names and gaps and no histories; a reader key needs no right to write."""
    _archive(cluster, 1, 2, 4)
    cluster.good("key", "export-agent", "--name", "db1", "--to", "db1.agent")
    cluster.good("key", "add", "--new-key-file", "reader", "--role", "reader")
    agent = {"STRONGROOM_KEY_FILE": str(cluster.folder / "db1.agent")}
    for number in (1, 2, 4):
        path = f"pg_wal/{numbered(number).text}"
        assert _run(cluster, "wal", "push", "--source", "db", path, **agent).returncode == 0
    assert f"gap: {numbered(3).text} missing" in cluster.good("wal", "status", env=agent).out
    assert cluster.run("wal", "verify", env=agent).code == 12
    assert _run(cluster, "wal", "fetch", numbered(1).text, "out", **agent).returncode == 200
    reader = {"STRONGROOM_KEY_FILE": str(cluster.folder / "reader")}
    folders = [path for path in cluster.repository.rglob("*") if path.is_dir()]
    for folder in [*folders, cluster.repository]:
        folder.chmod(0o555)
    try:
        assert "6 files" in cluster.good("wal", "status", "db", env=reader).out
        assert _run(cluster, "wal", "fetch", numbered(1).text, "out", **reader).returncode == 0
        path = f"pg_wal/{numbered(2).text}"
        pushed = _run(cluster, "wal", "push", "--source", "db", path, **reader)
        assert pushed.returncode == NOT_STORED
        only = ("wal", "fetch", numbered(1).text, "out", "--writer", "db1")
        assert _run(cluster, *only, **reader).returncode == 0
    finally:
        for folder in [cluster.repository, *folders]:
            folder.chmod(0o755)


@pytest.mark.trial(25)
def test_verify_names_damage(cluster: Program) -> None:
    """A changed byte is found, and a gap; the code is 4 for either."""
    _archive(cluster, 1, 2)
    assert "no damage and no gap" in cluster.good("wal", "verify").out
    (path,) = cluster.repository.rglob(numbered(2).text.lower())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    result = cluster.run("wal", "verify", "db", "--json")
    assert result.code == 4
    assert numbered(2).text.lower() in result.record("finding")["object"]
    assert cluster.good("wal", "verify", "db", "--to", numbered(1).text).code == 0
