"""``backup ENV [TYPE]`` and what is restored into an environment, with files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.harness import Program

pytestmark = pytest.mark.spec("E1")
NO_REPOSITORY: dict[str, str | None] = {"STRONGROOM_REPOSITORY": None}
FILE = """\
version = 1
project = "shop"
[repositories.main]
url = "repository"
key_file = "key"
[repositories.far]
url = "far"
key_file = "key"
[sources.app]
type = "files"
paths = ["{project}-{environment}"]
[sources.notes]
type = "files"
paths = ["notes"]
[environments.production]
protected = true
repositories = ["main", "far"]
retention = { last = 2 }
[environments.staging]
only = ["app"]
[environments.dr-test]
only = []
restore_from = ["production"]
"""


@pytest.fixture
def estate(program: Program) -> Program:
    """Return the program with a file of three environments, and what they save."""
    (program.folder / "strongroom.toml").write_text(FILE)
    for name in ("shop-production", "shop-staging", "notes"):
        (program.folder / name).mkdir()
        (program.folder / name / "a").write_text(name)
    program.good("init", "-r", "far", env=NO_REPOSITORY)
    return program


def snapshots(program: Program, *words: str) -> list[dict[str, object]]:
    """Return the snapshots that ``snapshots`` lists, newest first."""
    done = program.good("snapshots", "--json", *words, env=NO_REPOSITORY)
    return [one for one in done.records if one["message_type"] == "snapshot"]


def test_an_environment_goes_into_each_of_its_repositories(estate: Program) -> None:
    """With its name and type in each snapshot, and its sources by both names."""
    done = estate.good("backup", "production", env=NO_REPOSITORY)
    assert "far" in done.out
    for repository in ("main", "far"):
        (found,) = snapshots(estate, "-r", repository)
        assert (found["environment"], found["type"]) == ("production", "full")
        assert found["sources"] == ["production.app", "production.notes"]
    listed = estate.good("ls", "latest", env=NO_REPOSITORY).out
    assert "shop-production/a" in listed
    assert "shop-staging" not in listed


def test_one_repository_that_fails_keeps_no_other_from_its_backup(estate: Program) -> None:
    """The exit code is that of the failure."""
    (estate.folder / "repository" / "config").rename(estate.folder / "gone")
    failed = estate.run("backup", "production", env=NO_REPOSITORY)
    assert failed.code == 10, failed
    assert len(snapshots(estate, "-r", "far")) == 1


def test_snapshots_are_shown_and_chosen_by_environment_and_type(estate: Program) -> None:
    """As columns where any has one, and by their options."""
    estate.good("backup", "./notes")
    assert "environment" not in estate.good("snapshots").out
    estate.good("backup", "staging", "files", env=NO_REPOSITORY)
    estate.good("backup", "production", env=NO_REPOSITORY)
    head, *rows = estate.good("snapshots", env=NO_REPOSITORY).out.splitlines()
    assert head.split()[2:4] == ["environment", "type"]
    assert [row.split()[3:5] for row in rows[:3]] == [
        ["production", "full"],
        ["staging", "files"],
        ["-", "files"],
    ]
    assert len(snapshots(estate, "--environment", "staging")) == 1
    assert len(snapshots(estate, "--type", "files")) == 2
    assert snapshots(estate, "--environment", "staging", "--type", "full") == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "environments, and none is named"),
        (("produktion",), 2, "no source is called 'produktion'"),
        (("app",), 2, "An environment is backed up by its name: production, staging"),
        (("production", "database"), 2, "has no source of type 'database'"),
        (("production", "documents"), 2, "has no source of type 'documents'"),
        (("production", "file"), 2, "Did you mean 'files'?"),
        (("production", "parameters"), 2, "'parameters' is no type of backup"),
        (("production", "files", "x"), 2, "nothing more can be named"),
        (("production.app", "staging.app"), 2, "one backup is of one environment"),
        (("production.app", "./notes"), 2, "one backup is of one environment"),
        (("dr-test",), 6, "backs up nothing"),
    ],
)
def test_words_that_mean_nothing(
    estate: Program, words: tuple[str, ...], code: int, said: str
) -> None:
    """Each is said in one sentence, and nothing is saved."""
    result = estate.run("backup", *words, env=NO_REPOSITORY)
    assert result.code == code, result
    assert said in result.err
    assert snapshots(estate) == []


def test_one_source_of_an_environment(estate: Program) -> None:
    """It is named as it is called in snapshots; a dry run takes the same words."""
    told = estate.good("backup", "production", "--dry-run", env=NO_REPOSITORY)
    assert told.out.count("nothing was written") == 2
    estate.good("backup", "production.app", env=NO_REPOSITORY)
    (found,) = snapshots(estate)
    assert (found["environment"], found["type"]) == ("production", "files")
    assert found["sources"] == ["production.app"]


@pytest.mark.spec("B6")
def test_each_environment_has_its_own_policy(estate: Program) -> None:
    """One that says nothing keeps everything; the other its two newest: after a backup and by
    ``forget``, which judges each by its own.
    """
    for _ in range(3):
        estate.good("backup", "staging", env=NO_REPOSITORY)
        estate.good("backup", "production", env=NO_REPOSITORY)
    assert len(snapshots(estate, "--environment", "production")) == 2
    assert len(snapshots(estate, "--environment", "staging")) == 3
    changed = FILE.replace('only = ["app"]', 'only = ["app"]\nretention = { last = 1 }')
    (estate.folder / "strongroom.toml").write_text(changed)
    told = estate.good("retention", "explain", "--json", env=NO_REPOSITORY)
    assert told.records[-1]["forgotten"] == 2
    estate.good("forget", env=NO_REPOSITORY)
    assert len(snapshots(estate, "--environment", "production")) == 2
    assert len(snapshots(estate, "--environment", "staging")) == 1


@pytest.mark.spec("E2")
def test_what_may_come_into_an_environment(estate: Program) -> None:
    """restore_from refuses others' data, protection wants the name; a dry run asks for nothing."""
    estate.good("backup", "staging", env=NO_REPOSITORY)
    words = ("restore", "latest", "--to", "back")
    refused = estate.run(*words, "--environment", "dr-test", env=NO_REPOSITORY)
    assert refused.code == 6
    assert "takes the data of dr-test, production only" in refused.err
    into = (*words, "--environment", "production")
    for more in ((), ("--no-confirm",), ("--confirm", "staging")):
        refused = estate.run(*into, *more, env=NO_REPOSITORY)
        assert refused.code == 6
        assert "--confirm production" in refused.err
    assert not (estate.folder / "back").exists()
    estate.good(*into, "--dry-run", env=NO_REPOSITORY)
    estate.good(*into, "--confirm", "production", env=NO_REPOSITORY)
    estate.good("backup", "production", env=NO_REPOSITORY)
    to_drill = ("restore", "latest", "--to", "drill", "--environment", "dr-test")
    estate.good(*to_drill, env=NO_REPOSITORY)
    unknown = estate.run(*words[:2], "--to", "new", "--environment", "prodction", env=NO_REPOSITORY)
    assert unknown.code == 2
    assert "Did you mean 'production'?" in unknown.err


