"""Parameters, secrets and stacks are saved as they are, and nothing that is secret is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.aws import AwsServer
from tests.support.awsconfig import CANARIES, FILE, TEMPLATE, Estate, assert_no_canary, estate_of

PARAMETER = "ssm/app/password.json"


@pytest.mark.spec("D2")
def test_all_of_a_parameter_is_saved(estate: Estate) -> None:
    """Value, history with labels, tags and type are in its record."""
    estate.fill()
    estate.program.good("backup", "aws")
    record = estate.record(PARAMETER)
    assert (record["Name"], record["Tags"]) == ("/app/password", {"owner": "us"})
    assert record["Current"]["Value"] == CANARIES["parameter"]
    assert record["Current"]["Type"] == "SecureString"
    (earlier,) = record["Earlier"]
    assert (earlier["Value"], earlier["Labels"]) == (CANARIES["old"], ["stable"])


@pytest.mark.spec("D2")
def test_every_stage_of_a_secret_is_saved(estate: Estate) -> None:
    """Text and bytes, tags, description and policy are in its record."""
    policy = {"Version": "2012-10-17", "Statement": []}
    estate.secrets.create_secret(
        Name="app/key", SecretBinary=b"\x00\xff", Description="d", Tags=[{"Key": "a", "Value": "b"}]
    )
    estate.secrets.put_resource_policy(SecretId="app/key", ResourcePolicy=json.dumps(policy))
    estate.secrets.put_secret_value(SecretId="app/key", SecretString="text")
    estate.program.good("backup", "aws")
    record = estate.record("secretsmanager/app/key.json")
    stages = {one["VersionStages"][0]: one for one in record["Versions"]}
    assert stages["AWSCURRENT"]["SecretString"] == "text"
    assert stages["AWSPREVIOUS"]["SecretBinary"] == {"Base64": "AP8="}
    assert record["Tags"] == {"a": "b"}
    assert json.loads(record["ResourcePolicy"]) == policy


@pytest.mark.spec("D2")
def test_a_stack_and_its_template_are_saved(estate: Estate) -> None:
    """The template is as it was given, and the record names resources and outputs."""
    text = "# kept\nResources:\n  T:\n    Type: AWS::SNS::Topic\n"
    estate.stacks.create_stack(
        StackName="app-web", TemplateBody=text, Tags=[{"Key": "a", "Value": "b"}]
    )
    estate.stacks.create_stack(StackName="other", TemplateBody=text)
    estate.program.good("backup", "aws")
    shown = estate.program.good("dump", "latest", "/aws/aws/cloudformation/app-web.template")
    assert shown.out == text
    record = estate.record("cloudformation/app-web.json")
    assert record["Resources"]["T"]["ResourceType"] == "AWS::SNS::Topic"
    assert record["Tags"] == {"a": "b"}
    assert "other" not in estate.program.good("ls", "latest").out


def test_what_did_not_change_is_not_saved_again(estate: Estate) -> None:
    """A tag alone, which gives no new version, is a change."""
    estate.fill()
    estate.program.good("backup", "aws")
    again = estate.program.good("backup", "aws")
    assert "0 new, 0 changed, 3 unchanged" in again.out
    estate.ssm.add_tags_to_resource(
        ResourceType="Parameter", ResourceId="/app/size", Tags=[{"Key": "a", "Value": "b"}]
    )
    assert "0 new, 1 changed, 2 unchanged" in estate.program.good("backup", "aws").out
    dry = estate.program.good("backup", "aws", "--dry-run")
    assert "3" in dry.out


@pytest.mark.spec("D2")
def test_no_output_has_a_secret_in_it(estate: Estate) -> None:
    """Whatever is said, printed or kept on this host, but what was asked for by an option."""
    estate.fill()
    run = estate.program.run
    said = [run("backup", "aws"), run("backup", "aws", "--json")]
    estate.ssm.put_parameter(
        Name="/app/password", Value=CANARIES["now"], Type="SecureString", Overwrite=True
    )
    estate.secrets.put_secret_value(SecretId="app/db", SecretString=CANARIES["now"])
    said += [run("backup", "aws")]
    for more in (["--debug"], ["--json"]):
        said += [
            run("ls", "latest", *more),
            run("find", "*pass*", *more),
            run("snapshots", *more),
            run("diff", "latest~1", "latest", *more),
            run("diff", "latest~1", "--live", *more),
            run("restore", "latest~1", "--configuration", "--dry-run", *more),
            run(
                "restore",
                "latest~1",
                "--configuration",
                "--map-path",
                "/app/=/aws/",
                "--no-confirm",
                *more,
            ),
            run("restore", "latest~1", "--configuration", "--no-confirm", *more),
        ]
    said += [run("dump", "latest", f"/aws/aws/{PARAMETER}")]
    said += [run("dump", "latest", "/aws/aws/secretsmanager/app/db.json")]
    assert [one.code for one in said] == [0] * 3 + [0, 0, 0, 0, 0, 0, 21, 0] * 2 + [0] * 2
    for one in said:
        assert_no_canary(one)
    for path in estate.program.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [name for name, text in CANARIES.items() if text.encode() in data], path


def test_a_secret_is_shown_when_that_is_asked_for(estate: Estate) -> None:
    """``dump --show-secrets`` prints the record as it is; a restore into a folder warns."""
    estate.fill()
    estate.program.good("backup", "aws")
    hidden = estate.program.good("dump", "latest", f"/aws/aws/{PARAMETER}")
    assert json.loads(hidden.out)["Current"]["Value"] == "(secret, not shown)"
    assert (
        CANARIES["parameter"]
        in estate.program.good("dump", "latest", f"/aws/aws/{PARAMETER}", "--show-secrets").out
    )
    restored = estate.program.good("restore", "latest", "--to", "out")
    assert "secrets in clear" in restored.err
    path = estate.program.folder / "out/aws/aws" / PARAMETER
    assert CANARIES["parameter"] in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.spec("B9")
def test_an_export_and_an_import_have_the_same_records(estate: Estate, tmp_path: Path) -> None:
    """The source is again what it was, and still hides what is secret."""
    estate.fill()
    estate.program.good("backup", "aws")
    exported = estate.program.good("export", "latest", "--to", "out")
    assert "secrets in clear" in exported.err
    (archive,) = (tmp_path / "out").rglob("*.tar.gz")
    before = estate.record(PARAMETER)
    estate.program.good("import", archive)
    assert estate.record(PARAMETER) == before
    assert_no_canary(estate.program.good("dump", "latest", f"/aws/aws/{PARAMETER}"))
    estate.ssm.delete_parameter(Name="/app/password")
    estate.program.good("restore", "latest", "--parameter", "/app/password", "--no-confirm")
    assert estate.value("/app/password") == CANARIES["parameter"]


def test_differences_are_named_field_by_field(estate: Estate) -> None:
    """Of a value only that it changed; of a tag both."""
    estate.fill()
    estate.program.good("backup", "aws")
    estate.ssm.put_parameter(Name="/app/size", Value="11", Type="String", Overwrite=True)
    estate.ssm.add_tags_to_resource(
        ResourceType="Parameter",
        ResourceId="/app/password",
        Tags=[{"Key": "owner", "Value": "them"}],
    )
    live = estate.program.good("diff", "latest", "--live").out
    assert '     Tags.owner: "us" -> "them"' in live.splitlines()
    assert "     Current.Value changed" in live.splitlines()
    estate.ssm.delete_parameter(Name="/app/password")
    estate.ssm.put_parameter(Name="/app/new", Value="1", Type="String")
    estate.program.good("backup", "aws")
    lines = estate.program.good("diff", "latest~1", "latest").out.splitlines()
    assert [line for line in lines if line[0] in "+-M"] == [
        "+  /aws/aws/ssm/app/new.json",
        "-  /aws/aws/ssm/app/password.json",
        "M  /aws/aws/ssm/app/size.json",
    ]


def test_a_name_that_is_not_there_makes_it_incomplete(aws: AwsServer, tmp_path: Path) -> None:
    """A pattern may mean nothing, which is said; a name must be there."""
    file = FILE.replace('"/{project}/"', '"/{project}/", "/else/", "/app"')
    estate = estate_of(aws, Program(tmp_path), file)
    estate.fill()
    done = estate.program.run("backup", "aws")
    assert done.code == 3
    assert "ssm has no '/app' (a path ends with a slash)" in done.err
    assert "warning: ssm has nothing like '/else/'" in done.err
    assert "warning: cloudformation has nothing like 'app-*'" in done.err


def test_an_account_without_any_of_it_is_no_good_backup(estate: Estate) -> None:
    """Nothing at all is hardly what was meant."""
    done = estate.program.run("backup", "aws")
    assert done.code == 3
    assert "nothing that is meant is in the account" in done.err


def test_an_environment_has_its_own_names_and_type(aws: AwsServer, tmp_path: Path) -> None:
    """``backup production config`` saves what is of that environment."""
    file = FILE.replace("/{project}/", "/{project}/{environment}/")
    estate = estate_of(aws, Program(tmp_path), f"{file}[environments.production]\n")
    estate.ssm.put_parameter(Name="/app/production/a", Value="1", Type="String")
    estate.ssm.put_parameter(Name="/app/staging/a", Value="1", Type="String")
    estate.program.good("backup", "production", "config")
    listed = estate.program.good("ls", "latest@production").out.splitlines()
    assert listed == ["/aws/production.aws/ssm/app/production/a.json"]
    assert len(estate.program.good("snapshots", "--type", "config", "--json").records) > 0


def test_a_source_without_names_is_an_error(aws: AwsServer, tmp_path: Path) -> None:
    """It would save nothing."""
    program = Program(tmp_path)
    file = 'version = 1\n[sources.a]\ntype = "aws-config"\n[sources.b]\ntype = "aws-config"\n'
    (tmp_path / "strongroom.toml").write_text(f'{file}secrets = [""]\n')
    done = program.run("config", "check", env=dict(aws.variables))
    assert done.code == 2
    assert "give one of ssm_parameters, secrets, cloudformation" in done.out + done.err
    assert "none that is empty" in done.out + done.err


def test_the_template_in_json_keeps_its_order(estate: Estate) -> None:
    """Whatever a client made of it, it says the same."""
    estate.stacks.create_stack(StackName="app-web", TemplateBody=json.dumps(TEMPLATE))
    estate.program.good("backup", "aws")
    shown = estate.program.good("dump", "latest", "/aws/aws/cloudformation/app-web.template")
    assert json.loads(shown.out) == TEMPLATE
    assert list(json.loads(shown.out)) == list(TEMPLATE)
