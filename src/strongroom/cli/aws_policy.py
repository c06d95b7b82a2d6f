"""``strongroom aws policy``."""

from __future__ import annotations

import json

from strongroom.app.aws_policy import PolicyRequest, policy_of
from strongroom.cli.job import job


def policy(*, role: str, source: str | None, bucket_kms: bool, kms_key: tuple[str, ...]) -> int:
    """Print the policy of a role, and nothing else on standard output."""
    request = PolicyRequest(role=role, source=source or "", sealed=bucket_kms, keys=kms_key)
    with job(stream=True) as one:
        found = policy_of(one.run, request)
        one.output.record("policy", role=role, source=source, policy=found)
        one.output.wanted(json.dumps(found, indent=2))
    return 0
