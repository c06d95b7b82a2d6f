"""One page of a listing of S3, read as it comes: keys byte for byte, nothing kept of the rest.

``ListObjectsV2`` and ``ListObjectVersions`` of the S3 API reference. botocore would
make a dictionary of every element of a page first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

_OBJECTS: Final = frozenset({"Contents", "Version"})
_URL: Final = "url"
_MOST_DIGITS: Final = 18  # of a size
_ROOTS: Final = frozenset({"ListBucketResult", "ListVersionsResult", "Error"})


class PageError(Exception):
    """What came is no whole page; the message says what is wrong with it."""


class Listed(NamedTuple):
    """An object as a listing has it.

    ``modified`` and ``etag`` are the texts of the listing. ``version`` is empty where none is
    stated. ``readable``: an archived object of which a copy was brought back for a time.
    ``deleted``: a delete marker, which has no size. ``latest``: what its key is now.
    """

    key: bytes
    size: int
    etag: str
    modified: str
    storage_class: str
    version: str = ""
    readable: bool = False
    deleted: bool = False
    latest: bool = True


@dataclass(slots=True)
class Page:
    """What a page says; ``after``: the parameters that ask for the next one, empty at the end.

    ``markers``: delete markers that are the latest of their keys. ``error``: S3's name of what it
    refused, ``message`` in its words.
    """

    objects: list[Listed] = field(default_factory=list)
    after: dict[str, bytes] = field(default_factory=dict)
    markers: int = 0
    error: str = ""
    message: str = ""


def read_page(data: bytes, *, every: bool = False) -> Page:
    """Read a page; ``PageError`` unless it is whole.

    ``every``: all versions are among its objects, and delete markers, in the order of the page.
    """
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)  # noqa: FBT003 - expat's own way to say that this is all
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: of its encoding
        raise PageError(f"it is no whole XML: {error}") from error
    return reader.page(every=every)


class _Reader:
    def __init__(self) -> None:
        parser = self.parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._take
        self._path: list[str] = []
        self._text: list[str] = []
        self._thing: dict[str, str] = {}
        self._things: list[tuple[str, dict[str, str]]] = []
        self._top: dict[str, str] = {}
        self._root = ""

    def _begin(self, name: str, _attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        self._path.append(name)
        self._text = []
        if len(self._path) == 2:  # noqa: PLR2004 - below the root
            self._thing = {}
        elif len(self._path) == 1:
            self._root = name

    def _take(self, text: str) -> None:
        self._text.append(text)

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        text = "".join(self._text)
        self._text = []
        self._path.pop()
        depth = len(self._path)
        if depth == 1:
            if name in _OBJECTS or name == "DeleteMarker":
                self._things.append((name, self._thing))
            else:
                self._top[name] = text
        elif depth > 1:
            self._thing[name] = text

    def page(self, *, every: bool) -> Page:
        top = self._top
        if self._root not in _ROOTS:
            raise PageError(f"it is <{self._root}>, and no listing")
        if self._root == "Error":
            said, message = top.get("Code", "Unknown"), top.get("Message", "")
            return Page(error=said, message=message)
        truncated = top.get("IsTruncated")
        if truncated not in {"true", "false"}:
            raise PageError("it does not say whether there is more")
        encoded = top.get("EncodingType") == _URL
        page = Page()
        for name, thing in self._things:
            latest = thing.get("IsLatest", "true") == "true"
            is_marker = name == "DeleteMarker"
            page.markers += is_marker and latest
            if every or (latest and not is_marker):
                page.objects.append(_listed(thing, encoded=encoded, deleted=is_marker))
        if truncated == "true":
            page.after = _after(top, encoded=encoded)
        return page


def _listed(thing: dict[str, str], *, encoded: bool, deleted: bool) -> Listed:
    try:
        key, size = thing["Key"], "0" if deleted else thing["Size"]
        etag, modified = thing.get("ETag", ""), thing["LastModified"]
    except KeyError as error:
        raise PageError(f"an object of it lacks something: {error}") from error
    if not (size.isascii() and size.isdigit() and len(size) <= _MOST_DIGITS):
        raise PageError(f"an object of it has a size that is none: {size[:40]!r}")
    version = thing.get("VersionId", "")
    return Listed(
        _decoded(key, encoded=encoded),
        int(size),
        etag,
        modified,
        thing.get("StorageClass", "") or "STANDARD",
        "" if version == "null" else version,
        readable=thing.get("IsRestoreInProgress") == "false",
        deleted=deleted,
        latest=thing.get("IsLatest", "true") == "true",
    )


def _after(top: dict[str, str], *, encoded: bool) -> dict[str, bytes]:
    if token := top.get("NextContinuationToken"):
        return {"continuation-token": token.encode()}
    marker = top.get("NextKeyMarker")
    if not marker:
        raise PageError("it says that there is more, and not where")
    found = {"key-marker": _decoded(marker, encoded=encoded)}
    if version := top.get("NextVersionIdMarker"):
        found["version-id-marker"] = version.encode()
    return found


def _decoded(text: str, *, encoded: bool) -> bytes:
    """Return the bytes of a key; S3 writes a blank as a plus sign, and a plus sign as %2B."""
    return unquote_to_bytes(text.replace("+", " ")) if encoded else text.encode()
