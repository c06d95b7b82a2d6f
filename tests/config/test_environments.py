"""Environments: what each changes, which value wins, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.config.environment import Environment
from strongroom.config.environments import environment_of, source_in
from strongroom.config.file import ConfigurationError
from strongroom.config.places import Flags
from strongroom.config.settings import Settings, load_settings

FILE = """\
version = 1
project = "shop"
[repositories.main]
url = "/backup/main"
passphrase_file = "main.pass"
[repositories.far]
url = "/backup/far"
[sources.db]
type = "postgres"
connection = { host = "{environment}.db", user = "{project}", password = { file = "secret" } }
databases = ["{project}_{environment}"]
jobs = 3
[sources.app]
type = "files"
paths = ["/srv/{project}"]
exclude = ["*.log"]
[defaults]
retention = { daily = 30, timezone = "Europe/London" }
[environments.production]
protected = true
repositories = ["far", "main"]
retention = { daily = 90, minimum = 7 }
[environments.production.sources.app]
paths = ["/srv/{project}-{environment}"]
[environments.dev-1]
only = ["db"]
restore_from = ["production"]
[environments.dev-1.sources.db]
connection = { host = "localhost", name = "dev" }
"""


def load(folder: Path, text: str = FILE, flags: Flags | None = None, **variables: str) -> Settings:
    """Load settings of a file in a folder that is a home too."""
    (folder / "strongroom.toml").write_text(text)
    environment = Environment({"HOME": str(folder), **variables}, folder)
    return load_settings(flags or Flags(), environment)


def errors(folder: Path, text: str) -> list[str]:
    """Return what is said of a file that does not hold."""
    with pytest.raises(ConfigurationError) as error:
        load(folder, text)
    return list(error.value.details)


@pytest.mark.spec("E1")
def test_each_source_in_each_environment(tmp_path: Path) -> None:
    """It is called by both names; what an environment says takes the place of a key as a whole."""
    settings = load(tmp_path)
    assert list(settings.databases) == ["production.db", "dev-1.db"]
    production, dev = settings.databases.values()
    assert (production.host, production.user) == ("production.db", "shop")
    assert production.databases == ("shop_production",)
    assert production.password is not None
    assert production.password.setting.value == str(tmp_path / "secret")
    assert production.password.setting.origin == f"{tmp_path}/strongroom.toml:10"
    assert (dev.host, dev.database, dev.user) == ("localhost", "dev", "")
    assert dev.password is None, "no password of one server is sent to another"
    assert (dev.jobs, dev.databases) == (3, ("shop_dev-1",))
    assert settings.sources["production.app"].paths == (Path("/srv/shop-production"),)
    assert settings.sources["dev-1.app"].paths == (Path("/srv/shop"),)
    assert settings.sources["production.app"].exclude == ("*.log",)


@pytest.mark.spec("E1")
def test_what_an_environment_decides(tmp_path: Path) -> None:
    """Its sources, its repositories with their secrets, its policy, and what may come into it."""
    settings = load(tmp_path)
    production, dev = settings.environments["production"], settings.environments["dev-1"]
    assert production.sources == ("production.db", "production.app")
    assert dev.sources == ("dev-1.db",)
    far, main = settings.within("production")
    assert far.require_place().url == "/backup/far"
    assert far.secrets == ()
    assert main.require_place().url == "/backup/main"
    assert [one.setting.value for one in main.secrets] == [str(tmp_path / "main.pass")]
    assert [one.require_place().url for one in settings.within("dev-1")] == ["/backup/main"]
    assert production.retention.texts == {"daily": "90", "minimum": "7"}
    assert production.retention.timezone == "Europe/London", "a zone that it does not name"
    assert dev.retention.texts == settings.retention.texts == {"daily": "30"}
    assert production.protected
    assert not dev.protected
    assert (production.restore_from, dev.restore_from) == (None, ("production",))


def test_flag_before_variable_before_environment_before_defaults(tmp_path: Path) -> None:
    """Of a repository and of retention, the first of these that says anything."""
    defaults = FILE.replace("[defaults]\n", '[defaults]\nrepositories = ["far"]\n')
    settings = load(tmp_path, defaults)
    assert settings.require_place().url == "/backup/far"
    assert [one.require_place().url for one in settings.within("dev-1")] == ["/backup/far"]
    by_variable = load(tmp_path, STRONGROOM_REPOSITORY="/variable", BACKUP_RETENTION_DAYS="5")
    (one,) = by_variable.within("production")
    assert one.require_place().url == "/variable"
    assert one.retention.policy().days == 5
    by_flag = load(tmp_path, FILE, Flags(repository="main"), STRONGROOM_REPOSITORY="/variable")
    (one,) = by_flag.within("production")
    assert one.require_place().url == "/backup/main"


def test_environments_may_each_have_their_repository(tmp_path: Path) -> None:
    """Then none need be called main; whoever names no environment names a repository."""
    text = FILE.replace("[repositories.main]", "[repositories.near]").replace('"main"', '"near"')
    text = text.replace('only = ["db"]', 'only = ["db"]\nrepositories = ["near"]')
    settings = load(tmp_path, text)
    assert settings.place is None
    assert [one.require_place().url for one in settings.within("dev-1")] == ["/backup/main"]


def test_variables_complete_the_only_source_in_each_environment(tmp_path: Path) -> None:
    """DB_HOST is what no environment says; what one says counts more."""
    text = FILE.replace('host = "{environment}.db", ', "")
    settings = load(tmp_path, text, DB_HOST="other")
    assert settings.databases["production.db"].host == "other"
    assert settings.databases["dev-1.db"].host == "localhost"
    assert any("DB_HOST=other is not used" in w for w in settings.databases["dev-1.db"].warnings)


def test_without_environments_words_mean_nothing(tmp_path: Path) -> None:
    """A file that says neither project nor environments is read as it always was."""
    text = 'version = 1\n[sources.app]\ntype = "files"\npaths = ["/srv/{project}/{environment}"]\n'
    assert load(tmp_path, text).sources["app"].paths == (Path("/srv/{project}/{environment}"),)
    assert errors(tmp_path, text.replace("version = 1", 'version = 1\nproject = "x"')) == [
        "line 5: sources.app.paths: {environment} means nothing here: no environment is described"
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("protected = true", "protcted = true", "line 20: environments.production.protcted: not"),
        ("protected = true", 'protected = "yes"', "it should be true or false"),
        ('["far", "main"]', '["fra"]', "no repository is called 'fra'; did you mean 'far'?"),
        ('only = ["db"]', 'only = ["bd"]', "line 26: environments.dev-1.only: no source is called"),
        (
            '["production"]',
            '["prod"]',
            "restore_from: no environment is called 'prod' (known: prod",
        ),
        ("sources.app]\npaths", "sources.ap]\npaths", "no source is called so; did you mean 'app'"),
        ('paths = ["/srv/{project}-', 'pahts = ["', "sources.app.pahts: not a known key; did you"),
        ("daily = 90", "dayly = 90", "line 22: environments.production.retention.dayly: not a"),
        ("daily = 90", "daily = 1.5", "environments.production.retention.daily: "),
        ("[environments.production]", "[environments.packs]", "a repository has a folder of this"),
        ("[environments.dev-1]", "[environments.Dev]", "a name has up to 64 small letters"),
        ('name = "dev" }', "port = 0 }", "dev-1.sources.db.connection.port: a number from 1 to"),
        ('name = "dev" }', "nam = 0 }", "connection.nam: not a known key; did you mean 'name'?"),
        ('project = "shop"', "", "line 10: sources.db.connection.user: {project} means nothing"),
        ("[defaults]", "[retention]\nlast = 1\n[defaults]", "it is said in [retention] already"),
        ('host = "localhost"', 'host = "x"}\ntype = "files"\nx={y=1', "sources.db.type: the type"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Each is said with its line, its dotted path and the nearest name."""
    assert old in FILE
    found = errors(tmp_path, FILE.replace(old, new, 1))
    assert any(said in line for line in found), found


