"""Clients find the account that was named, and their errors say what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError, refusals
from strongroom.errors import SourceError, UsageError
from tests.support.aws import REGION, AwsServer


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


def test_a_profile_that_is_not_there(aws: AwsServer) -> None:
    """It is a matter of the configuration, and says where to name it."""
    with pytest.raises(UsageError, match="nobody") as caught:
        Clients(replace(aws.account, profile="nobody")).client("ssm")
    assert "[aws]" in caught.value.hint


def test_no_region(monkeypatch: pytest.MonkeyPatch, aws: AwsServer) -> None:
    """A region must be named by somebody."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(UsageError, match="region"):
        Clients(replace(aws.account, region="")).client("ssm")
