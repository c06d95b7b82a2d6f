"""Names for people: what a terminal would act upon is escaped, in the way a shell reads back."""

from __future__ import annotations

import base64
from typing import Final

_SHORT: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", "'": "\\'"}


def shown(name: bytes) -> str:
    """Return a name as it is, or as ``$'...'`` if it holds control characters or no UTF-8.

    ``$'...'`` is what bash and other shells read back to the same bytes.
    """
    text = name.decode("utf-8", "surrogateescape")
    if text.isprintable() and not text.startswith("$'"):
        return text
    return "$'" + "".join(map(_escaped, text)) + "'"


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def harmless(text: str) -> str:
    """Return a message with every character escaped that a terminal would act upon."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def path_fields(path: bytes, name: str = "path") -> dict[str, str]:
    """Return the JSON fields of a path: its text, and its bytes in base64 if it is not UTF-8."""
    try:
        return {name: path.decode()}
    except UnicodeDecodeError:
        encoded = base64.b64encode(path).decode()
        return {name: path.decode("utf-8", "replace"), f"{name}_b64": encoded}


def shortened(text: str, width: int) -> str:
    """Return the end of a text that is longer than ``width``, which is what tells paths apart."""
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :] if width > 1 else ""
