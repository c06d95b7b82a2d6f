"""What is said about AWS: ``[aws]``, ``aws`` of an environment, and AWS's own variables."""

from __future__ import annotations

from typing import Final

from strongroom.aws.account import Account
from strongroom.config.environment import Environment
from strongroom.config.schema import AwsTable
from strongroom.config.values import Value

AWS_REGION: Final = "AWS_REGION"
AWS_DEFAULT_REGION: Final = "AWS_DEFAULT_REGION"
AWS_PROFILE: Final = "AWS_PROFILE"
AWS_ENDPOINT_URL: Final = "AWS_ENDPOINT_URL"


def account_of(
    environment: Environment, *tables: AwsTable | None, own: AwsTable | None = None
) -> Account:
    """Return who we are to AWS: variables first, then each table where those before say nothing.

    ``own``: what is said of one bucket counts before the variables, which speak of where we are.
    ``AWS_REGION`` counts before ``AWS_DEFAULT_REGION``, as in AWS's own newer clients.
    """

    def stated(key: str, *variables: str) -> str:
        found = [getattr(own, key) if own is not None else ""]
        found += [environment.get(name) for name in variables]
        found += [getattr(table, key) for table in tables if table is not None]
        return next((text for text in found if text), "")

    return Account(
        region=stated("region", AWS_REGION, AWS_DEFAULT_REGION),
        profile=stated("profile", AWS_PROFILE),
        role=stated("role"),
        endpoint=stated("endpoint", AWS_ENDPOINT_URL),
    )


def region_of(environment: Environment) -> Value[str] | None:
    """Return the region that the variables name."""
    return environment.value(AWS_REGION) or environment.value(AWS_DEFAULT_REGION)