def test_the_configuration_shows_environments(estate: Program) -> None:
    """Each value with the line it is from: the environment's, or that of the source."""
    done = estate.good("config", "show", "--json", env=NO_REPOSITORY)
    found = {one["key"]: (one["value"], one["origin"]) for one in done.records[:-1]}
    file = estate.folder / "strongroom.toml"
    assert found["project"] == ("shop", f"{file}:2")
    assert found["environments.production.protected"] == (True, f"{file}:16")
    assert found["environments.staging.protected"] == (False, "default")
    assert found["environments.production.repositories"] == (["main", "far"], f"{file}:17")
    assert found["environments.production.retention.last"] == (2, f"{file}:18")
    assert found["environments.dr-test.restore_from"] == (["production"], f"{file}:23")
    paths = found["environments.production.sources.app.paths"]
    assert paths == (["shop-production"], f"{file}:11")
    assert estate.good("config", "check", env=NO_REPOSITORY).out.endswith("no error\n")


def test_the_check_looks_at_each_environment(estate: Program) -> None:
    """Paths of other machines may be missing here, which is told; bad patterns are errors."""
    text = FILE + '[environments.staging.sources.app]\npaths = ["/nowhere"]\nexclude = ["a["]\n'
    file = estate.folder / "strongroom.toml"
    file.write_text(text)
    result = estate.run("config", "check", "--json", env=NO_REPOSITORY)
    assert result.code == 2
    found = [json.loads(line) for line in result.out.splitlines()][:-1]
    said = {(one["severity"], one["where"]): one["text"] for one in found}
    assert "/nowhere does not exist" in said["warning", f"{file}:25"]
    assert "environments.staging.sources.app.exclude" in said["error", f"{file}:26"]


def test_the_check_looks_at_the_repositories_of_each_environment(estate: Program) -> None:
    """One that names none, where there is none called main; and a key that is not there."""
    text = FILE.replace("[repositories.main]", "[repositories.near]").replace('"main"', '"near"')
    text = text.replace('url = "far"\nkey_file = "key"', 'url = "far"\nkey_file = "gone"')
    (estate.folder / "strongroom.toml").write_text(text)
    env = {**NO_REPOSITORY, "STRONGROOM_KEY_FILE": None}
    result = estate.run("config", "check", env=env)
    assert result.code == 2
    assert "environments.staging.repositories: none is named" in result.out
    assert "environments.production" not in result.out
    assert "environments.dr-test" not in result.out, "it backs up nothing"
    assert f"the key file {estate.folder}/gone cannot be used" in result.out
    failed = estate.run("backup", "staging", env=env)
    assert failed.code == 2
    assert "no repository is named" in failed.err


def test_completion_knows_environments(estate: Program) -> None:
    """What backup takes: their names, and the sources in them."""
    env = {
        **NO_REPOSITORY,
        "COMP_WORDS": "strongroom backup ",
        "COMP_CWORD": "2",
        "_STRONGROOM_COMPLETE": "bash_complete",
    }
    out = estate.run(env=env).out
    assert "plain,production\n" in out
    assert "plain,staging.app\n" in out
    assert "plain,app\n" not in out


def test_sources_of_two_environments_are_not_taken_for_one(estate: Program) -> None:
    """Neither by the last walk nor as unusual: each has a past of its own."""
    (estate.folder / "shop-staging" / "b").write_bytes(bytes(range(256)) * 400)
    estate.settle()
    estate.good("backup", "production", env=NO_REPOSITORY)
    estate.settle()
    done = estate.good("backup", "staging", "--json", env=NO_REPOSITORY)
    assert done.record("summary")["entries_new"] > 0
    estate.settle()
    again = estate.good("backup", "production", "--json", env=NO_REPOSITORY)
    assert all(one["bytes_read"] == 0 for one in again.records if one["message_type"] == "summary")
    assert Path(estate.folder / "far").is_dir()
