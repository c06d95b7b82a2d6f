"""What ``latest`` means, where that is known."""

from __future__ import annotations

import pytest

from tests.cli.harness import Program

pytestmark = pytest.mark.spec("B5", "B7")

COMMANDS = [
    ("ls", "{}"),
    ("dump", "{}", "/a"),
    ("restore", "{}", "--to", "back"),
    ("restore", "{}:/", "--to", "back", "--dry-run"),
    ("diff", "{}", "{}"),
    ("diff", "{}", "--disk"),
    ("tag", "{}", "--add", "x"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_latest_is_refused_where_a_commit_cannot_be_read(
    program: Program, command: tuple[str, ...]
) -> None:
    """A damaged commit may be the newest one: no command takes an older one in its place."""
    program.make_files(a="old")
    old = program.spawn("backup", "./documents", "--json").record("summary")["snapshot_id"]
    before = {path for path in (program.repository / "commits").rglob("*") if path.is_file()}
    program.make_files(a="new")
    program.good("backup", "./documents")
    (newest,) = {
        path for path in (program.repository / "commits").rglob("*") if path.is_file()
    } - before
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.chmod(0o600)
    newest.write_bytes(data)
    place = str(program.folder / "documents" / "a")
    named = [part.replace("/a", place) if part == "/a" else part for part in command]
    done = program.spawn(*(part.format("latest") for part in named))
    assert done.code == 4
    assert "which snapshot is the latest is not known" in done.err
    assert not (program.folder / "back").exists()
    by_id = program.spawn(*(part.format(old) for part in named))
    assert by_id.code == 0, by_id
