"""Records of a configuration: JSON that reads and compares well, and what of it is secret.

A record is a JSON object with ``Format`` (1), ``Kind`` and ``Name``; the rest has AWS's own names.
Keys are sorted, two spaces indent, times are RFC 3339 in UTC, bytes are ``{"Base64": ...}``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from strongroom.errors import DamageError

KIND: Final = "aws-config"
TOP: Final = "aws"
FORMAT: Final = 1
PARAMETER: Final = "ssm-parameter"
SECRET: Final = "secretsmanager-secret"  # noqa: S105 - a kind of record
STACK: Final = "cloudformation-stack"
JOURNAL: Final = "restore-journal"
FOLDERS: Final = {PARAMETER: "ssm", SECRET: "secretsmanager", STACK: "cloudformation"}
HIDDEN: Final = "(secret, not shown)"
SECURE: Final = "SecureString"

Record = dict[str, Any]


class Captured(NamedTuple):
    """A record, and what is missing in it, in words; ``files``: texts beside it, by suffix."""

    record: Record
    lacks: Sequence[str] = ()
    files: Sequence[tuple[str, bytes]] = ()


_PLAIN: Final = re.compile(r"[^A-Za-z0-9_.+=-]")
_JSON: Final = ".json"
_UNUSUAL: Final = "@"  # no component is written so
_LONGEST: Final = 200


def record_of(kind: str, name: str, **fields: object) -> Record:
    """Return a record as it will be read again."""
    return {"Format": FORMAT, "Kind": kind, "Name": name, **plain(fields)}


def plain(value: Any) -> Any:  # noqa: ANN401 - anything that AWS answers
    """Return an answer of AWS as JSON has it."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, bytes | bytearray):
        return {"Base64": base64.b64encode(value).decode()}
    return value


def bytes_of(value: Record) -> bytes:
    """Return the bytes of ``{"Base64": ...}``; ``DamageError``."""
    try:
        return base64.b64decode(value["Base64"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise DamageError("a record holds no base64 where it should") from error


def encoded(record: Record) -> bytes:
    """Return the bytes of a record; the same record has the same."""
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False)
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError:  # half a surrogate pair, which AWS stores and UTF-8 does not
        return f"{json.dumps(record, indent=2, sort_keys=True)}\n".encode()


def decoded(data: bytes | bytearray, shown: str) -> Record:
    """Read a record; ``DamageError`` if it is none, or of a format that is not known."""
    try:
        record = json.loads(data)
    except ValueError as error:
        raise DamageError(f"{shown} is no record of a configuration: no JSON") from error
    if not isinstance(record, dict) or record.get("Format") != FORMAT:
        raise DamageError(f"{shown} is no record of a configuration that this version reads")
    return record


def redacted(record: Record) -> Record:
    """Return a record without what is secret in it."""
    kind = record.get("Kind")
    if kind == PARAMETER:
        earlier: Any = record.get("Earlier")
        if isinstance(earlier, list):
            earlier = [_without(one, ("Value",), only_secure=True) for one in earlier]
        elif earlier is not None:
            earlier = HIDDEN
        current = _without(record.get("Current"), ("Value",), only_secure=True)
        return {**record, "Current": current, "Earlier": earlier}
    if kind == SECRET:
        keys = ("SecretString", "SecretBinary")
        versions = record.get("Versions") or []
        return {**record, "Versions": [_without(one, keys, only_secure=False) for one in versions]}
    return record if kind in {STACK, JOURNAL} else {"Kind": kind, "All of it": HIDDEN}


def _without(version: Any, keys: Sequence[str], *, only_secure: bool) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(version, dict):
        return HIDDEN
    if only_secure and version.get("Type") in {"String", "StringList"}:
        return version
    return {key: HIDDEN if key in keys else one for key, one in version.items()}


def token_of(data: bytes, record: Record | None) -> bytes:
    """Return what changes with a record, and tells nothing of what is secret in it."""
    shown = data if record is None else encoded(redacted(record))
    return hashlib.sha256(shown).digest()


def folder_of(source: str) -> str:
    """Return the folder of a snapshot that holds what a source saved."""
    return f"{TOP}/{source}"


def file_of(kind: str, name: str, suffix: str = _JSON) -> str:
    """Return where the record of a name lies, below the folder of its source.

    No two names have the same place, none is taken for a folder's, and any disk takes it. The
    record itself says what it is about: nobody reads a name from a place.
    """
    usual = kind == PARAMETER  # whose names begin with a slash, usually; those of secrets do not
    parts = name.split("/")
    begins = parts[0] == "" and len(parts) > 1
    if begins:
        parts = parts[1:]
    above = [_component(part) for part in parts[:-1]]
    above = [f"{part[: -len(_JSON)]}%2Ejson" if part.endswith(_JSON) else part for part in above]
    if begins != usual:
        above.insert(0, _UNUSUAL)
    return "/".join([FOLDERS[kind], *above, f"{_component(parts[-1])}{suffix}"])


def _component(text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")
    name = _PLAIN.sub(
        lambda m: "".join(f"%{b:02X}" for b in m[0].encode("utf-8", "surrogatepass")), text
    )
    if name in {"", ".", ".."}:
        return "%" + name.replace(".", "%2E")
    if len(name) > _LONGEST:
        return f"{name[:_LONGEST]}%-{hashlib.sha256(data).hexdigest()[:32]}"
    return name
