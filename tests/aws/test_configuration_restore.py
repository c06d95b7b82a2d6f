"""Parameters and secrets become what they were: all of them or none, and it can be undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.aws.asking import Service
from strongroom.aws.records import PARAMETER, Record
from strongroom.errors import InterruptError, RolledBackError
from strongroom.restore.awsconfig.changing import SERVICES, Change, Intent, carry_out, decide, look
from strongroom.restore.awsconfig.steps import Rules, Step
from tests.cli.harness import Program
from tests.support.aws import REGION, AwsServer
from tests.support.awsconfig import CANARIES, FILE, Estate, estate_of

RULES = Rules(region=REGION, now="2026-11-27T00:00:00Z")


def requests(out: str) -> list[str]:
    """Return the requests of a plan, without what they do."""
    lines = [line.strip().partition(" (")[0] for line in out.splitlines() if line[:2] == "  "]
    return [line for line in lines if ":" in line.partition(" ")[0]]


@pytest.mark.spec("D2")
def test_what_changed_went_or_came_is_as_it_was(estate: Estate) -> None:
    """The plan names each request; after it the account is as the snapshot says; undo goes back."""
    estate.fill()
    program = estate.program
    program.good("backup", "aws")
    estate.ssm.put_parameter(
        Name="/app/password", Value=CANARIES["now"], Type="SecureString", Overwrite=True
    )
    estate.ssm.delete_parameter(Name="/app/size")
    estate.ssm.put_parameter(Name="/app/new", Value="1", Type="String")
    estate.secrets.delete_secret(SecretId="app/db", RecoveryWindowInDays=7)
    words = ("restore", "latest", "--configuration", "--delete")
    dry = program.good(*words, "--dry-run")
    assert requests(dry.out) == [
        "secretsmanager:RestoreSecret app/db",
        "secretsmanager:PutSecretValue app/db",
        "secretsmanager:PutSecretValue app/db",
        "ssm:DeleteParameter /app/new",
        "ssm:PutParameter /app/password",
        "ssm:PutParameter /app/size",
    ]
    assert estate.names() == ["/app/new", "/app/password"]
    unasked = program.run(*words)
    assert unasked.code == 6
    assert program.run(*words, "--confirm", "other").code == 6
    assert estate.names() == ["/app/new", "/app/password"]

    done = program.good(*words, "--confirm", "aws")
    assert requests(done.out) == requests(dry.out)
    assert estate.names() == ["/app/password", "/app/size"]
    assert estate.value("/app/password") == CANARIES["parameter"]
    found = estate.secrets.get_secret_value(SecretId="app/db")
    assert found["SecretString"] == CANARIES["secret"]
    found = estate.secrets.get_secret_value(SecretId="app/db", VersionStage="AWSPREVIOUS")
    assert found["SecretString"] == CANARIES["previous"]
    assert "nothing to do" in program.good(*words, "--no-confirm").out

    undo = done.out.rpartition("to undo: strongroom ")[2].split()
    program.good(*undo, "--no-confirm")
    assert estate.names() == ["/app/new", "/app/password"]
    assert estate.value("/app/password") == CANARIES["now"]
    assert "DeletedDate" in estate.secrets.describe_secret(SecretId="app/db")


@pytest.mark.spec("D2")
def test_a_failure_is_rolled_back(estate: Estate) -> None:
    """AWS refuses the last name; what was changed before is as it was, and exit code 21 says so."""
    estate.fill()
    program = estate.program
    program.good("backup", "aws")
    estate.ssm.put_parameter(
        Name="/app/password", Value=CANARIES["now"], Type="SecureString", Overwrite=True
    )
    words = ["--configuration", "--map-path", "/app/size=/ssm/size", "--no-confirm"]
    failed = program.run("restore", "latest", *words)
    assert failed.code == 21, failed
    assert "ssm:PutParameter of /ssm/size failed" in failed.err
    assert estate.names() == ["/app/password", "/app/size"]
    assert estate.value("/app/password") == CANARIES["now"]
    labels = estate.ssm.get_parameter_history(Name="/app/password")["Parameters"]
    assert [one["Labels"] for one in labels if one["Labels"]] == [["stable"]]


def test_under_another_name_and_in_another_region(estate: Estate) -> None:
    """Nothing of where it came from is touched; a label leads to the value that it led to."""
    estate.fill()
    estate.program.good("backup", "aws")
    words = ["--parameter", "/app/pass*", "--map-path", "/app/=/copy/", "--region", "us-west-2"]
    estate.program.good("restore", "latest", *words, "--no-confirm")
    assert estate.names() == ["/app/password", "/app/size"]
    there = estate.clients.client("ssm", "us-west-2")
    for name, value in (("", "parameter"), (":stable", "old")):
        found = there.get_parameter(Name=f"/copy/password{name}", WithDecryption=True)
        assert found["Parameter"]["Value"] == CANARIES[value]
    tags = there.list_tags_for_resource(ResourceType="Parameter", ResourceId="/copy/password")
    assert tags["TagList"] == [{"Key": "owner", "Value": "us"}]


def test_what_is_saved_before_is_no_latest_snapshot_and_never_too_old(estate: Estate) -> None:
    """It is what the restore replaced, and nobody has to make it again."""
    estate.fill()
    program = estate.program
    program.good("backup", "aws")
    estate.ssm.delete_parameter(Name="/app/size")
    program.good("restore", "latest", "--configuration", "--no-confirm")
    listed = program.good("snapshots", "--json").records
    assert len([one for one in listed if one["message_type"] == "snapshot"]) == 2
    assert "pre-restore" not in program.good("ls", "latest").out
    assert program.run("ls", "latest~1").code == 15
    assert "pre-restore" not in program.good("freshness", "--max-age", "24h").out


def test_an_environment_takes_only_what_it_may(aws: AwsServer, tmp_path: Path) -> None:
    """Its region is its own; a protected one wants its name."""
    file = (
        FILE.replace("/{project}/", "/{project}/{environment}/")
        + '[aws]\nregion = "eu-west-2"\n[environments.production]\nprotected = true\n'
        + '[environments.dr]\naws = { region = "us-west-2" }\nrestore_from = ["production"]\n'
        + "[environments.test]\nrestore_from = []\n"
    )
    estate = estate_of(aws, Program(tmp_path), file)
    program = estate.program
    del program.environment["AWS_REGION"]
    estate.ssm.put_parameter(Name="/app/production/a", Value="1", Type="String")
    program.good("backup", "production", "config")
    estate.ssm.delete_parameter(Name="/app/production/a")
    words = ("restore", "latest@production", "--configuration")
    assert program.run(*words, "--no-confirm").code == 6
    assert program.run(*words, "--environment", "test", "--no-confirm").code == 6
    assert estate.names() == []
    moved = ("--map-path", "/app/production/=/app/dr/", "--environment", "dr", "--no-confirm")
    program.good(*words, *moved)
    there = estate.clients.client("ssm", "us-west-2")
    assert there.get_parameter(Name="/app/dr/a")["Parameter"]["Value"] == "1"
    assert estate.names() == []
    program.good(*words, "--confirm", "production")
    assert estate.names() == ["/app/production/a"]


def test_names_that_the_snapshot_does_not_have(estate: Estate) -> None:
    """A misspelt one is an error, and nothing is changed."""
    estate.fill()
    estate.program.good("backup", "aws")
    done = estate.program.run("restore", "latest", "--parameter", "/app/sise", "--no-confirm")
    assert (done.code, "no parameter '/app/sise'" in done.err) == (15, True)
    done = estate.program.run("restore", "latest", "--undo", "--configuration", "--no-confirm")
    assert (done.code, "was not made before a restore" in done.err) == (2, True)


# -- in the middle


class KilledError(BaseException):
    """Nothing runs after it, as after a kill."""


def services_of(estate: Estate) -> dict[str, Service]:
    """Return the services of an account."""
    return {
        kind: Service(estate.clients, name, "", lambda _: None) for kind, name in SERVICES.items()
    }


def changes_of(services: dict[str, Service], wanted: dict[str, Record | None]) -> list[Change]:
    """Plan what makes parameters what they should be."""
    return [
        decide(Intent(PARAMETER, name, record, look(services, PARAMETER, name)), RULES)
        for name, record in wanted.items()
    ]


def at(number: int, error: BaseException) -> Callable[[Step], None]:
    """Return what raises before a step of this number is made."""
    seen: list[Step] = []

    def tell(step: Step) -> None:
        seen.append(step)
        if len(seen) == number:
            raise error

    return tell


def two_parameters(estate: Estate) -> tuple[dict[str, Service], dict[str, Record | None]]:
    """Make two, and return their records before they were changed."""
    for name in ("/a", "/b"):
        estate.ssm.put_parameter(Name=name, Value="before", Type="String")
    services = services_of(estate)
    wanted = {name: look(services, PARAMETER, name) for name in ("/a", "/b")}
    for name in wanted:
        estate.ssm.put_parameter(Name=name, Value="after", Type="String", Overwrite=True)
    return services, wanted


def test_a_restore_that_was_killed_is_done_by_the_next(estate: Estate) -> None:
    """What was changed is right already, the rest is changed."""
    services, wanted = two_parameters(estate)
    with pytest.raises(KilledError):
        carry_out(services, changes_of(services, wanted), RULES, at(2, KilledError()))
    assert (estate.value("/a"), estate.value("/b")) == ("before", "after")
    rest = changes_of(services, wanted)
    assert [len(one.decision.steps) for one in rest] == [0, 1]
    carry_out(services, rest, RULES, lambda _: None)
    assert (estate.value("/a"), estate.value("/b")) == ("before", "before")


def test_an_interruption_is_rolled_back(estate: Estate) -> None:
    """It ends as an interruption, and nothing is half done."""
    services, wanted = two_parameters(estate)
    with pytest.raises(InterruptError):
        carry_out(services, changes_of(services, wanted), RULES, at(2, InterruptError(2)))
    assert (estate.value("/a"), estate.value("/b")) == ("after", "after")


def test_what_somebody_else_changed_meanwhile_ends_it(estate: Estate) -> None:
    """Their change stays; ours is taken back."""
    services, wanted = two_parameters(estate)
    planned = changes_of(services, wanted)
    estate.ssm.put_parameter(Name="/b", Value="theirs", Type="String", Overwrite=True)
    with pytest.raises(RolledBackError, match="/b was changed by somebody else"):
        carry_out(services, planned, RULES, lambda _: None)
    assert (estate.value("/a"), estate.value("/b")) == ("after", "theirs")


# -- stacks


ONE = "Resources:\n  T:\n    Type: AWS::SNS::Topic\n    Properties:\n      TopicName: one\n"


@pytest.mark.spec("D2")
def test_a_stack_comes_back_by_a_change_set_that_is_confirmed(estate: Estate) -> None:
    """Nothing is changed, and no change set stays, unless it is; what was there is saved."""
    program = estate.program
    estate.stacks.create_stack(StackName="app-web", TemplateBody=ONE)
    program.good("backup", "aws")
    two = ONE.replace("one", "two")
    estate.stacks.update_stack(StackName="app-web", TemplateBody=two)
    words = ("restore", "latest", "--stack", "app-web")
    assert "CreateChangeSet" in program.good(*words, "--dry-run").out
    asked = program.run(*words)
    assert (asked.code, "Modify T (AWS::SNS::Topic" in asked.out) == (6, True)
    assert estate.stacks.list_change_sets(StackName="app-web")["Summaries"] == []
    assert _topic(estate, "app-web") == "two"

    done = program.good(*words, "--confirm", "app-web")
    assert _topic(estate, "app-web") == "one"
    assert "nothing to do" in program.good(*words, "--no-confirm").out
    undo = done.out.rpartition("to undo: strongroom ")[2].split()
    program.good(*undo, "--no-confirm")
    assert _topic(estate, "app-web") == "two"

    program.good(*words, "--to-stack", "app-new", "--region", "us-west-2", "--no-confirm")
    there = estate.clients.client("cloudformation", "us-west-2")
    assert there.describe_stacks(StackName="app-new")["Stacks"][0]["StackStatus"].endswith(
        "_COMPLETE"
    )


def _topic(estate: Estate, stack: str) -> str:
    (resource,) = estate.stacks.list_stack_resources(StackName=stack)["StackResourceSummaries"]
    return str(resource["PhysicalResourceId"]).rpartition(":")[2]
