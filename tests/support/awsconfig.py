"""An account with configuration in it, and a program that saves it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from strongroom.aws.clients import Clients
from tests.cli.harness import Program, Result
from tests.support.aws import AwsServer

FILE: Final = """\
version = 1
project = "app"
[sources.aws]
type = "aws-config"
ssm_parameters = ["/{project}/"]
secrets = ["app/*"]
cloudformation = ["app-*"]
"""
CANARIES: Final = {
    "parameter": "canary-one-0xA1",
    "old": "canary-two-0xB2",
    "secret": "canary-three-0xC3",
    "previous": "canary-four-0xD4",
    "now": "canary-five-0xE5",
}
TEMPLATE: Final = {
    "Parameters": {"Size": {"Type": "String", "Default": "small"}},
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "one"}}},
}


@dataclass(frozen=True)
class Estate:
    """An account and a program."""

    aws: AwsServer
    program: Program
    clients: Clients

    @property
    def ssm(self) -> Any:  # noqa: ANN401 - boto3 makes its types when it runs
        """A client."""
        return self.clients.client("ssm")

    @property
    def secrets(self) -> Any:  # noqa: ANN401 - as above
        """A client."""
        return self.clients.client("secretsmanager")

    @property
    def stacks(self) -> Any:  # noqa: ANN401 - as above
        """A client."""
        return self.clients.client("cloudformation")

    def fill(self) -> None:
        """Put a parameter with a history, one beside it, and a secret with two stages."""
        ssm = self.ssm
        for name in ("old", "parameter"):
            ssm.put_parameter(
                Name="/app/password", Value=CANARIES[name], Type="SecureString", Overwrite=True
            )
        ssm.label_parameter_version(Name="/app/password", ParameterVersion=1, Labels=["stable"])
        ssm.add_tags_to_resource(
            ResourceType="Parameter",
            ResourceId="/app/password",
            Tags=[{"Key": "owner", "Value": "us"}],
        )
        ssm.put_parameter(Name="/app/size", Value="10", Type="String", Description="how many")
        self.secrets.create_secret(Name="app/db", SecretString=CANARIES["previous"])
        self.secrets.put_secret_value(SecretId="app/db", SecretString=CANARIES["secret"])

    def value(self, name: str) -> str:
        """Return the value of a parameter now."""
        found = self.ssm.get_parameter(Name=name, WithDecryption=True)
        return str(found["Parameter"]["Value"])

    def names(self) -> list[str]:
        """Return the names of all parameters."""
        return sorted(one["Name"] for one in self.ssm.describe_parameters()["Parameters"])

    def record(self, path: str, snapshot: str = "latest") -> dict[str, Any]:
        """Return a record of a snapshot, with its secrets."""
        shown = self.program.good("dump", snapshot, f"/aws/aws/{path}", "--show-secrets")
        record: dict[str, Any] = json.loads(shown.out)
        return record


def estate_of(aws: AwsServer, program: Program, file: str = FILE) -> Estate:
    """Make a repository that saves what is in the account."""
    program.environment |= aws.variables
    (program.folder / "strongroom.toml").write_text(file)
    program.good("init")
    return Estate(aws, program, Clients(aws.account))


def assert_no_canary(result: Result, canaries: Mapping[str, str] = CANARIES) -> None:
    """Nothing that was said has a secret in it."""
    for name, text in canaries.items():
        assert text not in result.out, name
        assert text not in result.err, name
