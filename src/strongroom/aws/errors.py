"""What the errors of AWS mean for a person: what failed, where, and what to do next.

botocore's errors are known by their shape, so that this module loads nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from strongroom.errors import (
    SourceError,
    StoreError,
    StoreUnavailableError,
    StrongroomError,
    UsageError,
)

# Said the same by every service, see "Common Errors" of their API references.
_DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthorizationError",
        "AllAccessDisabled",
    }
)
_BAD_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "InvalidToken",
        "IncompleteSignature",
        "MissingAuthenticationToken",
    }
)
_SKEWED: Final = frozenset({"RequestTimeTooSkewed"})
_NO_CREDENTIALS: Final = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}
)
_NAME_IT: Final = "Name it: region and profile below [aws], or AWS_REGION."
_LOOK_AT_FILES: Final = (
    "Look at that file: ~/.aws/config and ~/.aws/credentials, or what AWS_CONFIG_FILE and "
    "AWS_SHARED_CREDENTIALS_FILE name."
)
_TO_CONFIGURE: Final = {  # what to do about what botocore finds wrong before it asks anybody
    "NoRegionError": _NAME_IT,
    "InvalidRegionError": _NAME_IT,
    "UnknownServiceError": _NAME_IT,
    "ProfileNotFound": "Look at profile below [aws], at AWS_PROFILE, and at ~/.aws/config: "
    "aws configure list-profiles names those that are there.",
    "ConfigParseError": _LOOK_AT_FILES,
    "ConfigNotFound": _LOOK_AT_FILES,
    "InvalidConfigError": _LOOK_AT_FILES,
    "InfiniteLoopConfigError": _LOOK_AT_FILES,
}
_AGAIN: Final = frozenset(
    {
        "InternalError",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "500",
        "502",
        "503",
        "504",
    }
)
# Said of a version of an object: it is gone, or it is a delete marker.
VERSION_GONE: Final = frozenset({"NoSuchVersion", "NoSuchKey", "404", "MethodNotAllowed"})
_MISSING: Final = frozenset({"NoSuchBucket", "NoSuchKey", "NoSuchVersion", "404", "NotFound"})


class AwsError(SourceError):
    """A request was answered with no; ``said`` is AWS's own name of the reason.

    Whoever asked may know better what that means, and catch it by the name.
    """

    def __init__(self, message: str, *, said: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.said = said

    @property
    def is_of_credentials(self) -> bool:
        """Whether no other request would be answered either."""
        return self.said in _BAD_CREDENTIALS | _SKEWED | _NO_CREDENTIALS


@contextmanager
def refusals(doing: str, where: object) -> Iterator[None]:
    """Turn botocore's errors into ours; ``doing`` as in "reading /app/db", ``where`` the account.

    UsageError for what the configuration must name and does not, AwsError for a no, SourceError
    where nobody answers. Errors of ours go through.
    """
    try:
        yield
    except StrongroomError:
        raise
    except Exception as error:
        told = _told(error, doing, where)
        if told is None:
            raise
        raise told from error


@contextmanager
def store_refusals(doing: str, where: str) -> Iterator[None]:
    """Do the same where AWS is a store: a no is a ``StoreError``, no answer may be one later."""
    try:
        with refusals(doing, where):
            yield
    except AwsError as error:
        if error.said in _AGAIN:
            raise StoreUnavailableError(error.message, hint=error.hint) from error
        raise StoreError(error.message, hint=error.hint) from error
    except SourceError as error:
        raise StoreUnavailableError(error.message, hint=error.hint) from error


def is_about_us(said: str) -> bool:
    """Whether AWS says that we are not who may ask, so that nothing else will be answered."""
    return said in _BAD_CREDENTIALS | _SKEWED


def code_of(error: BaseException) -> str:
    """Return AWS's name of the reason in an error of botocore's, empty if it is none."""
    response: Any = getattr(error, "response", None)
    if not isinstance(response, dict):
        return ""
    return str(response.get("Error", {}).get("Code", ""))


def _told(error: Exception, doing: str, where: object) -> StrongroomError | None:
    if not type(error).__module__.startswith(("botocore.", "boto3.")):
        return None
    said = code_of(error)
    text = f"{doing} failed ({where}): {error}"
    if said:
        return AwsError(text, said=said, hint=_hint(said, error))
    name = type(error).__name__
    if (hint := _TO_CONFIGURE.get(name)) is not None:
        return UsageError(text, hint=hint)
    if name in _NO_CREDENTIALS:
        return AwsError(
            text,
            said=name,
            hint="Give credentials the way the AWS command line takes them: a profile, variables, "
            "or the role of the machine.",
        )
    if name == "ParamValidationError":
        return UsageError(text)
    return SourceError(text, hint="Look at the network and the endpoint, then run it again.")


def _hint(said: str, error: Exception) -> str:
    response: Any = getattr(error, "response", {})
    return hint_of(said, response.get("ResponseMetadata", {}).get("RequestId", ""))


def hint_of(said: str, request: str = "") -> str:
    """Return what to do about a no that AWS calls ``said``; ``request``: its id, if known."""
    asked = f" The request was {request}." if request else ""
    if said in _DENIED:
        return (
            "Give the role the permission that is named: strongroom aws policy prints what it "
            f"needs.{asked}"
        )
    if said in _BAD_CREDENTIALS:
        return f"The credentials are not, or no longer, good: renew them.{asked}"
    if said in _SKEWED:
        return f"Set the clock of this machine.{asked}"
    if said in _MISSING:
        return f"Look at its name and its region.{asked}"
    return asked.strip()
