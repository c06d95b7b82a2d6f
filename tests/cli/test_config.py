"""``strongroom config``: what takes effect and why, and everything that is wrong at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.harness import Program

GOOD = """\
version = 1
[repositories.main]
url = "/backup/app"
passphrase_command = "echo hunter2"
[repositories.far]
url = "relative"
[sources.app]
type = "files"
paths = ["documents"]
exclude = ["*.log"]
"""
NOTHING_SET: dict[str, str | None] = {"STRONGROOM_REPOSITORY": None, "STRONGROOM_KEY_FILE": None}


def write(program: Program, text: str) -> Path:
    """Write the configuration file of the working folder."""
    path = program.folder / "strongroom.toml"
    path.write_text(text)
    return path


def settings(
    program: Program, *more: str, env: Mapping[str, str | None]
) -> dict[str, tuple[object, str]]:
    """Return value and origin by key."""
    records = program.good(*more, "config", "show", "--json", env=env).records
    found: dict[str, tuple[object, str]] = {}
    for record in records[:-1]:
        found[record["key"]] = (record["value"], record["origin"])
    return found


def test_every_setting_has_its_origin(empty: Program) -> None:
    """Of file, variable, flag and default the right one is named, with its line."""
    path = write(empty, GOOD)
    found = settings(empty, env=NOTHING_SET)
    assert found["repository"] == ("/backup/app", f"{path}:3")
    assert found["file"] == (str(path), "default")
    assert found["sources.app.paths"] == (["documents"], f"{path}:9")
    assert found["sources.app.exclude_caches"] == (False, "default")
    assert found["cache folder"] == (str(empty.home / ".cache/strongroom"), "default")
    env = {**NOTHING_SET, "STRONGROOM_REPOSITORY": "/var", "STRONGROOM_CACHE_DIR": "c"}
    found = settings(empty, env=env)
    assert found["repository"] == ("/var", "STRONGROOM_REPOSITORY")
    assert found["cache folder"] == (str(empty.folder / "c"), "STRONGROOM_CACHE_DIR")
    assert found["state folder"] == (str(empty.folder / "c/state"), "STRONGROOM_CACHE_DIR")
    found = settings(empty, "-r", "far", "--cache-dir", "d", env=env)
    assert found["repository"] == ("relative", f"{path}:6")
    assert found["cache folder"][1] == "--cache-dir"
    found = settings(empty, env={"STRONGROOM_KEY_FILE": "/k"})
    assert found["key file"] == ("/k", "STRONGROOM_KEY_FILE")


def test_no_secret_is_shown(empty: Program) -> None:
    """A command may hold a secret: neither people nor programs are shown it."""
    write(empty, GOOD)
    env = {**NOTHING_SET, "STRONGROOM_PASSPHRASE_COMMAND": "echo swordfish"}
    for more in (NOTHING_SET, env):
        for flag in ("-q", "--json"):
            result = empty.good("config", "show", flag, env=more)
            assert "not shown" in result.out
            for secret in ("hunter2", "swordfish"):
                assert secret not in result.out + result.err
        assert "hunter2" not in empty.run("config", "check", env=more).out


def test_a_table_for_people(empty: Program) -> None:
    """Without a file and without anything said there are defaults, and no error."""
    lines = empty.good("config", "show", env=NOTHING_SET).out.splitlines()
    assert lines[0].split() == ["setting", "value", "from"]
    assert ["repository", "-", "default"] in [line.split() for line in lines]


@pytest.mark.spec("B6")
def test_retention_is_shown_with_its_origins(empty: Program) -> None:
    """Each rule says where it came from; without any, that everything is kept."""
    path = write(empty, f"{GOOD}[retention]\ndaily = 30\nwithin = '7d'\ntags = ['a,b', 'c']\n")
    found = settings(empty, env={**NOTHING_SET, "BACKUP_RETENTION_DAYS": "90"})
    assert found["retention.daily"] == (30, f"{path}:12")
    assert found["retention.within"] == ("7d", f"{path}:13")
    assert found["retention.tags"] == (["a,b", "c"], f"{path}:14")
    assert found["retention.days"] == ("90", "BACKUP_RETENTION_DAYS")
    assert found["retention.weekly"] == (None, "default")
    assert "retention" not in found
    lines = empty.good("config", "show", env=NOTHING_SET).out.splitlines()
    assert ["retention.daily", "30", f"{path}:12"] in [line.split() for line in lines]
    write(empty, GOOD)
    assert settings(empty, env=NOTHING_SET)["retention"] == ("everything is kept", "default")


@pytest.mark.spec("B6")
@pytest.mark.parametrize(
    ("table", "env", "where", "what"),
    [
        ("daily = 0", {}, "{path}", "no rule that keeps anything"),
        ("", {"BACKUP_RETENTION_DAYS": "0"}, "BACKUP_RETENTION_DAYS", "is not a whole number"),
        ("last = 1", {"TZ": "Mars/Phobos"}, "TZ", "TZ 'Mars/Phobos' is no known time zone"),
        ("wekly = 1", {}, "{path}:12", "did you mean 'weekly'?"),
        ("minimum = 0", {}, "{path}:12", "'0' is not a whole number of 1 or more"),
    ],
)
def test_retention_is_checked(
    empty: Program, table: str, env: dict[str, str | None], where: str, what: str
) -> None:
    """A rule, the table as a whole, the variable and the zone: each is named where it is wrong."""
    (empty.folder / "documents").mkdir()
    path = write(empty, f"{GOOD}[retention]\n{table}\n")
    result = empty.run("config", "check", env={**NOTHING_SET, **env})
    assert result.code == 2
    (line,) = [one for one in result.out.splitlines() if ": error: " in one]
    assert line.startswith(where.format(path=path) + ": error: ")
    assert what in line
    assert empty.run("config", "show", env={**NOTHING_SET, **env}).code == 2


BAD = """\
version = 1
[repositories.main]
ulr = "/x"
[repositories.b]
url = "s4://bucket"
[sources.app]
type = "files"
paths = []
exclude_larger_than = "big"
[sources.web]
type = "files"
paths = ["/nowhere", "documents"]
exclude = ["ok", "a["]
exclude_file = "nofile"
"""


def test_every_error_at_once(empty: Program) -> None:
    """Misspelt keys, senseless values, missing files and bad patterns: each with its line."""
    (empty.folder / "documents").mkdir()
    path = write(empty, BAD)
    env = {**NOTHING_SET, "STRONGROOM_REPOSITRY": "x"}
    result = empty.run("config", "check", env=env)
    assert result.code == 2
    lines = result.out.splitlines()
    for place, what in (
        ("STRONGROOM_REPOSITRY", "did you mean STRONGROOM_REPOSITORY?"),
        (f"{path}:2", "repositories.main.url: it is missing"),
        (f"{path}:3", "did you mean 'url'?"),
        (f"{path}:5", "s4"),
        (f"{path}:8", "at least one path"),
        (f"{path}:9", "'big' is no size"),
        (f"{path}:12", "sources.web.paths: /nowhere does not exist"),
        (f"{path}:13", "without its ]"),
        (f"{path}:14", "nofile: does not exist"),
    ):
        (line,) = [one for one in lines if what in one]
        assert line.startswith(f"{place}: error: ")
    assert lines[-1] == f"{path}: 9 errors"
    records = empty.run("config", "check", "--json", env=env).records
    assert (len(records), records[-1]["errors"]) == (10, 9)


def test_a_file_that_is_no_toml(empty: Program) -> None:
    """A mistake in the syntax has its line and column, in the form that editors know."""
    path = write(empty, "version = 1\nurl =\n")
    result = empty.run("config", "check", env=NOTHING_SET)
    assert result.code == 2
    assert result.out.startswith(f"{path}:2:6: error: invalid value")


def test_a_good_configuration(empty: Program) -> None:
    """Nothing wrong is exit 0; what is only unwise is a warning; nothing is opened."""
    (empty.folder / "documents").mkdir()
    path = write(empty, GOOD)
    assert empty.good("config", "check", env=NOTHING_SET).out == f"{path}: no error\n"
    result = empty.good("config", "check")
    assert "STRONGROOM_KEY_FILE: warning: the key file" in result.out
    assert "init makes it" in result.out
    empty.passphrase_file.chmod(0o644)
    result = empty.good("config", "check", env=empty.by_passphrase)
    assert f"chmod 600 {empty.passphrase_file}" in result.out
    assert not empty.repository.exists()
    assert not empty.state.exists()


@pytest.mark.parametrize(
    ("env", "arguments", "what"),
    [
        (NOTHING_SET, (), "no repository is named"),
        ({"STRONGROOM_REPOSITORY": "s4://x"}, (), "STRONGROOM_REPOSITORY: error: no store"),
        ({"STRONGROOM_PASSPHRASE_FILE": "/nowhere"}, (), "cannot be used: does not exist"),
        ({}, ("--config", "nothing.toml"), "there is no such file"),
        ({"STRONGROOM_CONFIG": "nothing.toml"}, (), "there is no such file"),
    ],
)
def test_what_is_wrong_without_a_file(
    empty: Program, env: dict[str, str | None], arguments: tuple[str, ...], what: str
) -> None:
    """Flags and variables are checked as well."""
    result = empty.run(*arguments, "config", "check", env=env)
    assert result.code == 2
    assert what in result.out


def test_a_file_of_others_is_said(empty: Program) -> None:
    """A file that others may write is refused by every command, and the check says why."""
    path = write(empty, GOOD)
    path.chmod(0o666)
    result = empty.run("config", "check", env=NOTHING_SET)
    assert result.code == 2
    assert "written by other users" in result.out


def test_a_file_that_is_too_large_is_said_as_a_backup_says_it(empty: Program) -> None:
    """An exclude file beyond 16 MiB is an error of the configuration, and of the backup."""
    (empty.folder / "documents").mkdir()
    (empty.folder / "nofile").write_bytes(b"x\n" * (9 << 20))
    text = '[sources.web]\ntype = "files"\npaths = ["documents"]\nexclude_file = "nofile"\n'
    write(empty, f'version = 1\n[repositories.main]\nurl = "{empty.repository}"\n{text}')
    result = empty.run("config", "check", env=NOTHING_SET)
    assert result.code == 2
    assert "nofile is larger than 16 MiB" in result.out
    empty.good("init")
    result = empty.run("backup", "web")
    assert result.code == 2
    assert "nofile is larger than 16 MiB" in result.err
