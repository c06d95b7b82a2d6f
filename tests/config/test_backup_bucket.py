"""``S3_BACKUP_BUCKET`` and ``AWS_REGION``: the guide's variables, and what counts before them."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.config.effective import effective
from strongroom.config.environment import Environment
from strongroom.config.places import Flags, Place, variables_of
from strongroom.config.settings import Settings, load_settings
from strongroom.errors import UsageError

pytestmark = [pytest.mark.spec("D8"), pytest.mark.spec("F6")]

FILE = """\
version = 1
[aws]
region = "eu-west-2"
profile = "of-the-file"
[repositories.main]
url = "s3://original/team/app"
key_file = "k"
aws = { region = "eu-west-2", profile = "of-the-bucket", role = "r" }
[repositories.disk]
url = "/backup"
[sources.a]
type = "files"
paths = ["/a"]
[environments.production]
repositories = ["main", "disk"]
[environments.staging]
repositories = ["disk"]
"""
REPLICA = {"S3_BACKUP_BUCKET": "replica", "AWS_REGION": "eu-central-1"}


def settings(tmp_path: Path, variables: dict[str, str], **flags: str) -> Settings:
    """Return what is decided with these variables."""
    return load_settings(Flags(**flags), surroundings(tmp_path, variables))


def surroundings(tmp_path: Path, variables: dict[str, str]) -> Environment:
    """Return an environment with a home."""
    return Environment({"HOME": str(tmp_path / "home"), **variables}, tmp_path)


def place(found: Settings) -> Place:
    """Return where the repository is."""
    return found.require_place()


def write(tmp_path: Path, text: str = FILE) -> None:
    """Write the configuration."""
    (tmp_path / "strongroom.toml").write_text(text)


def test_without_a_file_it_is_the_top_of_the_bucket(tmp_path: Path) -> None:
    """As in the guide, whose scripts know nothing but the bucket and the region."""
    found = settings(tmp_path, REPLICA)
    assert place(found).url == "s3://replica"
    assert place(found).origin == "S3_BACKUP_BUCKET"
    assert place(found).account.region == "eu-central-1"


def test_the_configured_repository_in_another_bucket(tmp_path: Path) -> None:
    """Prefix and keys stay; the region is that of the variable, not that of the other bucket."""
    write(tmp_path)
    found = settings(tmp_path, REPLICA)
    assert place(found).url == "s3://replica/team/app"
    assert [one.setting.value for one in found.secrets] == [str(tmp_path / "k")]
    account = place(found).account
    assert (account.region, account.profile, account.role) == (
        "eu-central-1",
        "of-the-bucket",
        "r",
    )
    profile = {**REPLICA, "AWS_PROFILE": "here"}
    assert place(settings(tmp_path, profile)).account.profile == "here"


def test_a_region_that_nobody_names_is_asked_of_the_bucket(tmp_path: Path) -> None:
    """Whatever the file says is about the bucket that it names."""
    write(tmp_path)
    found = settings(tmp_path, {"S3_BACKUP_BUCKET": "replica"})
    assert place(found).account.region == ""
    older = {"S3_BACKUP_BUCKET": "replica", "AWS_DEFAULT_REGION": "eu-north-1"}
    assert place(settings(tmp_path, older)).account.region == "eu-north-1"


@pytest.mark.parametrize(
    ("flags", "more", "url"),
    [
        ({"repository": "main"}, {}, "s3://original/team/app"),
        ({"repository": "s3://named/x"}, {}, "s3://named/x"),
        ({}, {"STRONGROOM_REPOSITORY": "disk"}, "/backup"),
    ],
    ids=["name", "address", "variable"],
)
def test_who_names_a_repository_means_that_one(
    tmp_path: Path, flags: dict[str, str], more: dict[str, str], url: str
) -> None:
    """A flag and our own variable count before the bucket."""
    write(tmp_path)
    assert place(settings(tmp_path, {**REPLICA, **more}, **flags)).url == url


def test_a_repository_in_a_folder_is_in_the_bucket_then(tmp_path: Path) -> None:
    """The variable counts before the file; the folder's keys are not the bucket's."""
    write(tmp_path, 'version = 1\n[repositories.disk]\nurl = "/backup"\nkey_file = "k"\n')
    found = settings(tmp_path, REPLICA)
    assert place(found).url == "s3://replica"
    assert found.secrets == ()


def test_an_environment_has_one_repository_then(tmp_path: Path) -> None:
    """The first of its own, in the other bucket: one bucket is no place for two repositories."""
    write(tmp_path)
    found = settings(tmp_path, REPLICA)
    (within,) = found.within("production")
    assert place(within).url == "s3://replica/team/app"
    (within,) = found.within("staging")
    assert place(within).url == "s3://replica"
    both = settings(tmp_path, {}).within("production")
    assert [place(one).url for one in both] == ["s3://original/team/app", "/backup"]


def test_what_is_no_name_of_a_bucket_is_refused(tmp_path: Path) -> None:
    """With the variable, and with what to do."""
    for text in ("s3://replica", "replica/app", "re plica"):
        with pytest.raises(UsageError, match="S3_BACKUP_BUCKET") as refused:
            settings(tmp_path, {"S3_BACKUP_BUCKET": text})
        assert "STRONGROOM_REPOSITORY" in refused.value.hint


def test_config_show_says_where_it_came_from(tmp_path: Path) -> None:
    """The variable, and not the file."""
    write(tmp_path)
    shown = {one.key: one for one in effective(Flags(), surroundings(tmp_path, REPLICA))}
    assert shown["repository"][1:] == ("s3://replica/team/app", "S3_BACKUP_BUCKET")
    assert shown["repository region"][1:] == ("eu-central-1", "AWS_REGION")
    file_only = {one.key: one for one in effective(Flags(), surroundings(tmp_path, {}))}
    assert file_only["repository"].value == "s3://original/team/app"
    assert file_only["repository region"].value == "eu-west-2"


@pytest.mark.parametrize("file", [FILE, "", FILE.replace("s3://original/team/app", "/folder")])
def test_another_process_is_told_of_the_bucket(tmp_path: Path, file: str) -> None:
    """With what names a place for it, a process without our variables finds the same place, with
    the same keys and the same account, even where its own name a repository.
    """
    if file:
        write(tmp_path, file)
    found = settings(tmp_path, {**REPLICA, "AWS_ENDPOINT_URL": "http://[::1]:9"})
    told = variables_of(place(found))
    for its_own in ({}, {"STRONGROOM_REPOSITORY": "disk"}):
        other = settings(tmp_path, {**its_own, **told})
        assert place(other) == place(found)
        assert other.secrets == found.secrets


def test_another_process_is_told_nothing_of_what_the_file_says(tmp_path: Path) -> None:
    """Who names a repository is followed by its name or its address."""
    write(tmp_path)
    assert variables_of(place(settings(tmp_path, REPLICA, repository="main"))) == {}
    assert variables_of(place(settings(tmp_path, {}))) == {}
