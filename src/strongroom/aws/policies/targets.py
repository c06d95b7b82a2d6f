"""What a restore may change in AWS, beside reading it: documents, parameters and secrets.

Stacks and databases are not here: CloudFormation makes whatever a template says, with the rights of
whoever asks, and RDS passes on roles; neither is bounded by what the configuration says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strongroom.aws.policies import sources
from strongroom.aws.policies.sources import Documents
from strongroom.aws.policies.statements import Place, Statement, allow, decrypt_via

_OBJECTS: Final = (
    "PutObject",
    "PutObjectTagging",
    "AbortMultipartUpload",
    "DeleteObject",
    "DeleteObjectVersion",  # to undo: only versions that the restore made
)
_PARAMETERS: Final = (
    "PutParameter",
    "DeleteParameter",
    "LabelParameterVersion",
    "UnlabelParameterVersion",
    "AddTagsToResource",
    "RemoveTagsFromResource",
)
_SECRETS: Final = (
    "CreateSecret",
    "PutSecretValue",
    "UpdateSecret",
    "UpdateSecretVersionStage",
    "RestoreSecret",
    "DeleteSecret",
    "TagResource",
    "UntagResource",
    "PutResourcePolicy",
    "DeleteResourcePolicy",
    "RotateSecret",
    "CancelRotateSecret",
)


def documents(place: Place, wanted: Documents) -> list[Statement]:
    """Allow to bring objects back, to remove others, and to undo that."""
    bucket, objects = sources.arns_of(place, wanted)
    return [
        *sources.documents(place, wanted),
        allow("DocumentsWrite", [f"s3:{name}" for name in _OBJECTS], [objects]),
        decrypt_via(place, "s3", [bucket, objects], seals=True),
    ]


def parameters(place: Place, texts: Sequence[str]) -> list[Statement]:
    """Allow to put parameters back, and to delete others that ``texts`` mean."""
    arns = sources.parameter_arns(place, texts)
    if not arns:
        return []
    return [
        *sources.parameters(place, texts),
        allow("ParametersWrite", [f"ssm:{name}" for name in _PARAMETERS], arns),
        decrypt_via(place, "ssm", arns, seals=True),
    ]


def secrets(place: Place, texts: Sequence[str]) -> list[Statement]:
    """Allow to put secrets back, and to delete others that ``texts`` mean, with a window."""
    arns = sources.secret_arns(place, texts)
    if not arns:
        return []
    return [
        *sources.secrets(place, texts),
        allow("SecretsWrite", [f"secretsmanager:{name}" for name in _SECRETS], arns),
        decrypt_via(place, "secretsmanager", arns, seals=True),
    ]
