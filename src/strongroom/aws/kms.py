"""AWS KMS as a service that wraps keys: ``GenerateDataKey`` for a new one, ``Decrypt`` to open one.

A key is known by its full ARN, whose region says whom to ask; every answer is held against it. A
multi-Region key (its id begins with ``mrk-``) is asked for in this account's own region as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from strongroom.aws.account import Account
from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError, refusals
from strongroom.errors import KeyRefusedError, SourceError, StoreError, UsageError
from strongroom.model.keyservice import WrappedKey

_ARN: Final = re.compile(r"arn:[^:]+:kms:(?P<region>[^:]+):[0-9]*:(?P<name>(?:key|alias)/.+)")
_MULTI_REGION: Final = "key/mrk-"
_ATTEMPTS: Final = 3  # there may be another slot to try

# The reasons of the API reference, at Decrypt and GenerateDataKey; what they mean, and the way back
# for a key called {key} in {region}.
_REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "DisabledException": (
        "is disabled",
        "Enable it: aws kms enable-key --key-id {key} --region {region}.",
    ),
    "KMSInvalidStateException": (
        "cannot be used in the state it is in",
        "See which: aws kms describe-key --key-id {key} --region {region}.",
    ),
    "AccessDeniedException": (
        "may not be used by these credentials",
        (
            "Allow kms:Decrypt, and to add a key kms:GenerateDataKey, in its policy or the role's: "
            "aws kms get-key-policy --policy-name default --key-id {key} --region {region}."
        ),
    ),
    "NotFoundException": (
        "is not there: it was deleted, or is of another account or region",
        (
            "Look for it: aws kms describe-key --key-id {key} --region {region}. A key that was "
            "deleted does not come back."
        ),
    ),
    "InvalidCiphertextException": (
        "did not wrap this, or wrapped it for another repository or slot",
        "Compare the repository with a copy of it: strongroom verify.",
    ),
    "IncorrectKeyException": ("did not wrap this", "Compare the repository with a copy of it."),
    "InvalidKeyUsageException": (
        "is not one that encrypts",
        "Give a symmetric key for ENCRYPT_DECRYPT.",
    ),
    "InvalidArnException": ("has no name that AWS knows", "Give the ARN of a key, or alias/NAME."),
}
_PENDING: Final = (
    "is to be deleted",
    (
        "Stop that, and enable it: aws kms cancel-key-deletion --key-id {key} --region {region} && "
        "aws kms enable-key --key-id {key} --region {region}."
    ),
)
_LATER: Final = frozenset(
    {
        "DependencyTimeoutException",
        "KMSInternalException",
        "KeyUnavailableException",
        "ThrottlingException",
        "ServiceUnavailable",
        "InternalFailure",
    }
)


class Kms:
    """Keys that AWS KMS wraps, with the credentials of one account."""

    def __init__(self, account: Account, *, attempts: int = _ATTEMPTS) -> None:
        """Take a recipe; nothing is asked of anybody yet."""
        self._clients = Clients(account, attempts=attempts)
        self._account = account

    def has_credentials(self) -> bool:
        """Whether there is anything to ask with.

        UsageError where boto3 is not installed, or the profile is not there.
        """
        return self._clients.credentials() is not None

    def make(self, name: str, context: Mapping[str, str]) -> WrappedKey:
        """See ``KeyService``."""
        match = _ARN.fullmatch(name)
        region = match["region"] if match else self._clients.region()
        if not region:
            raise UsageError(
                f"nothing says in which region the KMS key {name} is",
                hint="Give its ARN, or set region below [aws], or AWS_REGION.",
            )
        answer = self._asked(
            region, name, "generate_data_key", KeyId=name, KeySpec="AES_256", context=context
        )
        return WrappedKey(answer["KeyId"], answer["CiphertextBlob"], answer["Plaintext"])

    def unwrap(self, name: str, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """See ``KeyService``; a multi-Region key is asked for in two regions."""
        refused: list[KeyRefusedError | StoreError] = []
        for region, arn in self._places(name):
            try:
                answer = self._asked(
                    region, arn, "decrypt", KeyId=arn, CiphertextBlob=wrapped, context=context
                )
            except (KeyRefusedError, StoreError) as error:
                refused.append(error)
                continue
            if answer["KeyId"] != arn:
                raise KeyRefusedError(f"KMS answered with {answer['KeyId']}, asked for {arn}")
            plain: bytes = answer["Plaintext"]
            return plain
        first, *others = refused
        first.message = "; ".join([first.message, *(error.message for error in others)])
        raise first

    def _places(self, name: str) -> list[tuple[str, str]]:
        """Return the regions in which to ask, and what the key is called there."""
        match = _ARN.fullmatch(name)
        if match is None:
            raise KeyRefusedError(f"{name} is no ARN of a KMS key")
        places = [(match["region"], name)]
        here = self._clients.region()
        if match["name"].startswith(_MULTI_REGION) and here not in {"", match["region"]}:
            start, end = match.span("region")
            places.append((here, f"{name[:start]}{here}{name[end:]}"))
        return places

    def _asked(
        self,
        region: str,
        name: str,
        verb: str,
        *,
        context: Mapping[str, str],
        **given: object,
    ) -> Any:  # noqa: ANN401 - what boto3 answers
        doing = f"asking KMS in {region} for {name}"
        try:
            with refusals(doing, str(self._account)):
                client = self._clients.client("kms", region)
                return getattr(client, verb)(EncryptionContext=dict(context), **given)
        except AwsError as error:
            raise _meant(error, name, region) from error
        except SourceError as error:
            raise StoreError(
                f"KMS in {region}, asked for {name}, does not answer: {error.message}",
                hint=error.hint,
            ) from error


def _meant(error: AwsError, name: str, region: str) -> KeyRefusedError | StoreError:
    """Return what a no of KMS means for who wants to open a repository."""
    if error.said in _LATER:
        return StoreError(
            f"KMS in {region} cannot serve {name} now ({error.said})", hint="Run it again later."
        )
    key = name.rpartition(":")[2].removeprefix("key/")
    what, hint = _REASONS.get(error.said, ("", error.hint))
    if error.said == "KMSInvalidStateException" and "pending deletion" in error.message.lower():
        what, hint = _PENDING
    said = f"the KMS key {name} {what} ({error.said})" if what else error.message
    return KeyRefusedError(said, hint=hint.format(key=key, region=region) if what else hint)
