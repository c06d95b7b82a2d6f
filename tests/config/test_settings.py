"""Where settings come from, and which one wins."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

from strongroom.aws.account import Account
from strongroom.config.environment import Environment
from strongroom.config.places import Flags, SecretKind
from strongroom.config.quantities import parse_size
from strongroom.config.settings import Settings, load_settings
from strongroom.errors import UsageError

NONE = Flags()
FILE = """\
version = 1
[repositories.main]
url = "vault"
passphrase_file = "secret"
[repositories.other]
url = "/srv/other"
[sources.app]
type = "files"
paths = ["data", "~/notes", "/srv"]
exclude_file = "skip"
exclude_larger_than = "1G"
"""


def load(folder: Path, flags: Flags = NONE, /, **variables: str) -> Settings:
    """Load settings in a folder that is a home too."""
    environment = Environment({"HOME": str(folder), **variables}, folder)
    return load_settings(flags, environment)


def test_flag_before_environment_before_file(tmp_path: Path) -> None:
    """The repository of a flag wins over that of the environment, and both over the file's."""
    (tmp_path / "strongroom.toml").write_text(FILE)
    place = load(tmp_path).require_place()
    assert (place.url, place.folder) == ("vault", tmp_path)
    assert place.origin == f"{tmp_path}/strongroom.toml:3"
    place = load(tmp_path, STRONGROOM_REPOSITORY="/env").require_place()
    assert (place.url, place.origin) == ("/env", "STRONGROOM_REPOSITORY")
    flags = Flags(repository="/flag")
    place = load(tmp_path, flags, STRONGROOM_REPOSITORY="/env").require_place()
    assert (place.url, place.origin) == ("/flag", "--repository")


def test_a_repository_by_its_name(tmp_path: Path) -> None:
    """A name from the configuration stands for its url; a path of that name has a slash."""
    (tmp_path / "strongroom.toml").write_text(FILE)
    assert load(tmp_path, Flags(repository="other")).require_place().url == "/srv/other"
    assert load(tmp_path, Flags(repository="./other")).require_place().url == "./other"


def test_several_repositories_and_none_called_main(tmp_path: Path) -> None:
    """Which of several repositories is meant must be said."""
    (tmp_path / "strongroom.toml").write_text(
        'version = 1\n[repositories.a]\nurl = "/a"\n[repositories.b]\nurl = "/b"\n'
    )
    with pytest.raises(UsageError, match="several repositories") as error:
        load(tmp_path)
    assert "a, b" in error.value.hint


def test_secrets_of_the_file_only_for_its_repository(tmp_path: Path) -> None:
    """The passphrase file of a repository is not used for one that a flag names."""
    (tmp_path / "strongroom.toml").write_text(FILE)
    (secret,) = load(tmp_path).secrets
    assert secret.kind is SecretKind.PASSPHRASE_FILE
    assert secret.setting.value == str(tmp_path / "secret")
    assert load(tmp_path, Flags(repository="/flag")).secrets == ()
    (secret,) = load(tmp_path, STRONGROOM_KEY_FILE="k").secrets
    assert secret.kind is SecretKind.KEY_FILE


def test_a_key_of_a_flag_before_a_passphrase_of_the_environment(tmp_path: Path) -> None:
    """A flag for one kind of secret puts the other kind in the environment aside."""
    env = {"STRONGROOM_PASSPHRASE_FILE": "p", "STRONGROOM_KEY_FILE": "k"}
    found = load(tmp_path, Flags(key_file="flag"), **env).secrets
    assert [one.setting.origin for one in found] == ["--key-file", "STRONGROOM_KEY_FILE"]
    found = load(tmp_path, NONE, **env).secrets
    assert [one.kind for one in found] == [SecretKind.PASSPHRASE_FILE, SecretKind.KEY_FILE]


def test_a_variable_set_to_nothing_counts_as_not_set(tmp_path: Path) -> None:
    """An empty variable, as compose files leave them, changes nothing."""
    assert load(tmp_path, STRONGROOM_REPOSITORY="", STRONGROOM_KEY_FILE="").place is None