def test_a_mistake_in_a_source_is_said_once(tmp_path: Path) -> None:
    """What an environment does not change is wrong where it stands, not in each of them."""
    found = errors(tmp_path, FILE.replace("jobs = 3", 'jobs = "many"'))
    assert found == ["line 12: sources.db.jobs: it should be a number"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[sources.db]\nconnection = { host = 'a' }\n[sources.db.connection]\nport = 1\n",
            "line 3, column 23: [sources.db.connection] is written inline in line 2",
        ),
        (
            "[environments.p]\nsources = { d = { x = 1 } }\n[environments.p.sources.a]\nx = 1\n",
            "line 3, column 26: [environments.p.sources] is written inline in line 2 and cannot",
        ),
        (
            "a = { b = 1 }\na.c = 2\n",
            "[a] is written inline in line 1",
        ),
    ],
)
def test_never_both_inline_and_as_a_section(tmp_path: Path, text: str, said: str) -> None:
    """What TOML forbids is said in words that help: where the first part stands."""
    (line,) = errors(tmp_path, text)
    assert said in line
    assert "write it in one of the two ways" in line


def test_names_of_sources_in_environments() -> None:
    """A source of an environment has its name, and its counterpart in another one."""
    assert environment_of("production.db") == "production"
    assert environment_of("db") == ""
    assert source_in("dr-test", "production.db") == source_in("dr-test", "db") == "dr-test.db"
