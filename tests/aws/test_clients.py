"""Clients find the account that was named, and their errors say what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.httpsession import get_cert_path

from strongroom.aws.buckets import Bucket
from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError, refusals
from strongroom.errors import SourceError, UsageError
from tests.support.aws import CREDENTIALS, REGION, AwsServer


def test_one_client_for_each_service_and_region(aws: AwsServer) -> None:
    """It is made once, and another region's is another."""
    clients = Clients(aws.account)
    assert clients.client("ssm") is clients.client("ssm")
    assert clients.client("ssm", "us-west-2") is not clients.client("ssm")
    assert clients.client("ssm", "us-west-2").meta.region_name == "us-west-2"
    assert clients.region() == REGION
    assert clients.client("sts").get_caller_identity()["Account"]


def test_a_role_is_assumed_before_the_first_request(aws: AwsServer) -> None:
    """What answers is the role, by the name that CloudTrail will show."""
    role = "arn:aws:iam::123456789012:role/backup"
    identity = Clients(replace(aws.account, role=role)).client("sts").get_caller_identity()
    assert identity["Arn"] == "arn:aws:sts::123456789012:assumed-role/backup/strongroom"


def test_a_no_keeps_the_name_that_aws_gave_it(aws: AwsServer) -> None:
    """The error says what was asked, of whom, and what AWS called it."""
    with pytest.raises(AwsError) as caught, refusals("reading /app/db", str(aws.account)):
        aws.client("ssm").get_parameter(Name="/app/db")
    assert caught.value.said == "ParameterNotFound"
    assert "reading /app/db failed" in caught.value.message
    assert aws.endpoint in caught.value.message


def test_nobody_answers(aws: AwsServer) -> None:
    """No server is a source that cannot be reached, and no name of AWS's."""
    client = Clients(replace(aws.account, endpoint="http://127.0.0.1:1")).client("ssm")
    with pytest.raises(SourceError, match="Could not connect") as caught, refusals("asking", "x"):
        client.describe_parameters()
    assert not isinstance(caught.value, AwsError)


ASKED: dict[str, Callable[[Clients], object]] = {
    "client": lambda clients: clients.client("ssm"),
    "region": lambda clients: clients.region(),
    "credentials": lambda clients: clients.credentials(),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("named", ["setting", "variable"])
def test_a_profile_that_is_not_there(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch, asked: str, named: str
) -> None:
    """It is a matter of the configuration, and says where to look, whatever is asked for first."""
    account = replace(aws.account, region="", profile="nobody" if named == "setting" else "")
    if named == "variable":
        monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(UsageError, match="nobody") as caught:
        ASKED[asked](Clients(account))
    assert "[aws]" in caught.value.hint
    assert "AWS_PROFILE" in caught.value.hint


@pytest.mark.parametrize("asked", ASKED)
def test_a_configuration_that_is_none(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str
) -> None:
    """The error names the file."""
    path = tmp_path / "config"
    path.write_text("this is\nno [ configuration")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    with pytest.raises(UsageError, match=str(path)) as caught:
        ASKED[asked](Clients(replace(aws.account, region="")))
    assert "AWS_CONFIG_FILE" in caught.value.hint


def test_a_role_that_nobody_may_assume(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without credentials it says that they are missing, and not more than when it needs them."""
    for name in (*CREDENTIALS, "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    role = "arn:aws:iam::123456789012:role/backup"
    clients = Clients(replace(aws.account, role=role))
    assert clients.region() == REGION
    with pytest.raises(AwsError) as caught, refusals("asking", "x"):
        clients.client("sts").get_caller_identity()
    assert caught.value.said == "NoCredentialsError"


def test_a_role_is_of_the_profile_that_is_named(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also for what is no credential, and whatever profile a variable names."""
    (tmp_path / "config").write_text("[profile ours]\nca_bundle = /of/ours\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    role = "arn:aws:iam::123456789012:role/backup"
    clients = Clients(replace(aws.account, profile="ours", role=role))
    assert clients.certificates() == "/of/ours"


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ({"REQUESTS_CA_BUNDLE": "/of/requests"}, "/of/requests"),
        ({"REQUESTS_CA_BUNDLE": "/of/requests", "AWS_CA_BUNDLE": "/of/aws"}, "/of/aws"),
        ({}, ""),
    ],
)
def test_certificates_are_those_of_botocore(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch, named: dict[str, str], found: str
) -> None:
    """Requests of our own check servers with the same file as its clients do."""
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    clients = Clients(aws.account)
    assert clients.certificates() == found
    verify = clients.client("s3")._endpoint.http_session._verify
    assert verify == (found or True)
    bucket = Bucket(clients, "b", REGION, versioning="")
    assert bucket.server.certificates == str(get_cert_path(verify))


def test_no_region(monkeypatch: pytest.MonkeyPatch, aws: AwsServer) -> None:
    """A region must be named by somebody."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(UsageError, match="region"):
        Clients(replace(aws.account, region="")).client("ssm")