@pytest.mark.parametrize(
    ("variables", "cache", "state"),
    [
        ({}, "~/.cache/strongroom", "~/.local/state/strongroom"),
        ({"XDG_CACHE_HOME": "/c", "XDG_STATE_HOME": "/s"}, "/c/strongroom", "/s/strongroom"),
        ({"XDG_CACHE_HOME": "c"}, "~/.cache/strongroom", "~/.local/state/strongroom"),
        ({"STRONGROOM_CACHE_DIR": "/c"}, "/c", "/c/state"),
        ({"STRONGROOM_STATE_DIR": "/s"}, "~/.cache/strongroom", "/s"),
        ({"STRONGROOM_CACHE_DIR": "c", "STRONGROOM_STATE_DIR": "~/s"}, "./c", "~/s"),
    ],
)
def test_folders(tmp_path: Path, variables: dict[str, str], cache: str, state: str) -> None:
    """Caches and state have their places, which variables change; state follows the cache."""
    settings = load(tmp_path, NONE, **variables)
    home = {"~": tmp_path, ".": tmp_path}
    wanted = [
        home.get(text[0], Path(text[0])) / text[2:] if text[0] in "~." else Path(text)
        for text in (cache, state)
    ]
    assert [settings.cache_dir, settings.state_dir] == wanted


def test_no_home_variable(tmp_path: Path) -> None:
    """Without HOME the password file says where the home is."""
    settings = load_settings(Flags(), Environment({}, tmp_path))
    assert settings.cache_dir == Path(pwd.getpwuid(os.getuid()).pw_dir) / ".cache/strongroom"


def test_sources_of_the_file(tmp_path: Path) -> None:
    """Paths of the file start from its folder; sizes are read; ~ is the home."""
    (tmp_path / "strongroom.toml").write_text(FILE)
    source = load(tmp_path).source("app")
    assert source.paths == (tmp_path / "data", tmp_path / "notes", Path("/srv"))
    assert source.exclude_file == tmp_path / "skip"
    assert source.exclude_larger_than == 1 << 30


def test_a_source_that_is_not_configured(tmp_path: Path) -> None:
    """An unknown name gets the nearest one, and the way to write a path."""
    (tmp_path / "strongroom.toml").write_text(FILE)
    with pytest.raises(UsageError, match="'ap'") as error:
        load(tmp_path).source("ap")
    assert "Did you mean 'app'?" in error.value.hint
    assert "'./ap'" in error.value.hint


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("1500", 1500), ("4K", 4096), ("1.5G", 3 << 29), ("100 MiB", 100 << 20)],
)
def test_sizes(text: str, size: int) -> None:
    """Units are powers of 1,024."""
    assert parse_size(text, "size") == size


@pytest.mark.parametrize("text", ["", "0", "-1", "5 Gigs", "1e9", "K", "1KK", "nan", "٣"])
def test_no_sizes(text: str) -> None:
    """What is no size gets an example of one."""
    with pytest.raises(UsageError) as error:
        parse_size(text, "the size")
    assert "1.5G" in error.value.hint


def test_who_we_are_to_aws(tmp_path: Path) -> None:
    """Each key by itself: the repository's own first, then variables, environment, [aws]."""
    (tmp_path / "strongroom.toml").write_text(
        """\
version = 1
[aws]
region = "eu-west-2"
profile = "all"
[repositories.main]
url = "/backup"
aws = { region = "us-west-2" }
[sources.app]
type = "files"
paths = ["/srv"]
[environments.production]
aws = { region = "us-east-1", role = "arn:aws:iam::1:role/p", endpoint = "http://[::1]:1" }
"""
    )
    told = load_settings(Flags(), Environment({"HOME": "/h"}, tmp_path))
    assert told.account == Account(region="eu-west-2", profile="all")
    assert told.require_place().account == Account(region="us-west-2", profile="all")
    assert told.account_in("") == told.account
    production = Account("us-east-1", "all", "arn:aws:iam::1:role/p", "http://[::1]:1")
    assert told.account_in("production") == production
    variables = {"HOME": "/h", "AWS_DEFAULT_REGION": "a", "AWS_REGION": "b", "AWS_PROFILE": "p"}
    told = load_settings(Flags(), Environment(variables, tmp_path))
    assert told.account_in("production") == replace(production, region="b", profile="p")
    assert told.require_place().account == Account(region="us-west-2", profile="p")
