"""What ``strongroom aws`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.completing import sources
from strongroom.cli.loading import work

_ROLES: Final = ("agent", "restore", "maintainer", "source", "target")
_HELP: Final = """\
Say what AWS has to allow.

\b
Examples:
  strongroom aws policy --role restore -r s3://backups/app
  strongroom aws policy --role source production
"""
_POLICY_HELP: Final = """\
Print what IAM has to allow a role, and no more, as JSON for 'aws iam put-role-policy'.

\b
Examples:
  strongroom aws policy --role agent -r s3://backups/app --key-file web.agent
  strongroom aws policy --role source documents

\b
  agent       reads all but keys; puts what is new below its own names; its file is given
  restore     reads
  maintainer  reads, puts and deletes: a host with a full key, and 'prune'
  source      reads the sources that a backup is of: SOURCE, an environment, or all
  target      restores them: documents, parameters, secrets; no stack, no database

The first three are of the repository that -r or the configuration names. It is read, without a
key, for its id and the keys of KMS that open it. A host that backs up sources in AWS has two
policies, of its role and of source. Nothing in AWS is changed.
"""


@click.group("aws", help=_HELP, short_help="Say what AWS has to allow.")
@common_options
def command() -> None:
    """Work with AWS."""


@command.command("policy", help=_POLICY_HELP, short_help="Print the policy of a role.")
@click.argument("source", required=False, metavar="[SOURCE]", shell_complete=sources)
@click.option("--role", type=click.Choice(_ROLES), required=True, help="Whose policy.")
@click.option(
    "--bucket-kms",
    is_flag=True,
    help="The bucket of the repository encrypts by a key of KMS (SSE-KMS): allow that as well.",
)
@click.option(
    "--kms-key",
    multiple=True,
    metavar="ARN",
    help="A key of KMS that is to open the repository as well; can be given again.",
)
@common_options
def _policy(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Print the policy of a role."""
    return work("aws_policy", given, "policy")
