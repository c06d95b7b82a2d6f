"""The configuration file: found in its places, and every error in it reported at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.config.environment import Environment
from strongroom.config.file import NAME, ConfigurationError, find_file
from strongroom.config.lines import key_lines, line_of
from strongroom.config.reading import read_file
from strongroom.errors import UsageError

SMALLEST = 'version = 1\n[repositories.main]\nurl = "/backup/app"\n'


def errors(tmp_path: Path, text: str | bytes) -> list[str]:
    """Read a file that does not hold, and return what is said about it."""
    path = tmp_path / NAME
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as error:
        read_file(path)
    assert str(path) in error.value.message
    return list(error.value.details)


def test_the_smallest_file(tmp_path: Path) -> None:
    """Three lines are enough."""
    path = tmp_path / NAME
    path.write_text(SMALLEST)
    assert read_file(path).tables.repositories["main"].url == "/backup/app"


def test_all_errors_at_once(tmp_path: Path) -> None:
    """Each error has its line, its dotted path and, for a misspelt key, the nearest one."""
    text = """\
version = 1
# a comment = 1
[repositories.main]
url = 5
encryption = { a = 1 }

[sources.App]
type = "file"
paths = [
  "a",   # x = 1
  3,
]
exlude = []
exclude_caches = "yes"
[sources.b]
[rentention]
keep = 3
"""
    assert errors(tmp_path, text) == [
        "line 4: repositories.main.url: it should be a text in quotes",
        "line 5: repositories.main.encryption: not a known key",
        "line 7: sources.App: a name has up to 64 small letters, digits and hyphens",
        "line 8: sources.App.type: it should be 'files' or 'postgres' or 's3' or 'aws-config'",
        "line 9: sources.App.paths.1: it should be a text in quotes",
        "line 13: sources.App.exlude: not a known key; did you mean 'exclude'?",
        "line 14: sources.App.exclude_caches: it should be true or false",
        "line 15: sources.b.type: it is missing",
        "line 15: sources.b.paths: it is missing",
        "line 16: rentention: not a known key; did you mean 'retention'?",
    ]


def test_all_errors_of_a_database_at_once(tmp_path: Path) -> None:
    """A source of databases has keys of its own, also within its connection."""
    text = """\
version = 1
[sources.db]
type = "postgres"
connection = { hots = "h", port = "x", sslmode = "bad", password = { file = "a", env = "b" } }
databases = "app"
jobs = 0
[sources.e]
type = "postgres"
connection = "x"
databases = [""]
paths = ["/a"]
"""
    assert errors(tmp_path, text) == [
        "line 4: sources.db.connection.port: it should be a number",
        "line 4: sources.db.connection.hots: not a known key; did you mean 'host'?",
        (
            "line 4: sources.db.connection.sslmode: 'bad' is none of disable, allow, prefer, "
            "require, verify-ca, verify-full"
        ),
        (
            "line 4: sources.db.connection.password: give one of file, env, command, ssm, secret "
            "and rds_iam"
        ),
        'line 5: sources.db.databases: it should be a list of texts, such as ["/srv/app"]',
        "line 6: sources.db.jobs: a number from 1 to 64",
        "line 9: sources.e.connection: it should be a table",
        "line 10: sources.e.databases: none that is empty",
        "line 11: sources.e.paths: not a known key",
    ]


def test_errors_about_base_backups(tmp_path: Path) -> None:
    """What may be true or a table is told of once; keys that are for dumps mean nothing without."""
    text = """\
