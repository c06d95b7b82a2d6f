"""From init to restore, as a person does it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.cli.harness import NO_KEY, Program


@pytest.mark.spec("B1", "B2", "B5")
def test_what_was_saved_comes_back(program: Program) -> None:
    """Init, backup, snapshots, ls, dump, verify and restore work on a real folder."""
    documents = program.make_files({"a.txt": "first\n", "b.bin": bytes(3_000_000)})
    (documents / "link").symlink_to("a.txt")
    saved = program.good("backup", "./documents", "--tag", "nightly")
    assert "saved" in saved.out
    assert "nightly" in program.good("snapshots").out
    listed = program.good("ls", "latest").out.splitlines()
    assert listed[-3:] == [f"{documents}/{name}" for name in ("a.txt", "b.bin", "link")]
    assert program.good("dump", "latest", documents / "a.txt").raw == b"first\n"
    assert "no damage" in program.good("verify", "--read-data").out
    program.good("restore", f"latest:{documents}", "--to", "back")
    back = program.folder / "back"
    assert (back / "a.txt").read_text() == "first\n"
    assert (back / "b.bin").read_bytes() == bytes(3_000_000)
    assert (back / "link").readlink() == Path("a.txt")
    assert (back / "a.txt").stat().st_mtime_ns == (documents / "a.txt").stat().st_mtime_ns


def test_a_whole_snapshot_keeps_its_paths_below_the_target(program: Program) -> None:
    """Without a path, what is restored lies below the target as it lay below the root."""
    documents = program.make_files(a="1")
    program.good("backup", "./documents")
    program.good("restore", "latest", "--to", "back")
    assert (program.folder / "back" / str(documents / "a").lstrip("/")).read_text() == "1"


def test_a_second_backup_reads_nothing_that_did_not_change(program: Program) -> None:
    """An unchanged file is not read again; a changed one is."""
    documents = program.make_files(a="1", b="2")
    program.settle()
    program.good("backup", "./documents")
    documents.joinpath("b").write_text("changed")
    summary = program.good("backup", "./documents", "--json").record("summary")
    assert summary["bytes_read"] == len("changed")
    assert summary["total_files_processed"] == 2


def test_the_same_paths_in_another_order_are_the_same_source(program: Program) -> None:
    """The name of a source of bare paths is of the host and the paths, not of their order."""
    program.make_files(a="1")
    (program.folder / "more").mkdir()
    program.good("backup", "./documents", "./more")
    program.good("backup", program.folder / "more", program.folder / "documents/")
    program.good("backup", "./more")
    sources = [one["sources"] for one in program.good("snapshots", "--json").records[:-1]]
    assert sources[1] == sources[2]
    assert sources[0] != sources[1]


def test_a_dry_run_says_what_would_be_read_and_writes_nothing(program: Program) -> None:
    """A dry run needs no key, makes no session and names what is new."""
    documents = program.make_files(a="12345")
    program.settle()
    program.good("backup", "./documents")
    (documents / "new").write_text("123")
    before = sorted(program.repository.rglob("*"))
    result = program.good("backup", "./documents", "-n", "--json", env=NO_KEY)
    paths = [one["path"] for one in result.records if one["message_type"] == "entry"]
    assert f"{documents}/new" in paths
    assert f"{documents}/a" not in paths
    summary = result.record("summary")
    assert summary["dry_run"] is True
    assert summary["bytes_read"] == 3
    assert sorted(program.repository.rglob("*")) == before


def test_excludes_leave_out_what_matches(program: Program) -> None:
    """Patterns, files of patterns and sizes leave files out of a backup."""
    documents = program.make_files({"a.txt": "1", "b.tmp": "2", "c.log": "3", "big": bytes(5000)})
    (program.folder / "patterns").write_text("# not these\n*.log\n")
    program.good(
        *("backup", "./documents", "-e", "*.tmp", "--exclude-file", "patterns"),
        *("--exclude-larger-than", "4K"),
    )
    listed = program.good("ls", "latest", documents).out.split()
    assert listed == [str(documents), f"{documents}/a.txt"]


def test_include_and_exclude_choose_what_is_restored(program: Program) -> None:
    """A directory that matches brings everything below it; what is excluded stays away."""
    documents = program.make_files(a="1")
    for name in ("keep/x.txt", "keep/y.tmp", "keep/deep/z.txt", "other/x.txt"):
        path = documents / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    program.good("backup", "./documents")
    program.good(
        *("restore", f"latest:{documents}", "--to", "back"),
        *("--include", "keep/", "--exclude", "*.tmp"),
    )
    back = program.folder / "back"
    files = sorted(str(p.relative_to(back)) for p in back.rglob("*") if p.is_file())
    assert files == ["keep/deep/z.txt", "keep/x.txt"]


def test_one_file_is_restored_alone(program: Program) -> None:
    """``SNAP:FILE`` puts the file into the target under its own name."""
    documents = program.make_files(a="1", b="2")
    program.good("backup", "./documents")
    program.good("restore", f"latest:{str(documents).lstrip('/')}/a", "--to", "back")
    assert [p.name for p in (program.folder / "back").iterdir()] == ["a"]


def test_the_repository_is_left_out_of_its_own_backup(program: Program) -> None:
    """A folder that holds the repository is saved without it, and a line says so."""
    program.make_files(a="1")
    result = program.good("backup", "./")
    assert "left out of its own backup" in result.err
    listed = program.good("ls", "latest").out
    assert "documents/a" in listed
    assert f"{program.repository}\n" not in listed


def test_odd_names_are_escaped_and_come_back(program: Program) -> None:
    """A name that a terminal would act upon is shown as $'...', and restored byte for byte."""
    documents = program.make_files()
    names = [b"new\nline", b"\x1b[31m", b"\xff\xfe", b"it's", "Zürich".encode(), b"n" * 255]
    for name in names:
        (documents / os.fsdecode(name)).write_text("x")
    program.good("backup", "./documents")
    listed = program.good("ls", "latest", documents)
    assert "\x1b" not in listed.out
    assert f"$'{documents}/new\\nline'" in listed.out.splitlines()
    assert f"$'{documents}/\\xff\\xfe'" in listed.out.splitlines()
    program.good("restore", f"latest:{documents}", "--to", "back")
    assert sorted(os.fsencode(p.name) for p in (program.folder / "back").iterdir()) == sorted(names)


def test_special_files_never_block(program: Program) -> None:
    """A FIFO and a socket are saved as what they are; nobody waits for a writer."""
    documents = program.make_files(a="1")
    os.mkfifo(documents / "fifo")
    program.good("backup", "./documents")
    nodes = {n["path"]: n["type"] for n in program.good("ls", "latest", "--json").records[:-1]}
    assert nodes[f"{documents}/fifo"] == "fifo"
    program.good("restore", f"latest:{documents}", "--to", "back")
    assert stat.S_ISFIFO((program.folder / "back/fifo").lstat().st_mode)


def test_into_an_existing_folder_only_when_asked_and_confirmed(program: Program) -> None:
    """A folder in use needs --into-existing, and without a terminal --no-confirm as well."""
    documents = program.make_files(a="saved")
    program.good("backup", "./documents")
    (documents / "a").write_text("changed")
    (documents / "b").write_text("untouched")
    to = ("restore", f"latest:{documents}", "--to", documents)
    assert program.run(*to).code == 6
    refused = program.run(*to, "--into-existing")
    assert refused.code == 6
    assert "--no-confirm" in refused.err
    assert (documents / "a").read_text() == "changed"
    done = program.good(*to, "--into-existing", "--no-confirm")
    assert "no undo" in done.out
    assert (documents / "a").read_text() == "saved"
    assert (documents / "b").read_text() == "untouched"


def test_the_recovery_key_opens_the_repository(empty: Program) -> None:
    """What init printed opens the repository as a key file, or typed as a passphrase."""
    key = empty.good("init", "--json").record("initialized")["recovery_key"]
    for variable in ("STRONGROOM_KEY_FILE", "STRONGROOM_PASSPHRASE_FILE"):
        file = empty.folder / variable
        file.write_text(f"{key.lower()}\n")
        file.chmod(0o600)
        env = {**NO_KEY, variable: str(file)}
        assert empty.good("snapshots", env=env).err == ""


def test_a_key_file_is_made_once_and_for_its_owner_alone(empty: Program) -> None:
    """Init makes a key file that does not exist, 0600 whatever the umask; it opens everything."""
    before = os.umask(0)
    try:
        made = empty.good("init", "--key-file", "new key", env=NO_KEY)
    finally:
        os.umask(before)
    key = empty.folder / "new key"
    assert "new key" in made.out
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    empty.good("snapshots", "--key-file", key, env=NO_KEY)
    text = key.read_text()
    empty.good("-r", "other", "init", "--key-file", key, env=NO_KEY)
    assert key.read_text() == text


def test_a_passphrase_command_is_run_without_a_shell(empty: Program) -> None:
    """The command's output, less one new line, is the passphrase; its words are not expanded."""
    empty.good("init", env=empty.by_passphrase)
    env = {**NO_KEY, "STRONGROOM_PASSPHRASE_COMMAND": f"cat '{empty.passphrase_file}'"}
    empty.good("snapshots", env=env)
    env["STRONGROOM_PASSPHRASE_COMMAND"] = f"cat '{empty.passphrase_file}' ; true"
    refused = empty.run("snapshots", env=env)
    assert refused.code == 2
    assert "ended with 1" in refused.err


def test_a_configuration_file_names_everything(empty: Program) -> None:
    """With six lines of TOML, init, backup and a source by its name need no flags."""
    documents = empty.make_files(a="1", b="2")
    (documents / "skip.tmp").write_text("3")
    (empty.folder / "strongroom.toml").write_text(
        'version = 1\n[repositories.main]\nurl = "vault"\nkey_file = "key"\n'
        '[sources.app]\ntype = "files"\npaths = ["documents"]\nexclude = ["*.tmp"]\n'
        '[sources.home]\ntype = "files"\npaths = ["home"]\n'
    )
    env: dict[str, str | None] = {**NO_KEY, "STRONGROOM_REPOSITORY": None}
    empty.good("init", env=env)
    assert (empty.folder / "vault/config").is_file()
    empty.good("backup", env=env)
    empty.good("backup", "app", env=env)
    named = [one["sources"] for one in empty.good("snapshots", "--json", env=env).records[:-1]]
    assert named == [["app"], ["app", "home"]]
    listed = empty.good("ls", "latest", documents, env=env).out.split()
    assert listed == [str(documents), f"{documents}/a", f"{documents}/b"]
