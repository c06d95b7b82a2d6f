"""What the errors of a bucket mean: obstore's, by the status and the code that S3 answered with.

obstore's exceptions are known by their shape, so that this module loads nothing of it; S3's codes
are those of its API reference, "Error Responses".
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from strongroom.errors import (
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    StrongroomError,
    UnsupportedError,
)

MISSING: Final = 404
CONFLICTS: Final = frozenset({409, 412})
UNSATISFIABLE: Final = 416
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504, 509})
AGAIN_CODES: Final = frozenset(
    {
        "BadDigest",  # the body changed on its way
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "XAmzContentSHA256Mismatch",
    }
)
_NOT_IMPLEMENTED: Final = 501
_FULL: Final = 507
_FULL_CODES: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_CREDENTIALS: Final = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)
_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>\s*(\w+)\s*</Code>")
_MESSAGE: Final = re.compile(r"<Message>\s*([^<]*?)\s*</Message>")
_SYSTEM: Final = re.compile(r'message: "([^"]*)"')
_DEBUG: Final = "\n\nDebug source"
_LONGEST: Final = 300


class Answer(NamedTuple):
    """What a bucket said to a request; ``status`` 0 where it said nothing."""

    status: int
    code: str
    text: str


def is_answer(error: BaseException) -> bool:
    """Return whether an error comes of a request, and not of a mistake in this program."""
    return type(error).__module__.startswith("obstore") or isinstance(error, FileNotFoundError)


def answer_of(error: BaseException) -> Answer:
    """Read what obstore wrote down of an answer."""
    told, _, debug = str(error).partition(_DEBUG)
    status = _STATUS.search(told)
    code = _CODE.search(told)
    if status is None:
        return Answer(0, "", _without_answer(told, debug))
    said = _MESSAGE.search(told)
    words = f"{status[1]} {code[1] if code else ''}".strip()
    text = f"{words}: {said[1]}" if said is not None and said[1] else words
    return Answer(int(status[1]), code[1] if code else "", text[:_LONGEST])


def meaning(answer: Answer, failed: str, bucket: str) -> StrongroomError:
    """Return what an answer means for a person; ``failed`` as in "cannot read s3://b/key".

    What the caller looks at itself is a conflict, a missing object, and a range beyond the end.
    """
    text = f"{failed}: {answer.text}"
    if answer.status == 0:
        return _silence(answer, text)
    if answer.code == "NoSuchBucket":
        return StoreError(
            f"{failed}: there is no bucket {bucket}",
            hint="Look at its name and at the endpoint; strongroom makes no bucket by itself.",
        )
    if answer.code == "InvalidObjectState":
        return StoreError(
            f"{failed}: it was moved into an archive class, from where it must be restored first",
            hint="Restore the objects (aws s3api restore-object), wait, run this again; and take "
            "the rule that moves them out of the bucket's lifecycle.",
        )
    if answer.status == _FULL or answer.code in _FULL_CODES:
        return StoreFullError(text, hint="Make room in the store, then run it again.")
    if answer.status in _AGAIN or answer.code in AGAIN_CODES:
        return StoreUnavailableError(text)
    is_unknown = answer.status == _NOT_IMPLEMENTED or answer.code == "NotImplemented"
    return (UnsupportedError if is_unknown else StoreError)(text, hint=_hint(answer))


def _hint(answer: Answer) -> str:
    if answer.code in _CREDENTIALS:
        return "The credentials are not, or no longer, good: renew them, or name another profile."
    if answer.code == "RequestTimeTooSkewed":
        return "Set the clock of this machine: S3 takes nothing that is 15 minutes off."
    if answer.code in {"AuthorizationHeaderMalformed", "PermanentRedirect"}:
        return "The bucket is in another region: name that one, or none to have it found."
    if answer.status in {401, 403}:
        return (
            "Allow it: s3:ListBucket on the bucket, s3:GetObject and s3:PutObject on its objects, "
            "and s3:DeleteObject for whoever prunes: strongroom aws policy prints it all. "
            "A bucket of somebody else's looks the same."
        )
    return "Run 'strongroom store validate': it says what this store can do."


def _silence(answer: Answer, text: str) -> StrongroomError:
    if "redirect" in answer.text:
        return StoreError(text, hint=_hint(Answer(301, "PermanentRedirect", "")))
    if "certificate" in answer.text:
        return StoreError(
            text,
            hint="Use the name that the certificate is for. SSL_CERT_FILE and AWS_CA_BUNDLE name "
            "the file of your own authority.",
        )
    if "invalid path" in answer.text:
        return StoreError(
            text,
            hint="Something of somebody else's lies in the repository: move it to another prefix.",
        )
    if "non-partial" in answer.text or "invalid list response" in answer.text:
        return StoreError(text, hint=_hint(answer))
    return StoreUnavailableError(text, hint="Look at the network and the endpoint.")


def _without_answer(told: str, debug: str) -> str:
    """Return why there was no answer: the innermost reason that is told."""
    if "InvalidCertificate" in debug or "certificate" in debug:
        return "the certificate of the server is not good"
    if reasons := _SYSTEM.findall(debug):
        return str(reasons[-1])
    if "TimedOut" in debug:
        return "no answer in time"
    if "dns error" in debug:
        return "the name of the server is not known"
    if " - " in told:
        told = told.rpartition(" - ")[2]
    return told.removeprefix("Generic S3 error: ").strip()[:_LONGEST]