version = 1
[sources.a]
type = "postgres"
physical = { wal = "elsewhere", wait = "10x", wall = 1 }
[sources.b]
type = "postgres"
physical = "yes"
[sources.c]
type = "postgres"
logical = false
[sources.d]
type = "postgres"
physical = true
jobs = 3
"""
    assert errors(tmp_path, text) == [
        "line 4: sources.a.physical.wal: it should be 'included' or 'archive'",
        "line 4: sources.a.physical.wall: not a known key; did you mean 'wal'?",
        "line 4: sources.a.physical.wait: a time such as 10m",
        "line 7: sources.b.physical: it should be true or false",
        "line 10: sources.c.logical: then nothing is saved: physical = true makes base backups",
        "line 14: sources.d.jobs: is for dumps: logical = true makes them too",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 1\nversion = 1\n", "line 2, column 12: cannot overwrite a value"),
        ("[a.b]\n[a.b]\n", "line 2, column 5: cannot declare [a.b] twice"),
        ("url = \n", "line 1, column 7: invalid value"),
        ("\tx: y\n", "line 1"),
        ("enabled = no\n", "line 1"),
        (b'version = 1\nx = "\xff"\n', "line 2: it is not written in UTF-8"),
        ("", "line 1: version: it is missing"),
        ("version = 2\n", "line 1: version 2 is not known to this release"),
        ('version = "1"\n', "line 1: version: it should be 1"),
        ("version = 1\nrepositories = 3\n", "line 2: repositories: it should be a table"),
        ("version = 1\n[sources]\nx = 1\n", "line 3: sources.x: it should be a table"),
        (SMALLEST + "[sources.a]\ntype = 'files'\npaths = 'x'\n", "line 6: sources.a.paths: "),
        (SMALLEST + "[sources.a]\ntype = 'files'\npaths = []\n", "at least one path"),
        (
            SMALLEST + "[sources.a]\ntype='files'\npaths=['/x']\nexclude_larger_than='5 Gigs'\n",
            "line 7: sources.a.exclude_larger_than: '5 Gigs' is no size. Give",
        ),
    ],
)
def test_single_errors(tmp_path: Path, text: str | bytes, said: str) -> None:
    """What is wrong is said in one line that begins with its place."""
    (line,) = errors(tmp_path, text)
    assert said in line


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever is in the file, the answer is tables or a usage error."""
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read_file(path)
    except UsageError as error:
        assert error.code == 2


def test_the_first_of_its_places_wins(tmp_path: Path) -> None:
    """--config, the variable, this folder, the folder of the user: the first that is there."""
    here, home, named, other = (tmp_path / name for name in ("here", "home", "n.toml", "o.toml"))
    here.mkdir()
    (home / ".config/strongroom").mkdir(parents=True)
    environment = Environment({"HOME": str(home)}, here)
    with_variable = Environment({"HOME": str(home), "STRONGROOM_CONFIG": str(other)}, here)
    assert find_file(None, environment) in {None, Path("/etc/strongroom/strongroom.toml")}
    for path, flag, env in (
        (home / ".config/strongroom" / NAME, None, environment),
        (here / NAME, None, environment),
        (other, None, with_variable),
        (named, str(named), with_variable),
    ):
        path.write_text(SMALLEST)
        assert find_file(flag, env) == path


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """A file that is named and missing is a mistake, and says who named it."""
    with pytest.raises(UsageError, match="--config names"):
        find_file("nowhere", Environment({}, tmp_path))
    with pytest.raises(UsageError, match="STRONGROOM_CONFIG names"):
        find_file(None, Environment({"STRONGROOM_CONFIG": "nowhere"}, tmp_path))


def test_a_file_that_others_can_write_is_not_used_unasked(tmp_path: Path) -> None:
    """A file may name a command, so one that anybody could have put there needs to be named."""
    path = tmp_path / NAME
    path.write_text(SMALLEST)
    path.chmod(0o666)
    environment = Environment({"HOME": str(tmp_path)}, tmp_path)
    with pytest.raises(UsageError, match="other users"):
        find_file(None, environment)
    assert find_file(str(path), environment) == path
    path.chmod(0o644)
    if os.getuid() == 0:
        os.chown(path, 12345, 12345)
        with pytest.raises(UsageError, match="other users"):
            find_file(None, environment)


def test_lines_of_keys() -> None:
    """Tables, dotted and quoted keys, and values over several lines are found."""
    text = 'a = 1\n[t."x y"] # c\nb.c = """\n[no]\nd = 1\n"""\ne = [\n 1,\n]\nf = { g = 1 }\n'
    lines = key_lines(text)
    assert lines == {
        ("a",): 1,
        ("t", "x y"): 2,
        ("t", "x y", "b", "c"): 3,
        ("t", "x y", "e"): 7,
        ("t", "x y", "f"): 10,
    }
    assert line_of(lines, ("t", "x y", "f", "g")) == 10
    assert line_of(lines, ("nothing",)) is None
