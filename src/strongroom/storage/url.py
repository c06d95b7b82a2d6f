"""What a person types to say where a store is."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from strongroom.errors import UsageError

Scheme = Literal["file", "s3", "memory"]

_FORMS: Final[dict[Scheme, str]] = {
    "file": "a folder: PATH or file:///PATH",
    "s3": "a bucket: s3://BUCKET/PREFIX",
    "memory": "gone when the program ends: memory:",
}
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")  # as S3 ever took them
_PREFIX_PART: Final = re.compile(r"\.*[A-Za-z0-9_=-][A-Za-z0-9._=-]*")
_LONGEST_PREFIX: Final = 500  # 1,024 bytes are all of a key
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A place for a store; ``path`` is that of a folder, absolute, or empty where there is none.

    Of a bucket it is ``BUCKET`` or ``BUCKET/PREFIX``.
    """

    scheme: Scheme
    path: str = ""

    def __str__(self) -> str:
        """Return a form that ``parse`` reads back."""
        if self.scheme == "file":
            return self.path
        return f"{self.scheme}:{'//' if self.scheme == 's3' else ''}{self.path}"

    @property
    def bucket(self) -> str:
        """The bucket of an address in S3."""
        return self.path.partition("/")[0]

    @property
    def prefix(self) -> str:
        """What the keys in the bucket begin with, without the slash; empty for all of it."""
        return self.path.partition("/")[2]


def parse(text: str, folder: str) -> StoreUrl:
    """Read ``PATH``, ``./PATH``, ``file:///PATH``, ``s3://BUCKET/PREFIX`` or ``memory:``.

    A relative path starts at ``folder``. ``NAME:REST`` is always a scheme; a path with a colon
    before its first slash is written ``./NAME:REST``. UsageError for anything else.
    """
    if not text or "\0" in text:
        raise UsageError(f"not the address of a store: {text!r}", hint=_hint())
    match = _SCHEME.fullmatch(text)
    if match is None:
        return StoreUrl("file", _one_spelling(Path(folder, text)))
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file":
        return StoreUrl("file", _file_path(text, rest))
    if scheme == "s3":
        return StoreUrl("s3", _in_bucket(text, rest))
    if scheme == "memory":
        return StoreUrl("memory", rest)
    raise UsageError(f"no store is called {scheme!r}: {text}", hint=_hint(scheme, text))


def _file_path(text: str, rest: str) -> str:
    """Return the path in a file URL (RFC 8089), with its percent signs decoded."""
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in {"", "localhost"}:
            raise UsageError(
                f"a file URL names a folder of this machine, not of {host!r}: {text}",
                hint=f"A folder of this machine is file:///{host}/{path}, or the path alone.",
            )
        rest = slash + path
    path = os.fsdecode(unquote_to_bytes(os.fsencode(rest)))
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"a file URL holds a path from the root: {text}", hint=_hint())
    return _one_spelling(Path(path))


def _in_bucket(text: str, rest: str) -> str:
    """Return bucket and prefix in their one spelling.

    A prefix is of the characters that every client writes the same way; S3 would take more.
    """
    bucket, _, prefix = rest.removeprefix("//").partition("/")
    prefix = prefix.rstrip("/")
    if not rest.startswith("//") or not _BUCKET.fullmatch(bucket):
        raise UsageError(f"not the address of a bucket: {text}", hint=_hint())
    parts = prefix.split("/") if prefix else []
    if len(prefix) > _LONGEST_PREFIX or not all(map(_PREFIX_PART.fullmatch, parts)):
        raise UsageError(
            f"not a prefix for a repository: {prefix!r}",
            hint="It is made of names with slashes between them; a name is of the letters A to Z "
            "and a to z, digits, and . _ - =, and is not only dots.",
        )
    return "/".join([bucket, *parts])


def _one_spelling(path: Path) -> str:
    """Return an absolute path without needless slashes and dots; ``..`` stays."""
    return "/" + str(path).lstrip("/")


def _hint(scheme: str = "", text: str = "") -> str:
    supported = "; ".join(_FORMS.values())
    near = difflib.get_close_matches(scheme, _FORMS, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    folder = f" A folder of that name is written ./{text}." if text and "//" not in text else ""
    return f"{guess}A store is one of: {supported}.{folder}"
